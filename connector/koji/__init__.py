"""Koji's REST API: the client, its responses and its rate limit."""
