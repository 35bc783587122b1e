"""Read the vocabulary of themes from the tables of `themes.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from connector.domain.results.theme_keys import Theme, Vocabulary

_Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_Text = Annotated[str, Field(pattern=r"\S", max_length=1000)]
_FORM = (
    "[themes.KEY] with title, a text, aliases and patterns, lists of texts; KEY of letters, digits, _ and -"
)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: _Text | None = None
    aliases: tuple[_Text, ...] = ()
    patterns: tuple[_Text, ...] = ()


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    themes: dict[_Key, _Table] = {}


def vocabulary_of(content: Mapping[str, Any]) -> Vocabulary | None:
    """Return the vocabulary in the tables [themes.KEY], None without any. Raises `ValueError`."""
    try:
        tables = _Content.model_validate(content).themes
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise ValueError(f"{place} does not fit: {_FORM}") from None
    themes = [Theme(key, each.title or key, each.aliases, each.patterns) for key, each in tables.items()]
    return Vocabulary(tuple(themes)) if themes else None
