"""The demonstration: the closed loop on this machine, with no account."""
