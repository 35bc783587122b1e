"""PURE: the server as a package: its names, manifest, registry entry, and the settings to ask for."""

from typing import Final

PACKAGE: Final = "koji-amplitude"
TITLE: Final = "Koji for Amplitude"
DESCRIPTION: Final = (
    "Closes the loop between Amplitude cohorts and Koji AI interviews: durable, exact, self-hosted."
)
NAMESPACE: Final = "io.github.koji-amplitude"
"""A reversed domain; the publisher must own it, and names it here and in the README."""
REGISTRY_NAME: Final = f"{NAMESPACE}/{PACKAGE}"
