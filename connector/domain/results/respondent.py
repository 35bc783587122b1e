"""Name the respondent of an interview, and tell whether that person was erased."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from connector.domain.people.email import same_email
from connector.domain.people.same_person import aliases_of
from connector.domain.results.interview import Interview

_OURS = re.compile(r"inv_[0-9a-f]{32}")


def is_ours(external_id: str | None) -> bool:
    """Tell whether an external id is one of ours: the id of an invitation."""
    return external_id is not None and _OURS.fullmatch(external_id) is not None


def names_of(interview: Interview) -> tuple[str, ...]:
    """Return the names of an interview's respondent: the e-mail's alias, then those of the external id.

    The id of an invitation names its invitee. An anonymous interview has no names.
    """
    if interview.anonymous:
        return ()
    email, external_id = interview.respondent_email, interview.external_id
    names = aliases_of(None, email)
    if external_id is None:
        return names
    return (*names, *((external_id,) if is_ours(external_id) else aliases_of(external_id, None)))


def external_alias(external_id: str) -> str:
    """Return the alias by which interviews with this external id are found, ours or a foreign one.

    A placeholder has the alias "", by which no person is found.
    """
    return next(reversed(aliases_of(external_id, None)), "")  # with an @, that of an e-mail


class People(NamedTuple):
    """What the rules need from the ledger about the respondents of some interviews.

    `keyed_hash` hashes an Amplitude user id and `alias_key` an alias of a connection, under a key that only
    the ledger has. `erased` holds (connection, name) for each name (`names_of`) of an erased person.
    """

    keyed_hash: Callable[[str], str]
    alias_key: Callable[[str, str], int]
    erased: frozenset[tuple[str, str]] = frozenset()

    def is_erased(self, connection: str, interview: Interview) -> bool:
        """Tell whether an interview's respondent was erased."""
        return any((connection, name) in self.erased for name in names_of(interview))

    def keys_of(self, connection: str, interview: Interview) -> tuple[int | None, int | None]:
        """Return the keys by which an erasure finds an interview.

        The first is the key of the e-mail, else of the external id; the second that of an external id beside
        an e-mail.
        """
        if interview.anonymous:
            return None, None
        email, external_id = interview.respondent_email, interview.external_id
        alias = "" if external_id is None else external_alias(external_id)
        external = self.alias_key(connection, alias) if alias else None
        if email is None:
            return external, None
        return self.alias_key(connection, f"email:{same_email(email)}"), external
