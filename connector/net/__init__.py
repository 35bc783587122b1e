"""HTTP clients, the addresses they may reach, and how long an upstream asks to wait."""
