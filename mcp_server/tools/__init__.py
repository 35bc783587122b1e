"""Operations as tools: what a model is told, the call, the consent."""
