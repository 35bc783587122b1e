"""Setting up: questions, checks and the first webhook."""
