"""Draw the people of a synthetic onboarding study: their answers, and their later behaviour.

Every draw depends only on a seed and a person's e-mail address: the same person always answers the same.
Answers and behaviour are correlated, so that a funnel by theme shows differences.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from connector.sandbox.koji.store import Result

STEP: Final = "Onboarding Completed"
ANONYMOUS_SHARE: Final = 0.08
POOR_INTERVIEW_SHARE: Final = 0.15
USUAL_COMPLETION: Final = 0.72


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme: its relative frequency, its sentiment (-2 to 2), and its effect on completion."""

    name: str
    weight: float
    feeling: int
    completion: float


THEMES: Final = (
    Theme("pricing confusion", 0.22, -2, -0.42),
    Theme("slow import", 0.18, -1, -0.2),
    Theme("unclear next step", 0.17, -1, -0.26),
    Theme("missing integrations", 0.11, -1, -0.1),
    Theme("confusing permissions", 0.08, -1, -0.12),
    Theme("helpful templates", 0.1, 1, 0.12),
    Theme("quick first result", 0.08, 2, 0.18),
    Theme("friendly support", 0.06, 1, 0.1),
)
_BY_NAME: Final[Mapping[str, Theme]] = {theme.name: theme for theme in THEMES}


@dataclass(frozen=True, slots=True)
class Respondent:
    """One synthetic person. `reaches_step` tells whether they finish onboarding after the interview."""

    user_id: str
    email: str
    display_name: str
    anonymous: bool
    result: Result
    reaches_step: bool


def respondent(seed: int, number: int, *, user_ids: bool = False) -> Respondent:
    """Return person `number` (from 1) of a study; without `user_ids`, the e-mail address is the user id."""
    email = f"person-{number:03d}@example.com"
    result = result_for(seed, email)
    return Respondent(
        user_id=f"user-{number:03d}" if user_ids else email,
        email=email,
        display_name=f"Person {number:03d}",
        anonymous=_draw(seed, email, "anonymous") < ANONYMOUS_SHARE,
        result=result,
        reaches_step=_draw(seed, email, "step") < completion_chance(tuple(result.themes)),
    )


def study(seed: int, people: int, *, user_ids: bool = False) -> list[Respondent]:
    """Return the first `people` persons of a study; a larger study begins with the same persons."""
    return [respondent(seed, number, user_ids=user_ids) for number in range(1, people + 1)]


def result_for(seed: int, person: str) -> Result:
    """Return the analysis of one person's interview; `person` is any stable text."""
    themes = _themes(seed, person)
    return Result(
        themes=themes,
        sentiment=_sentiment(seed, person, themes),
        quality_score=_quality(seed, person),
        insights=tuple(f"Mentions {theme} early." for theme in themes[:2]),
        structured_answers=(_ease_answer(themes),),
        duration_seconds=240 + int(1500 * _draw(seed, person, "duration")),
        respondent_messages=4 + int(16 * _draw(seed, person, "messages")),
    )


def completion_chance(themes: tuple[str, ...]) -> float:
    """Return a person's chance of completion, 0.05 to 0.95; the first theme weighs double."""
    effects = [_BY_NAME[name].completion for name in themes]
    return min(0.95, max(0.05, USUAL_COMPLETION + effects[0] + 0.5 * sum(effects[1:])))


def _themes(seed: int, person: str) -> tuple[str, ...]:
    """Draw three to five themes without repetition, the most pressing first (Koji: 3 to 7 an interview)."""
    count = 3 + int(3 * _draw(seed, person, "themes"))
    left = list(THEMES)
    chosen = []
    for place in range(count):
        point = _draw(seed, person, f"theme {place}") * sum(theme.weight for theme in left)
        for theme in left:
            point -= theme.weight
            if point < 0:
                break
        chosen.append(theme)
        left.remove(theme)
    return tuple(theme.name for theme in chosen)


def _sentiment(seed: int, person: str, themes: tuple[str, ...]) -> str:
    feelings = [_BY_NAME[name].feeling for name in themes]
    mood = 2 * feelings[0] + sum(feelings[1:]) + 3 * (_draw(seed, person, "mood") - 0.2)
    if feelings[0] * max(feelings[1:], key=abs) < 0 and abs(mood) < 3:
        return "mixed"
    if mood <= -1:
        return "negative"
    return "positive" if mood >= 1 else "neutral"


def _quality(seed: int, person: str) -> float:
    level = _draw(seed, person, "quality level")
    if _draw(seed, person, "quality") < POOR_INTERVIEW_SHARE:
        return round(1 + 1.9 * level, 1)
    return round(3 + 2 * level, 1)


def _ease_answer(themes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "questionId": "q_ease",
        "questionText": "How easy was it to get started?",
        "questionType": "scale",
        "structuredValue": 1 + round(9 * completion_chance(themes)),
        "qualitativeAnswer": f"Mostly because of {themes[0]}.",
        "confidence": "high",
        "followUpInsights": [f"Talks about {themes[0]}"],
    }


def _draw(seed: int, person: str, purpose: str) -> float:
    """Return a number in [0, 1) that depends only on the arguments."""
    digest = hashlib.blake2b(f"{seed}|{person}|{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
