"""How an operation is run: execution, audit, callbacks, polling."""
