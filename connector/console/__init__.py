"""The console: server-made pages on which people read and act through the operations."""
