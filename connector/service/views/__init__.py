"""How syncs, launches and runs are shown."""
