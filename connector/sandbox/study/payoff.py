"""Draw the chart that the closed loop makes possible: a funnel step, cut by what people said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from connector.sandbox.amplitude.store import AmplitudeStore, StoredEvent
from connector.sandbox.koji.respondents import STEP

INTERVIEW_EVENT: Final = "koji.interview_completed"
THEMES_PROPERTY: Final = "last_interview_themes"
SENTIMENT_PROPERTY: Final = "last_interview_sentiment"


def payoff(store: AmplitudeStore, step: str = STEP) -> dict[str, Any]:
    """Return the funnel interview → `step`, cut by theme and by sentiment, from Amplitude's data.

    Shape: `{step, people, reached_step, share, by_theme: [{theme, people, reached_step, share}],
    by_sentiment: [{sentiment, people, reached_step, share}]}`, most people first. As in Amplitude, people are
    cut by the user properties stamped on their interview event, each element of an array is a value of its
    own, and only a step that arrived after the interview counts.
    """
    interviews = {event.user.amplitude_id: event for event in store.find(event_type=INTERVIEW_EVENT)}
    reached = _reached(store, interviews, step)
    return {
        "step": step,
        **_row(interviews, reached),
        "by_theme": _cut(interviews, reached, "theme", THEMES_PROPERTY),
        "by_sentiment": _cut(interviews, reached, "sentiment", SENTIMENT_PROPERTY),
    }


def _reached(store: AmplitudeStore, interviews: Mapping[int, StoredEvent], step: str) -> set[int]:
    """Return the people who did the step after their last interview had arrived."""
    interviewed: set[int] = set()
    reached: set[int] = set()
    for event in store.events:
        person = event.user.amplitude_id
        if event is interviews.get(person):
            interviewed.add(person)
        elif event.event_type == step and person in interviewed:
            reached.add(person)
    return reached


def _cut(
    interviews: Mapping[int, StoredEvent], reached: set[int], name: str, key: str
) -> list[dict[str, Any]]:
    groups: dict[str, list[int]] = {}
    for person, event in interviews.items():
        for value in _values(event.user_properties.get(key)):
            groups.setdefault(value, []).append(person)
    rows = [{name: value, **_row(people, reached)} for value, people in groups.items()]
    return sorted(rows, key=lambda row: (-row["people"], row[name]))


def _values(value: Any) -> Sequence[str]:
    if value is None:
        return ()
    return list(dict.fromkeys(value)) if isinstance(value, list) else (str(value),)


def _row(people: Iterable[int], reached: set[int]) -> dict[str, Any]:
    everyone = set(people)
    count = len(everyone & reached)
    share = round(count / len(everyone), 3) if everyone else 0.0
    return {"people": len(everyone), "reached_step": count, "share": share}
