"""Operations as tools: descriptions for models, the call, the consent."""
