"""PURE: the names and words under which the server is published."""

from __future__ import annotations

from typing import Final

PACKAGE: Final = "koji-amplitude"
TITLE: Final = "Koji for Amplitude"
DESCRIPTION: Final = (
    "Closes the loop between Amplitude cohorts and Koji AI interviews: durable, exact, self-hosted."
)
NAMESPACE: Final = "io.github.koji-amplitude"
"""A reversed domain; the publisher must own it, and names it here and in the README."""
REGISTRY_NAME: Final = f"{NAMESPACE}/{PACKAGE}"
