"""A synthetic study: its respondents, and what their answers explain."""
