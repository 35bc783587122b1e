"""The database: engines, writer, reader, schema."""
