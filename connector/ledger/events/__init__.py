"""Events, hooks and callbacks."""
