"""The operations and triggers as a Zapier app."""
