"""The desk at which people are erased."""

from __future__ import annotations

import pytest

from tests.ledger.desk import Desk
from tests.ledger.erasure.desk import ErasureDesk


@pytest.fixture
def desk(desk: Desk) -> ErasureDesk:
    return ErasureDesk(desk.ledger, desk.ctx, desk.clock, desk.lease)
