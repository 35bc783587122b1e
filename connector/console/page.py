"""Make pages from templates. What respondents and upstreams said is text and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup, escape
from starlette.responses import Response

from connector.console.words import SHAPES, change, duration, words
from connector.domain.results.mapping import iso
from connector.http import html
from connector.http.endpoint import NO_STORE
from connector.text.redaction import cut
from connector.text.values import people_of

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC: Final = Path(__file__).with_name("static")
HEADERS: Final = {
    **html.HEADERS,
    **NO_STORE,
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
}
_NONE: Final = Markup("\N{EN DASH}")
_LONGEST: Final = 300
_LONGEST_DOCUMENT: Final = 200_000


@cache
def _templates() -> Environment:
    made = html.environment(Path(__file__).with_name("templates"))
    made.filters |= {
        "when": _when,
        "moment": lambda millis: _when(None if millis is None else iso(millis)),
        "said": _said,
        "state": _state,
        "pretty": _pretty,
        "people": people_of,
        "words": words,
        "change": change,
        "duration": duration,
        "percent": _percent,
        "number": lambda value: _NONE if value is None else f"{value:,}",
    }
    return made


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a page."""
    text = _templates().get_template(template).render(**values)
    return Response(text, status, HEADERS, media_type="text/html")


def _when(iso: str | None, *, exact: bool = False) -> Markup:
    """Return a time in UTC; the script shows it in the reader's zone, and the title keeps UTC.

    Midnight is a day, whose hour is not kept, unless it is `exact`.
    """
    if iso is None:
        return _NONE
    at = datetime.fromisoformat(iso).astimezone(UTC)
    if not exact and (at.hour, at.minute, at.second) == (0, 0, 0):
        return Markup('<time datetime="{0}" title="{0} UTC">{0}</time>').format(at.date())
    written = f"{at:%Y-%m-%d %H:%M}"
    return Markup('<time datetime="{}" title="{} UTC">{} UTC</time>').format(
        f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M:%S}", written
    )


def _said(text: str | None, limit: int = _LONGEST) -> Markup:
    """Return a text from outside: its direction of writing does not reach beyond it."""
    return _NONE if not text else Markup("<bdi>{}</bdi>").format(cut(text, limit))


def _state(name: str) -> Markup:
    """Return a state as a sign and a word."""
    sign = SHAPES.get(name, "○")
    return Markup('<span class="state is-{}"><span aria-hidden="true">{}</span> {}</span>').format(
        name, sign, name.replace("_", " ")
    )


def _percent(share: float | None) -> str:
    """Return a share without more digits than small numbers bear."""
    if share is None:
        return _NONE
    return f"{share:.1%}" if 0 < share < 0.02 else f"{share:.0%}"


def _pretty(value: Any) -> Markup:
    """Return a JSON value as text for a person."""
    return escape(cut(json.dumps(value, indent=2, ensure_ascii=False), _LONGEST_DOCUMENT))
