"""Rules over who is who, and who is erased."""
