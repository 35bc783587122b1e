"""From a caller's values to an operation's input."""
