"""Fixtures that every kind of test may use."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import structlog
from hypothesis import HealthCheck, settings

from connector.ledger.db.migrations import migrate
from connector.ledger.ledger import Ledger, open_ledger
from connector.security.sealing import Sealer
from tests.support import engines, postgres, sqlite
from tests.support.fakes import Counted, ManualClock
from tests.support.order import slow_first

SEALER = Sealer([b"k" * 32])
# how long an example takes says something of the machine, nothing of the code
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
_STARTED = pytest.StashKey[ExitStack]()
_MEMORY = Path("/dev/shm")


def pytest_configure(config: pytest.Config) -> None:
    """Start what all workers share, keep files in memory, and let Ctrl-C reach what a test starts.

    A shell starts what runs in the background with SIGINT ignored, and children would inherit that.
    """
    # the default draws tracebacks with rich, which took an eighth of the time of tests that fail on purpose
    plain = structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, *plain])
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 4 << 30:
        # every commit waits for the disk, and a busy one takes longer than all else; children inherit it
        os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)
    if getattr(config.option, "numprocesses", None) and postgres.is_available():
        started = config.stash[_STARTED] = ExitStack()
        os.environ[postgres.URL_VARIABLE] = started.enter_context(postgres.server())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    config.stash.get(_STARTED, ExitStack()).close()


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes and long texts after their argument: some are made anew in every process."""
    return argname if isinstance(val, bytes) or (isinstance(val, str) and len(val) > 40) else None


@pytest.hookimpl(trylast=True)  # when only what runs is left
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here, and start the slow ones first, so that no worker is left alone with them."""
    for item in items:
        if item.get_closest_marker("postgres") and not postgres.is_available():
            item.add_marker(pytest.mark.skip(reason=postgres.MISSING))
    if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
        items[:] = slow_first(items, lambda item: item.get_closest_marker("slow") is not None, workers)


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of the garbage collector's way: it stays to the end."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests counted; here, because of several processes only the first one prints."""
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for report in terminalreporter.stats.get("passed", ())
        for name, value in report.user_properties
        if name == "counted" and report.when == "call"
    ]
    if lines:
        terminalreporter.section("what was counted")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def shared_engines() -> Iterator[None]:
    with engines.shared():
        yield


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Counted:
    """Return a function that takes a sentence about what a test counted; it is printed if the test passes."""
    return lambda sentence: record_property("counted", sentence)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Yield the URL of a server on which databases can be made."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Yield the name of a database with the tables of a ledger: a copy takes a tenth of making them."""
    with postgres.database(postgres_server) as url:
        migrate(url)
        yield urlsplit(url).path[1:]


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """Yield the URL of a database that holds an empty ledger."""
    with postgres.database(postgres_server, postgres_template) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """Yield the URL of a database without tables."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture
def new_sqlite_url(tmp_path: Path) -> str:
    """Return the URL of a file that is not there yet, in a folder whose name has to be quoted."""
    return "sqlite:///" + quote(f"{tmp_path}/a folder, 100%?/ledger.db")


@pytest.fixture
def sqlite_url(new_sqlite_url: str) -> str:
    """Return the URL of a file that holds an empty ledger."""
    sqlite.empty_ledger(new_sqlite_url)
    return new_sqlite_url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database that holds an empty ledger, once for each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    """Yield an open ledger."""
    opened = await open_ledger(database_url, SEALER)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def other_ledger(ledger: Ledger, database_url: str) -> AsyncIterator[Ledger]:
    """Yield the same ledger as another process sees it."""
    opened = await open_ledger(database_url, SEALER)
    try:
        yield opened
    finally:
        await opened.close()
