"""Values of events, hooks and callbacks."""
