"""What two processes do on one ledger, step by step, and a ledger on which all of it changes something."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import event

from connector.domain.events.event import DeliveryOutcome, EventType, Hook
from connector.domain.launches.credits import Spending
from connector.domain.launches.eligibility import Choice, LaunchRules, SkipReason
from connector.domain.launches.launch import Invitation
from connector.domain.lease import Lease, Pause
from connector.domain.people.same_person import Member
from connector.domain.results.interview import Interview, Stage, SyncStatus
from connector.domain.results.sync import Sync
from connector.ledger.ledger import Ledger
from tests.ledger.desk import LANE, NAMES, Desk, handed, persons
from tests.ledger.erasure.desk import RULES
from tests.support.fakes import NOW, a_run, a_settlement, a_sync, a_webhook

HOOK = "https://example.com/hook"
SENT, HELD, TOLD = ["int-1", "int-2"], ["int-3", "int-4"], ["told-1", "told-2", "told-3"]


class Undone(Exception):
    """Takes the place of a commit, so that every meeting finds the same rows."""


@dataclass
class Scene:
    """What is in the ledger: launches, people by their numbers, deliveries."""

    launches: list[str]
    people: dict[int, Invitation]
    unreadable: list[int]
    deliveries: list[int]


@dataclass
class Process:
    """A process whose transactions stop where they are told to, and leave nothing behind."""

    ledger: Ledger
    lease: Lease
    scene: Scene
    stop_after: int = 0
    statements: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        engine = self.ledger.db._write_engine
        event.listen(engine, "before_cursor_execute", self._step)
        event.listen(engine, "commit", self._undo)
        event.listen(
            engine, "handle_error", lambda context: self.failures.append(str(context.sqlalchemy_exception))
        )

    def _step(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        self._wait()
        self.statements.append(statement)

    def _undo(self, _connection: Any) -> None:
        self._wait()
        raise Undone

    def _wait(self) -> None:
        if len(self.statements) == self.stop_after > 0:
            self.stopped.set()
            assert self.go.wait(60)

    async def run(self, work: Work, stop_after: int = 0) -> None:
        self.stop_after = stop_after
        self.statements.clear()
        self.stopped.clear()
        self.go.clear()
        with pytest.raises(Undone):
            await work(self)


Work = Callable[[Process], Awaitable[Any]]


# what a process does


async def cancel(process: Process, number: int) -> None:
    await process.ledger.launches.cancel(process.scene.launches[number], NOW)


async def resume(process: Process, number: int) -> None:
    await process.ledger.launches.resume(process.scene.launches[number], "retry", NOW)


async def pause(process: Process) -> None:
    await process.ledger.launch_pauses.pause(NAMES, "koji_key", NOW)


async def await_koji(process: Process) -> None:
    rest = Pause(LANE, NOW + 60_000, "koji_unreachable", "Koji is away.")
    await process.ledger.launch_pauses.await_koji(NAMES, NAMES, rest, NOW, NOW)


SPENDING = Spending(LANE, 3, 1_000, 10)


async def begin(process: Process, number: int) -> None:
    one = process.scene.people[number]
    await process.ledger.invitations.begin_start(process.lease, one, SPENDING, NOW)


async def settle_start(process: Process, number: int, outcome: str) -> None:
    invitations, lease, one = process.ledger.invitations, process.lease, process.scene.people[number]
    match outcome:
        case "started":
            await invitations.started(lease, one.id, handed(one, NOW), NOW)
        case "not_started":
            await invitations.not_started(lease, one.id, SPENDING, NOW)
        case "failed":
            await invitations.failed(lease, one.id, "refused", "No.", SPENDING, NOW)
        case _:
            await invitations.recover(lease, NAMES, NOW)


async def expire(process: Process, number: int) -> None:
    await process.ledger.invitations.polled(process.lease, process.scene.people[number].id, None, NOW)


def back(one: Invitation, *, anonymous: bool) -> Sync:
    facts = Interview(f"int-{one.id[4:12]}", external_id=one.id, invitee=one.email, has_ended=True)
    sync = a_sync(facts.interview_id, facts=facts, stage=None)
    if not anonymous:
        return sync
    gone = facts._replace(anonymous=True).without_respondent()
    return sync._replace(facts=gone, reason="anonymous", user_id=None, user_hash=None)


async def come_back(process: Process, *numbers: int, anonymous: bool = False) -> None:
    """Let the interviews of people come in at once."""
    syncs = [back(process.scene.people[number], anonymous=anonymous) for number in numbers]
    await process.ledger.syncs.revise([("default", one.interview_id) for one in syncs], lambda *_: syncs)


async def forget(process: Process, number: int) -> None:
    [whom] = persons(number)
    await process.ledger.erasures.begin("run-1", "default", whom, RULES, NOW)


def mixed(*pairs: tuple[int, int]) -> list[Member]:
    """Return rows by which two people each turn out to be one."""
    return [Member(f"user-{one:03}", f"person-{other:03}@example.com", None) for one, other in pairs]


async def add_choices(process: Process) -> None:
    keyed = process.ledger.aliases.keyed("default", mixed((1, 11), (13, 3), (31, 5)))
    taught = [Choice(*one, SkipReason.ALREADY) for one in keyed]
    launch_id = process.scene.launches[4]
    await process.ledger.planning.add_choices(process.lease, launch_id, taught, taught, (), NOW)


async def learn(process: Process) -> None:
    [keyed] = process.ledger.aliases.keyed("default", mixed((14, 2)))
    await process.ledger.attribution.learn(keyed)


async def activate(process: Process) -> None:
    await process.ledger.planning.activate(process.scene.launches[3], LaunchRules(100, None), NOW, 100)


async def begin_reading(process: Process) -> None:
    await process.ledger.planning.begin_reading(process.lease, process.scene.launches[3])


async def end_unplanned(process: Process) -> None:
    launch_id = process.scene.launches[3]
    await process.ledger.planning.end_unplanned(process.lease, launch_id, "cohort_empty", "Nobody.", NOW)


async def use_plan(process: Process) -> None:
    await process.ledger.planning.use_plan(process.scene.launches[2], NOW)


async def delete_unused(process: Process) -> None:
    await process.ledger.retention.delete_unused_plans(NOW + 3_600_001)


async def save(process: Process, *interview_ids: str) -> None:
    def read(found: Any, _: Any) -> list[Sync]:
        return [found[key]._replace(reads=1, status=SyncStatus.SKIPPED, reason="no_themes") for key in keys]

    keys = [("default", one) for one in interview_ids]
    await process.ledger.syncs.revise(keys, read)


async def begin_send(process: Process) -> None:
    await process.ledger.sending.begin(process.lease, NAMES, NOW, 10)


async def settle(process: Process) -> None:
    sent = [a_settlement(a_sync(one)) for one in reversed(SENT)]
    await process.ledger.sending.settle(process.lease, sent, NOW, 0)


async def recover_sends(process: Process) -> None:
    await process.ledger.sending.recover(process.lease, NAMES, NOW)


async def release(process: Process) -> None:
    await process.ledger.runs.release_backfills(NOW)


async def prune(process: Process) -> None:
    await process.ledger.retention.prune(NOW + 1, NOW + 1)


async def accept(process: Process) -> None:
    await process.ledger.inbox.accept(a_webhook("int-1", body="unreadable", digest="unreadable 1"))


async def reread(process: Process) -> None:
    await process.ledger.inbox.reread(dict.fromkeys(reversed(process.scene.unreadable), (None, "int-1")))


async def settle_deliveries(process: Process) -> None:
    settled = dict.fromkeys(reversed(process.scene.deliveries), DeliveryOutcome("failed", "500"))
    await process.ledger.hooks.settle(process.lease, settled, NOW)


async def replay(process: Process) -> None:
    await process.ledger.hooks.replay(NAMES, "hook-1", NOW)


async def unsubscribe(process: Process) -> None:
    await process.ledger.hooks.unsubscribe(NAMES, hook_id=None, target_url=HOOK)


async def diagnostic(process: Process) -> None:
    await process.ledger.diagnostics.add("default", "refused", {}, NOW, 1)


WORK: dict[str, Work] = {
    "cancel": lambda process: cancel(process, 0),
    "resume": lambda process: resume(process, 1),
    "pause": pause,
    "await_koji": await_koji,
    "begin_start": lambda process: begin(process, 5),
    "started": lambda process: settle_start(process, 3, "started"),
    "not_started": lambda process: settle_start(process, 3, "not_started"),
    "failed": lambda process: settle_start(process, 14, "failed"),
    "recover": lambda process: settle_start(process, 3, "recover"),
    "expire": lambda process: expire(process, 2),
    "come_back": lambda process: come_back(process, 12, 2, 11, 1),
    "unbind": lambda process: come_back(process, 11, 1, 12, 2, anonymous=True),
    "forget": lambda process: forget(process, 11),
    "add_choices": add_choices,
    "learn": learn,
    "activate": activate,
    "begin_reading": begin_reading,
    "end_unplanned": end_unplanned,
    "use_plan": use_plan,
    "delete_unused": delete_unused,
    "save": lambda process: save(process, *SENT, *HELD),
    "save_backwards": lambda process: save(process, *reversed(HELD), *reversed(SENT)),
    "begin_send": begin_send,
    "settle": settle,
    "recover_sends": recover_sends,
    "release": release,
    "prune": prune,
    "accept": accept,
    "reread": reread,
    "settle_deliveries": settle_deliveries,
    "replay": replay,
    "unsubscribe": unsubscribe,
    "diagnostic": diagnostic,
}


async def set_scene(desk: Desk) -> Scene:
    """Fill the ledger: started, sent, doubtful and waiting people in several launches, and what came in."""
    ledger = desk.ledger
    for number, event_type in enumerate((EventType.INTERVIEW_SYNCED, EventType.INTERVIEW_SKIPPED), 1):
        await ledger.hooks.subscribe(Hook(f"hook-{number}", "default", event_type, HOOK, NOW), "secret")
    launches = [
        await desk.launch(*persons(1, 2, 3, 4, 5, 6)),
        await desk.launch(*persons(11, 12, 13, 14, 15, 16)),
    ]
    people = {
        int((one.user_id or "")[-3:]): one for launch in launches for one in await desk.all_of(launch.id)
    }
    for number in (1, 2, 3, 4, 11, 12, 13, 14):
        assert await desk.begin(people[number]) == "sending"
    for number, outcome in {
        1: "started",
        2: "started",
        4: "in_doubt",
        11: "started",
        12: "started",
        13: "in_doubt",
    }.items():
        await desk.settle(people[number], outcome)
    launches += [await desk.plan(*persons(21, 22)), await desk.decide(persons(31, 32)), await desk.create()]
    await desk.launch(*persons(11), days=0)
    syncs = [back(people[number], anonymous=number == 12) for number in (11, 1, 12, 2)]
    syncs += [a_sync(one, sending_since=NOW) for one in SENT]
    syncs += [a_sync(one, stage=Stage.HOLD, run_id="run_held") for one in HELD]
    syncs += [a_sync(one, stage=None, status=SyncStatus.SYNCED) for one in TOLD]
    await ledger.syncs.revise([("default", one.interview_id) for one in syncs], lambda *_: syncs)
    await a_run(ledger, "run_held", HELD)
    for number in (1, 2):
        await ledger.inbox.accept(a_webhook(None, body="unreadable", digest=f"unreadable {number}"))
        await ledger.diagnostics.add("default", "refused", {}, NOW, 5)
    unreadable = [one.id for one in await ledger.inbox.unreadable("default", limit=10)]
    deliveries = [one.number for one in await ledger.hooks.deliveries(NAMES, "hook-1", 10)]
    assert len(unreadable) == 2 <= len(deliveries)
    return Scene([one.id for one in launches], people, unreadable, deliveries)
