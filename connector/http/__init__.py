"""HTTP: routes, webhooks, documentation, server."""
