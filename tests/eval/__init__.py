"""Thirty tasks in plain words for an assistant, scored by what happened in the stand-ins."""
