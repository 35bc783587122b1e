"""Census's custom destination: rows of a warehouse become interviews and synced results."""
