"""The settings: their types, their sources, one frozen object."""
