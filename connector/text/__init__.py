"""JSON, plain values and redaction."""
