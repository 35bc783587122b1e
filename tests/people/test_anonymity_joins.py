"""Everything in our own ledger and logs, laid side by side, to find out who answered anonymously."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from connector import log
from connector.sandbox.koji.store import Interview
from tests.support.harness import QUICK, World, open_world, until

pytestmark = pytest.mark.e2e

DAY_MS = 86_400_000
WORD = re.compile(r"[^\s\"'{}\[\],:]{6,}")
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def dumped(path: Path) -> list[tuple[str, Row]]:
    """Return every row of every table."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return [(name, dict(row)) for name in tables for row in connection.execute(f"SELECT * FROM {name}")]


def bytes_of(folder: Path) -> bytes:
    """Return the bytes of the ledger and what lies beside it."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.name.startswith("ledger"))


def texts(rows: list[tuple[str, Row]]) -> set[str]:
    """Return every word of six letters or more, also those inside JSON."""
    return {word for _, row in rows for value in row.values() for word in WORD.findall(str(value))}


def times(rows: list[tuple[str, Row]]) -> set[int]:
    """Return every number that could be a time in milliseconds."""
    found = {int(number) for word in texts(rows) for number in re.findall(r"\d{13}", word) if len(word) == 13}
    return {number for number in found if number > 1_500_000_000_000}


def about(rows: list[tuple[str, Row]], *names: str | None) -> list[tuple[str, Row]]:
    """Return rows that mention one of these."""
    known = [name for name in names if name]
    return [(table, row) for table, row in rows if any(name in json.dumps(row) for name in known)]


def hashes_of(value: str, keys: list[bytes]) -> set[str]:
    """Return what a value looks like under every hash that somebody with the keys could think of."""
    raw = value.encode()
    made = [hashlib.new(name, raw).hexdigest() for name in ("md5", "sha1", "sha256", "sha512", "blake2b")]
    made += [hmac.digest(key, raw, "sha256").hex() for key in keys]
    numbers = [
        hashlib.blake2b(b"default\0" + kind + raw, digest_size=8, key=key).digest()
        for key in keys
        for kind in (b"user:", b"email:", b"")
    ]
    signed = {str(int.from_bytes(number, "big", signed=True)) for number in numbers}
    return {text for one in made for text in (one, one[:16], one[:32])} | signed


async def answered(world: World, one: Interview, how: str) -> None:
    """Let an interview be answered anonymously, as Koji may say so."""
    told: dict[str, Any] = {
        "event": "interview.analysis_ready",
        "interview_id": one.interview_id,
        "themes": ["price"],
    }
    told |= {"quality_score": 4, "completed_at": "2026-11-20T10:17:13Z", "external_id": one.external_id}
    match how:
        case "marked":
            await world.deliver({**told, "anonymous": True})
        case "by a later word":
            await world.deliver({**told, "respondent_email": None, "external_id": None})
            await world.deliver({**told, "anonymous": True, "event": "interview.completed"})
        case "once it was synced":
            await world.deliver(told)
            await world.seen(one.interview_id, status="synced")
            await world.deliver({**told, "is_anonymous": True, "event": "interview.completed"})


@pytest.mark.parametrize("how", ["marked", "by a later word", "once it was synced"])
async def test_nobody_can_be_joined_to_what_they_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], how: str
) -> None:
    people = [
        {"email": f"person-{n}@example.com", "user_id": f"member-{n}", "name": f"Name-{n}-of-them"}
        for n in range(6)
    ]
    async with open_world(
        tmp_path, KOJI_PROJECT_ID=QUICK.koji_project_id, CONNECTOR_MAX_CREDITS_PER_DAY="100"
    ) as world:
        log.configure("debug")
        structlog.get_logger().info("walk_begins")
        launched = await world.get("launch_cohort_interviews", members=people[:4], idempotency_key="one")
        for n, whom in enumerate(people[4:]):
            world.move(1_033)
            await world.get("start_interview", **whom, idempotency_key=f"start-{n}")
        interviews = list(world.sandbox.koji.store.interviews.values())
        assert len(interviews) == 6
        nobody = [interviews[1], interviews[3], interviews[4]]
        for one in nobody:
            world.move(617)
            await answered(world, one, how)

            async def erased(wanted: str = one.interview_id) -> bool:
                found = await world.context.ledger.syncs.find("default", wanted)
                return found is not None and found.facts is not None and found.facts.anonymous

            await until(erased)
        keys = [world.context.ledger.plan_key, world.context.ledger.syncs.keys.people]
        await world.get("get_launch", launch_id=launched["launch_id"])
    rows = dumped(tmp_path / "ledger.db")
    raw = bytes_of(tmp_path)
    logged = [line for stream in capfd.readouterr() for line in stream.splitlines()]
    assert any("walk_begins" in line for line in logged)

    invited = [row for table, row in rows if table == "invitation"]
    theirs = {one.interview_id: by_external_id(invited, one.external_id or "") for one in nobody}
    for one in nobody:
        mine = about(rows, one.interview_id)
        assert {table for table, _ in mine} >= {"sync", "inbox"}
        # with the keys, a digest would tell which of the possible bodies it was
        came = [row for table, row in mine if table == "inbox"]
        assert {(row["body"], row["digest"], row["webhook_id"]) for row in came} == {(None, None, None)}
        person = theirs[one.interview_id]
        known = [one.external_id, person["email"], person["user_id"], person["name"]]
        of_person = [*about(rows, *known), ("invitation", person)]
        assert not [table for table, row in of_person if one.interview_id in json.dumps(row)]
        assert one.session_token is None or one.session_token.encode() not in raw

        shared = texts(mine) & texts(of_person)
        assert not {word for word in shared if word not in texts(about(rows, *_others(invited, person)))}, (
            shared
        )
        for value in filter(None, known):
            assert not hashes_of(value, keys) & texts(mine), value
        assert str(person["person"]) not in texts(mine)
        assert {at % DAY_MS for at in times(mine)} == {0}, mine
        for column in ("created_at", "updated_at", "started_at", "taken_at", "due"):
            assert (person[column] or 0) % DAY_MS == 0, column
        assert not [line for line in logged if one.interview_id in line]
    # what stays of those who answered anonymously is the same for all: nothing tells which said what
    kept = {tuple(row[name] for name in ("interview_id", "link", "due", "polls")) for row in theirs.values()}
    assert len(kept) == 1


def by_external_id(invited: list[Row], external_id: str) -> Row:
    (found,) = (row for row in invited if row["id"] == external_id)
    return found


def _others(invited: list[Row], person: Row) -> list[str]:
    return [row["id"] for row in invited if row["id"] != person["id"]]
