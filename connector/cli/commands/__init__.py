"""Commands beside the operations: one module a command."""
