"""The server as a package: manifest, registry entry, settings to ask for."""
