"""Name the hosts of Amplitude's regions.

The two hosts of a region do not rhyme (`api.eu.` beside `analytics.eu.`), so neither is derived from the
other. A project is known in its own region only: the other one answers that the key is invalid.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Hosts(NamedTuple):
    """Base URLs without a trailing slash: `ingestion` takes events, `rest` answers look-ups and cohorts."""

    ingestion: str
    rest: str


REGIONS: Final = {
    "us": Hosts(ingestion="https://api2.amplitude.com", rest="https://amplitude.com"),
    "eu": Hosts(ingestion="https://api.eu.amplitude.com", rest="https://analytics.eu.amplitude.com"),
}
