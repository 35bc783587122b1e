"""Whatever is known, erased and set: a preview shows what the sync then stores and sends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from connector.context import Context
from connector.domain.people.same_person import Member
from connector.domain.results.theme_keys import Theme, Vocabulary
from connector.errors import ConnectorError, NotConfigured
from connector.ledger.ledger import Ledger, open_ledger
from connector.net.target_client import Targets
from connector.operations.preview_interview_sync import preview
from connector.operations.sync_interview_to_amplitude import SyncInput, run
from connector.settings.model import Connection, Settings
from connector.settings.rules import erasure_rules
from connector.text.json import dumps
from connector.workers.base import Worker
from connector.workers.koji.worker import KojiWorker
from connector.workers.results.amplitude import AmplitudeWorker
from connector.workers.results.intake import IntakeWorker
from tests.conftest import SEALER
from tests.support.fakes import FakeAmplitude, FakeKoji, ManualClock, a_webhook

pytestmark = pytest.mark.contract

_MOST_DRAINS = 30


WHOLE = {
    "respondent_email": "ada",
    "themes": ["pricing"],
    "quality_score": 4.5,
    "analysis_status": "completed",
}
ODDITIES = st.fixed_dictionaries(
    {},
    optional={
        "respondent_email": st.sampled_from(["ada", "bob", None, "none"]),
        "external_id": st.just("user"),
        "anonymous": st.booleans(),
        "themes": st.sampled_from([["slow import", "docs"], []]),
        "quality_score": st.sampled_from([2, 4]),
        "analysis_status": st.sampled_from(["completed", "processing", "failed"]),
        "project_id": st.sampled_from(["ours", "theirs"]),
        "completed_at": st.just("2026-11-20T10:00:00Z"),
    },
)
NOTHING: st.SearchStrategy[dict[str, Any]] = st.just({})
BODIES = st.tuples(
    st.sampled_from([WHOLE, WHOLE, {}]),
    NOTHING | NOTHING | st.just({"external_id": "user", "respondent_email": "bob"}) | ODDITIES,
).map(lambda two: {**two[0], **two[1]})
"""What Koji or a caller may tell; names are filled in for each story."""
VALUES = st.fixed_dictionaries(
    {"themes": st.just(["pricing"]), "quality_score": st.sampled_from([2.0, 4.0])},
    optional={"respondent_email": st.sampled_from(["ada", "bob"]), "sentiment": st.just("positive")},
)
CONNECTIONS = st.builds(
    Connection,
    amplitude_api_key=st.just(SecretStr("amplitude-key")),
    koji_api_key=st.sampled_from([*[SecretStr("koji-key")] * 5, None]),
    koji_project_id=st.sampled_from([None, "ours"]),
    connector_null_email_is_anonymous=st.booleans(),
    connector_trust_external_id=st.booleans(),
    connector_themes_file=st.sampled_from(
        [None, Vocabulary((Theme("price", "Pricing"), Theme("docs", "docs")))]
    ),
)


@dataclass(frozen=True)
class Story:
    """What came in before the call, whether the workers dealt with it, and the call."""

    connection: Connection
    webhooks: list[dict[str, Any]]
    worked: bool
    erased: str | None
    erased_first: bool
    koji: dict[str, Any] | None
    values: dict[str, Any]
    force: bool


STORIES = st.builds(
    Story,
    CONNECTIONS,
    st.lists(BODIES, max_size=2),
    st.booleans(),
    st.sampled_from([None, None, "ada", "user", "bob"]),
    st.booleans(),
    BODIES | BODIES | BODIES | st.none(),
    NOTHING | NOTHING | VALUES,
    st.booleans(),
)


class Stage:
    """One ledger for many stories, each with an interview and people of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = ManualClock()
        self.number = 0

    def named(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a body with the names of this story's people."""
        names = {"ada": self.email("ada"), "bob": self.email("bob"), "user": self.user()}
        return {
            key: names.get(value, value) if isinstance(value, str) else value for key, value in body.items()
        }

    def email(self, name: str) -> str:
        return f"{name}-{self.number}@example.com"

    def user(self) -> str:
        return f"user-{self.number}"

    async def play(self, story: Story, number: int) -> None:
        self.number = number
        interview_id = f"int-{number}"
        koji = FakeKoji({} if story.koji is None else {interview_id: self.named(story.koji)})
        amplitude = FakeAmplitude()
        ctx = Context(
            settings=Settings(connections={"default": story.connection}),
            clock=self.clock,
            ledger=self.ledger,
            koji={} if story.connection.koji_api_key is None else {"default": koji},
            amplitude={"default": amplitude},
            amplitude_users={},
            amplitude_elsewhere={},
            amplitude_cohorts={},
            targets=Targets(allow_private=False),
        )
        if story.erased_first:
            await self.erase(story)
        for body in story.webhooks:
            told = dumps({"interview_id": interview_id, **self.named(body)})
            await self.ledger.inbox.accept(a_webhook(interview_id, body=told, event=None))
        await self.work(IntakeWorker(ctx))
        if story.worked:
            await self.work_all(ctx, koji, amplitude)
        if not story.erased_first:
            await self.erase(story)
        given_ = SyncInput(interview_id=interview_id, wait_seconds=0, **self.named(story.values))
        before = len(amplitude.sent)
        try:
            shown = await preview(ctx, given_, force=story.force)
        except NotConfigured:
            with pytest.raises(NotConfigured):
                await run(ctx, given_.model_copy(update={"force": story.force}))
            return
        try:
            await run(ctx, given_.model_copy(update={"force": story.force}))
        except NotConfigured:
            raise
        except ConnectorError:
            pass  # what failed at once
        await self.work_all(ctx, koji, amplitude)
        sync = await self.ledger.syncs.find("default", interview_id)
        assert sync is not None
        # what an earlier story left behind goes along
        ours = f"koji:{interview_id}:"
        sent = [
            event
            for request in amplitude.sent[before:]
            for event in request
            if event["insert_id"].startswith(ours)
        ]
        expected = [] if shown.request is None else shown.request.events
        assert sent == expected, (shown, sync)
        stored = {"synced": "skip" if shown.reason == "already_synced" else "sync", "skipped": "skip"}
        assert shown.decision == stored.get(sync.status, "fail" if sync.status == "failed" else "pending")
        reason = "already_synced" if not sent and sync.status == "synced" else sync.reason
        assert shown.reason == reason, (shown, sync)

    async def erase(self, story: Story) -> None:
        if story.erased is None:
            return
        email = None if story.erased == "user" else self.email(story.erased)
        whom = Member(self.user() if email is None else None, email, None)
        rules = erasure_rules(story.connection)
        await self.ledger.erasures.begin(f"run-{self.number}", "default", whom, rules, self.clock.now())

    async def work_all(self, ctx: Context, koji: FakeKoji, amplitude: FakeAmplitude) -> None:
        if ctx.koji:
            await self.work(KojiWorker(ctx, "koji:one", ("default",), koji))
        await self.work(AmplitudeWorker(ctx, "amplitude:one", ("default",), amplitude, 0))

    async def work(self, worker: Worker) -> None:
        """Let a worker do what is due now."""
        lease = await self.ledger.leases.acquire(worker.name, "me", self.clock.now(), 30_000)
        assert lease is not None
        for _ in range(_MOST_DRAINS):
            if (await worker.drain(lease) or 1_000) > 1:
                break
        await self.ledger.leases.release(lease)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Stage]]:
    path: Path = tmp_path_factory.mktemp("preview") / "ledger.db"
    with asyncio.Runner() as runner:
        ledger = runner.run(open_ledger(f"sqlite:///{path}", SEALER))
        yield runner, Stage(ledger)
        runner.run(ledger.close())


_numbers = count(1)


@settings(max_examples=40, deadline=None)
@given(story=STORIES)
def test_a_preview_is_what_the_sync_does(stage: tuple[asyncio.Runner, Stage], story: Story) -> None:
    runner, one = stage
    runner.run(one.play(story, next(_numbers)))


@pytest.mark.proof
@settings(max_examples=1_000, deadline=None)
@given(story=STORIES)
def test_many_previews_are_what_the_syncs_do(stage: tuple[asyncio.Runner, Stage], story: Story) -> None:
    runner, one = stage
    runner.run(one.play(story, next(_numbers)))
