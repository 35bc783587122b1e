"""By which names an interview's respondent is known, and which of them are erased."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from connector.domain.people.same_person import Member, aliases
from connector.domain.results.interview import Interview

_OURS = re.compile(r"inv_[0-9a-f]{32}")


def is_ours(external_id: str | None) -> bool:
    """Tell whether an external id has the form of ours: the id of an invitation."""
    return external_id is not None and _OURS.fullmatch(external_id) is not None


def names_of(interview: Interview) -> tuple[str, ...]:
    """Return what names an interview's respondent: the e-mail's alias, then those of the external id.

    The id of an invitation of ours stands for the person it invited. An anonymous interview has none.
    """
    if interview.anonymous:
        return ()
    email, external_id = interview.respondent_email, interview.external_id
    names = () if email is None else aliases(Member(None, email, None))
    if external_id is None:
        return names
    return (*names, *((external_id,) if is_ours(external_id) else aliases(Member(external_id, None, None))))


def external_alias(external_id: str) -> str:
    """Return the alias by which interviews are found that carry an external id, ours or a foreign one."""
    return aliases(Member(external_id, None, None))[-1]  # with an @, that of an e-mail


class People(NamedTuple):
    """What the ledger knows of the people that some interviews name, as the rules need it.

    `keyed_hash` hashes an Amplitude user id and `alias_key` an alias of a connection, under a key that only
    the ledger has. `erased` holds (connection, name) of those names (`names_of`) whose person was erased.
    """

    keyed_hash: Callable[[str], str]
    alias_key: Callable[[str, str], int]
    erased: frozenset[tuple[str, str]] = frozenset()

    def is_erased(self, connection: str, interview: Interview) -> bool:
        """Tell whether an interview's respondent was erased."""
        return any((connection, name) in self.erased for name in names_of(interview))

    def keys_of(self, connection: str, interview: Interview) -> tuple[int | None, int | None]:
        """Return the keys by which an erasure finds an interview.

        The first is of the e-mail, else of the external id; the second of an external id beside an e-mail.
        """
        if interview.anonymous:
            return None, None
        email, external_id = interview.respondent_email, interview.external_id
        external = None if external_id is None else self.alias_key(connection, external_alias(external_id))
        if email is None:
            return external, None
        return self.alias_key(connection, aliases(Member(None, email, None))[0]), external
