"""The routes that steer the stand-ins."""
