"""Prove that the connector's receipts agree with Koji and Amplitude, by checks that can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.demo.calls import Calls
from connector.demo.scenario import MIN_QUALITY, acknowledged_webhooks
from connector.domain.results.mapping import EVENT_TYPE, IDENTIFY_TYPE, event_insert_id, identify_insert_id

Webhook = tuple[str, str]
"""Interview id and event name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The records of Koji, the connector and Amplitude after the story.

    Amplitude refuses the events of `refused_email`, and dropped `repeats_dropped` events as repeats.
    """

    interviews: Sequence[Mapping[str, Any]]
    acknowledged: Sequence[Webhook]
    receipts: Mapping[str, Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    identifies: Sequence[str]
    repeats_dropped: int
    refused_email: str
    launch_id: str
    second_launch: Mapping[str, Any]

    @property
    def repeats(self) -> int:
        """Count second and later webhooks of the same event of the same interview."""
        return len(self.acknowledged) - len(set(self.acknowledged))


def gather(calls: Calls, refused_email: str, launch_id: str, second_launch: Mapping[str, Any]) -> Evidence:
    """Read the records of Koji's stand-in, the connector and Amplitude's stand-in."""
    interview_ids = [sync["interview_id"] for sync in calls.syncs()]
    events, identifies = (
        calls.read_sandbox("amplitude/events", event_type=event_type, limit=100_000)["events"]
        for event_type in (EVENT_TYPE, IDENTIFY_TYPE)
    )
    return Evidence(
        interviews=calls.read_sandbox("koji/interviews", limit=100_000)["interviews"],
        acknowledged=acknowledged_webhooks(calls),
        receipts={key: calls.call_operation("get_sync", interview_id=key) for key in interview_ids},
        events=events,
        identifies=[event["insert_id"] for event in identifies],
        repeats_dropped=calls.read_sandbox("state")["amplitude"]["duplicates"],
        refused_email=refused_email,
        launch_id=launch_id,
        second_launch=second_launch,
    )


def mismatches(evidence: Evidence) -> list[str]:
    """Return a line for each kind of disagreement between the three sides; empty when all is proven."""
    expected = {row["interview_id"]: outcome(row, evidence.refused_email) for row in evidence.interviews}
    actual = {key: (receipt["status"], receipt["reason"]) for key, receipt in evidence.receipts.items()}
    received = {
        (key, webhook["event"])
        for key, receipt in evidence.receipts.items()
        for webhook in receipt["received"]
    }
    synced = [key for key, (status, _) in expected.items() if status == "synced"]
    other_outcomes = sum(expected.get(key) != actual.get(key) for key in expected.keys() | actual.keys())
    counts = [
        (len(set(evidence.acknowledged) - received), "acknowledged webhooks in no receipt"),
        (len(expected.keys() - {key for key, _ in evidence.acknowledged}), "interviews never acknowledged"),
        (other_outcomes, "interviews with another outcome than expected"),
        *_differences("events", (e["insert_id"] for e in evidence.events), map(event_insert_id, synced)),
        *_differences("user property writes", evidence.identifies, map(identify_insert_id, synced)),
        *_launch_mismatches(evidence),
    ]
    return [f"{subject}: {count}" for count, subject in counts if count]


def _launch_mismatches(evidence: Evidence) -> list[tuple[int, str]]:
    """Count mismatches of the people who were started, of their events and of the second launch."""
    starts = Counter(interview["metadata"].get("email") for interview in evidence.interviews)
    without_email = starts.pop(None, 0)
    foreign = sum(
        event["event_properties"].get("launch_id") != evidence.launch_id
        or not event["user_id"].startswith("user-")
        for event in evidence.events
    )
    return [
        (without_email, "interviews without an e-mail address"),
        (sum(times > 1 for times in starts.values()), "people started more than once"),
        (foreign, "events without their launch or user"),
        (evidence.second_launch["to_invite"], "people whom a second launch would invite again"),
    ]


def outcome(interview: Mapping[str, Any], refused_email: str) -> tuple[str, str | None]:
    """Return the status and reason that an interview at Koji's stand-in should get."""
    if interview["anonymous"]:
        return "skipped", "anonymous"
    if interview["quality_score"] is None:
        return "skipped", "no_quality_score"
    if interview["quality_score"] < MIN_QUALITY:
        return "skipped", "below_quality_gate"
    if interview["metadata"].get("email", interview["email"]) == refused_email:
        return "failed", "rejected_by_amplitude"
    return "synced", None


def _differences(name: str, actual: Iterable[str], expected: Iterable[str]) -> list[tuple[int, str]]:
    """Count the insert ids that Amplitude lacks, and those that it has too often or without reason."""
    actual_count, expected_count = Counter(actual), Counter(expected)
    return [
        ((expected_count - actual_count).total(), f"{name} missing in Amplitude"),
        ((actual_count - expected_count).total(), f"{name} in Amplitude twice or without reason"),
    ]
