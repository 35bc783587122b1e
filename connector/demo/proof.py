"""Prove that the connector's receipts agree with Koji and Amplitude, by checks that can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.demo.calls import Calls
from connector.demo.scenario import acknowledged_webhooks
from connector.domain.results.mapping import EVENT_TYPE, IDENTIFY_TYPE, event_insert_id, identify_insert_id
from connector.settings.model import Connection

Webhook = tuple[str, str]
"""Interview id and event name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The three sides after the story. `resent` counts events that Amplitude dropped as repeats.

    `again` is the second launch of the cohort; `refused` is an e-mail address.
    """

    interviews: Sequence[Mapping[str, Any]]
    acknowledged: Sequence[Webhook]
    receipts: Mapping[str, Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    identifies: Sequence[str]
    resent: int
    refused: str
    launch_id: str
    again: Mapping[str, Any]

    @property
    def repeats(self) -> int:
        """Count second and later webhooks of the same event of the same interview."""
        return len(self.acknowledged) - len(set(self.acknowledged))


def gather(calls: Calls, refused: str, launch_id: str, again: Mapping[str, Any]) -> Evidence:
    """Ask Koji's stand-in, the connector and Amplitude's stand-in."""
    interview_ids = [sync["interview_id"] for sync in calls.syncs()]
    events, identifies = (
        calls.look("amplitude/events", event_type=event_type, limit=100_000)["events"]
        for event_type in (EVENT_TYPE, IDENTIFY_TYPE)
    )
    return Evidence(
        interviews=calls.look("koji/interviews", limit=100_000)["interviews"],
        acknowledged=acknowledged_webhooks(calls),
        receipts={key: calls.act("get_sync", interview_id=key) for key in interview_ids},
        events=events,
        identifies=[event["insert_id"] for event in identifies],
        resent=calls.look("state")["amplitude"]["duplicates"],
        refused=refused,
        launch_id=launch_id,
        again=again,
    )


def mismatches(evidence: Evidence) -> list[str]:
    """Return the disagreements between the three sides in plain words; empty when all is proven."""
    expected = {row["interview_id"]: outcome(row, evidence.refused) for row in evidence.interviews}
    actual = {key: (receipt["status"], receipt["reason"]) for key, receipt in evidence.receipts.items()}
    received = {
        (key, webhook["event"])
        for key, receipt in evidence.receipts.items()
        for webhook in receipt["received"]
    }
    synced = [key for key, (status, _) in expected.items() if status == "synced"]
    counts = {
        "acknowledged webhooks are in no receipt.": len(set(evidence.acknowledged) - received),
        "interviews were never acknowledged.": len(
            expected.keys() - {key for key, _ in evidence.acknowledged}
        ),
        "interviews have another outcome than they should.": sum(
            expected.get(key) != actual.get(key) for key in expected.keys() | actual.keys()
        ),
        **_not_once(
            "events", (event["insert_id"] for event in evidence.events), map(event_insert_id, synced)
        ),
        **_not_once("user property writes", evidence.identifies, map(identify_insert_id, synced)),
        **_of_launch(evidence),
    }
    return [f"{count} {text}" for text, count in counts.items() if count]


def _of_launch(evidence: Evidence) -> dict[str, int]:
    """Count what is wrong with the people who were started, and with their users in Amplitude."""
    starts = Counter(interview["metadata"]["email"] for interview in evidence.interviews)
    return {
        "people were started twice.": sum(times > 1 for times in starts.values()),
        "events do not belong to their launch and user.": sum(
            event["event_properties"].get("launch_id") != evidence.launch_id
            or not event["user_id"].startswith("user-")
            for event in evidence.events
        ),
        "people would have been invited again by a second launch.": evidence.again["to_invite"],
    }


def outcome(interview: Mapping[str, Any], refused: str) -> tuple[str, str | None]:
    """Return the status and reason that an interview at Koji's stand-in ought to lead to."""
    if interview["anonymous"]:
        return "skipped", "anonymous"
    if interview["quality_score"] < Connection().connector_min_quality:
        return "skipped", "below_quality_gate"
    if interview["metadata"].get("email", interview["email"]) == refused:
        return "failed", "rejected_by_amplitude"
    return "synced", None


def _not_once(name: str, actual: Iterable[str], expected: Iterable[str]) -> dict[str, int]:
    held, wanted = Counter(actual), Counter(expected)
    return {
        f"{name} are missing in Amplitude.": (wanted - held).total(),
        f"{name} are in Amplitude twice or without reason.": (held - wanted).total(),
    }
