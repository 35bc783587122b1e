"""The database that the tests of launches share."""

from __future__ import annotations

import pytest


@pytest.fixture
def postgres_url(emptied_postgres_url: str) -> str:
    return emptied_postgres_url
