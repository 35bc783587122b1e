"""Everything that calls Koji: reads, starts, follow-ups."""
