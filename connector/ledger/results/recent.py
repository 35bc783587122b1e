"""Deliveries that this process stored a moment ago, so that its intake need not read them back."""

from __future__ import annotations

from connector.domain.results.sync import InboundWebhook
from connector.ledger.db.bulk import are_storable

_SIZE = 8 * 1024 * 1024  # characters of bodies


class Recent:
    """The newest stored deliveries, by connection and digest, which are unique in the ledger."""

    def __init__(self, size: int = _SIZE) -> None:
        self._kept: dict[tuple[str, str], InboundWebhook] = {}
        self._room = size

    def keep(self, delivery: InboundWebhook) -> None:
        """Remember a delivery that was new and is on disk as it is; the oldest make room for it."""
        if delivery.state != "new" or delivery.digest is None or not are_storable(delivery):
            return
        self._kept[delivery.connection, delivery.digest] = delivery
        self._room -= len(delivery.body or "")
        while self._room < 0:
            self.take(*next(iter(self._kept)))

    def take(self, connection: str, digest: str | None) -> InboundWebhook | None:
        """Return a delivery once."""
        found = self._kept.pop((connection, digest or ""), None)
        if found is not None:
            self._room += len(found.body or "")
        return found
