"""What the command line does beside the operations: one module a command."""
