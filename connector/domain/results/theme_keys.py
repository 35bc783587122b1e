"""Give themes stable keys: Koji words a label anew in each interview, and charts cannot group such labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

from connector.text.pattern import is_found
from connector.text.redaction import cut

USER_PROPERTY: Final = "last_interview_theme_keys"


class Theme(NamedTuple):
    """One theme of a vocabulary; `patterns` are regular expressions (`connector.text.pattern`)."""

    key: str
    title: str
    aliases: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """The themes that an operator named, in their order.

    Raises `ValueError` when two have the same name, and for a pattern that cannot be searched.
    """

    themes: tuple[Theme, ...]

    def __post_init__(self) -> None:
        for theme in self.themes:
            for pattern in theme.patterns:
                try:
                    is_found(pattern, "")
                except ValueError as error:
                    raise ValueError(f"[themes.{theme.key}] pattern {pattern!r}: {error}") from None
        _ = self.names

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Return the key of each name: keys, titles and aliases in lower case."""
        keys: dict[str, str] = {}
        for theme in self.themes:
            for name in (theme.key, theme.title, *theme.aliases):
                if (other := keys.setdefault(_same(name), theme.key)) != theme.key:
                    raise ValueError(f"{name!r} is a name of [themes.{other}] and of [themes.{theme.key}]")
        return keys

    def key_of(self, label: str) -> str | None:
        """Return the key of the theme with the label as a name, else of the first with a fitting pattern."""
        if (key := self.names.get(_same(label))) is not None:
            return key
        text, patterns = cut(label), ((each, theme.key) for theme in self.themes for each in theme.patterns)
        return next((key for pattern, key in patterns if is_found(pattern, text)), None)

    def keys_of(self, labels: Iterable[str]) -> tuple[str, ...]:
        """Return the distinct keys of labels, in the order of the labels."""
        return tuple(dict.fromkeys(key for label in labels if (key := self.key_of(label)) is not None))


def event_properties(vocabulary: Vocabulary | None, labels: Iterable[str]) -> dict[str, Any]:
    """Return what a vocabulary adds to the event: nothing without one; None is a property without value."""
    if vocabulary is None:
        return {}
    keys = vocabulary.keys_of(labels)
    first, second, *_ = (*keys, None, None)
    return {"theme_key_1": first, "theme_key_2": second, "theme_keys": list(keys) or None}


def user_properties(vocabulary: Vocabulary | None, labels: Iterable[str]) -> dict[str, Any]:
    """Return what a vocabulary adds to the user properties, as `event_properties` does to the event."""
    return {} if vocabulary is None else {USER_PROPERTY: list(vocabulary.keys_of(labels)) or None}


def _same(name: str) -> str:
    return " ".join(name.split()).casefold()
