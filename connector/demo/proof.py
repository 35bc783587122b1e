"""Does what the connector says agree with what Koji sent and Amplitude holds? Checks that can fail."""

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
    """What the three sides say afterwards. `resent` counts events that Amplitude dropped as repeats.

    `launch_id` is of the launch, `again` of the second one over the same cohort; `refused` is an e-mail.
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
        """Count second and later deliveries of the same event of the same interview."""
        return len(self.acknowledged) - len(set(self.acknowledged))

    @property
    def lost(self) -> set[Webhook]:
        """Return webhooks that were acknowledged and are in no receipt."""
        received = {
            (interview_id, one["event"])
            for interview_id, receipt in self.receipts.items()
            for one in receipt["received"]
        }
        return set(self.acknowledged) - received


def gather(calls: Calls, refused: str, launch_id: str, again: Mapping[str, Any]) -> Evidence:
    """Ask Koji's stand-in, the connector and Amplitude's stand-in."""
    return Evidence(
        interviews=calls.look("koji/interviews", limit=100_000)["interviews"],
        acknowledged=acknowledged_webhooks(calls),
        receipts={
            sync["interview_id"]: calls.act("get_sync", interview_id=sync["interview_id"])
            for sync in calls.syncs()
        },
        events=_events(calls, EVENT_TYPE),
        identifies=_insert_ids(_events(calls, IDENTIFY_TYPE)),
        resent=calls.look("state")["amplitude"]["duplicates"],
        refused=refused,
        launch_id=launch_id,
        again=again,
    )


def _events(calls: Calls, event_type: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]]
    events = calls.look("amplitude/events", event_type=event_type, limit=100_000)["events"]
    return events


def mismatches(evidence: Evidence) -> list[str]:
    """Return what does not agree, in plain words; empty when all is proven."""
    expected = {one["interview_id"]: outcome(one, evidence.refused) for one in evidence.interviews}
    told = {key: (one["status"], one["reason"]) for key, one in evidence.receipts.items()}
    synced = [key for key, (status, _) in expected.items() if status == "synced"]
    found = []
    if evidence.lost:
        found.append(f"{len(evidence.lost)} acknowledged webhooks are in no receipt.")
    if unannounced := expected.keys() - {interview_id for interview_id, _ in evidence.acknowledged}:
        found.append(f"{len(unannounced)} interviews were never acknowledged.")
    if wrong := [key for key in expected.keys() | told.keys() if expected.get(key) != told.get(key)]:
        found.append(f"{len(wrong)} interviews have another outcome than they should.")
    found += _not_once("events", _insert_ids(evidence.events), map(event_insert_id, synced))
    found += _not_once("user property writes", evidence.identifies, map(identify_insert_id, synced))
    return found + _of_launch(evidence)


def _of_launch(evidence: Evidence) -> list[str]:
    """Return what is wrong with the people who were started, and with their users in Amplitude."""
    found = []
    asked = Counter(one["metadata"]["email"] for one in evidence.interviews)
    if twice := [who for who, times in asked.items() if times > 1]:
        found.append(f"{len(twice)} people were started twice.")
    if wrong := [
        event
        for event in evidence.events
        if event["event_properties"].get("launch_id") != evidence.launch_id
        or not event["user_id"].startswith("user-")
    ]:
        found.append(f"{len(wrong)} events do not belong to their launch and user.")
    if evidence.again["to_invite"]:
        found.append(f"A second launch would have invited {evidence.again['to_invite']} people again.")
    return found


def outcome(interview: Mapping[str, Any], refused: str) -> tuple[str, str | None]:
    """Return the status and reason that an interview at Koji's stand-in ought to lead to."""
    if interview["anonymous"]:
        return "skipped", "anonymous"
    if interview["quality_score"] < Connection().connector_min_quality:
        return "skipped", "below_quality_gate"
    if interview["metadata"].get("email", interview["email"]) == refused:
        return "failed", "rejected_by_amplitude"
    return "synced", None


def _not_once(what: str, held: Iterable[str], wanted: Iterable[str]) -> list[str]:
    counted, once = Counter(held), Counter(wanted)
    complaints = {
        f"{what} are missing in Amplitude.": once - counted,
        f"{what} are in Amplitude twice or without reason.": counted - once,
    }
    return [f"{sum(which.values())} {words}" for words, which in complaints.items() if which]


def _insert_ids(events: Iterable[Mapping[str, Any]]) -> list[str]:
    return [event["insert_id"] for event in events]
