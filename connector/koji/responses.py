"""Read Koji's responses to a start and to a repeated complete, and quote its words when it refuses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from connector.domain.launches.launch import KojiStart
from connector.domain.results.koji_values import identifier
from connector.text.json import json_object
from connector.text.values import word

_LONGEST_QUOTE: Final = 120
_LOOKED_AT: Final = 500  # longer than a quote, so that nothing slips through half cut
# Koji's sentences are quoted; anything with an address, a key or an id in it is not.
_PLAIN: Final = re.compile(r"(?:(?!\S{24})[A-Za-z0-9 .,:;'_()!?-])+")
_ID_KEYS: Final = ("interview_id", "interviewId", "conversation_id", "id")
_TOKEN_KEYS: Final = ("session_token", "sessionToken")
_LINK_KEYS: Final = ("interview_url", "interview_link", "link", "url")


def started(answer: Mapping[str, Any]) -> KojiStart:
    """Return the ids and the link in a response to a start, in any plausible shape; missing ones are None.

    Koji documents the names `interview_id` and `session_token` alone, and no link at all.
    """
    inner = (answer.get("data"), answer.get("interview"))
    places = [answer, *(place for place in inner if isinstance(place, dict))]

    def values(keys: Sequence[str]) -> list[Any]:
        return [place.get(key) for place in places for key in keys]

    links = filter(None, map(word, values(_LINK_KEYS)))
    return KojiStart(
        interview_id=next(filter(None, map(identifier, values(_ID_KEYS))), None),
        session_token=next(filter(None, map(word, values(_TOKEN_KEYS))), None),
        link=next((link for link in links if link.startswith(("http://", "https://"))), None),
    )


def completed(answer: Mapping[str, Any] | None, interview_id: str) -> Mapping[str, Any]:
    """Return the interview in a 409 to a complete. Koji: it carries the same data as a success."""
    answer = answer or {}
    if answer.get("interview_id"):
        return answer
    return {**answer, "interview_id": interview_id, "status": "completed"}


def quoted(body: bytes, hidden: Sequence[str]) -> str:
    """Return Koji's own words in brackets; nothing when there are none, or a `hidden` text is in them."""
    problem = json_object(body) or {}
    error = problem.get("error")
    nested = (error.get("message"), error.get("code")) if isinstance(error, dict) else (error,)
    for said in (*nested, problem.get("message"), problem.get("detail")):
        if isinstance(said, str) and said.strip():
            words = " ".join(said.split())[:_LOOKED_AT]
            plain = _PLAIN.fullmatch(words) and not any(secret in words for secret in hidden)
            return f' ("{words[:_LONGEST_QUOTE]}")' if plain else ""
    return ""
