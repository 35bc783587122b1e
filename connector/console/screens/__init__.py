"""One file a screen: what it shows, and what it does."""
