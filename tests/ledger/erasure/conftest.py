"""The desk at which people are erased, and the database that its tests share."""

from __future__ import annotations

import pytest

from tests.ledger.desk import Desk
from tests.ledger.erasure.desk import ErasureDesk


@pytest.fixture
def desk(desk: Desk) -> ErasureDesk:
    return ErasureDesk(desk.ledger, desk.ctx, desk.clock, desk.lease)


@pytest.fixture
def postgres_url(emptied_postgres_url: str) -> str:
    return emptied_postgres_url
