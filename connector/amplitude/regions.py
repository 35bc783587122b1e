"""Where Amplitude's projects live.

The two hosts of a region do not rhyme (`api.eu.` beside `analytics.eu.`), so nothing is derived. A project is
known in its own region only: the other one answers that the key is invalid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base URLs without a trailing slash: `ingestion` takes events, `rest` answers look-ups and cohorts."""

    ingestion: str
    rest: str


REGIONS: Final[Mapping[str, Hosts]] = MappingProxyType(
    {
        "us": Hosts(ingestion="https://api2.amplitude.com", rest="https://amplitude.com"),
        "eu": Hosts(ingestion="https://api.eu.amplitude.com", rest="https://analytics.eu.amplitude.com"),
    }
)
