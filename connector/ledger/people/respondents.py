"""The respondents of interviews, as keys of aliases: to find a person's, and keep erased persons out."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, and_, select

from connector.domain.people.same_person import ERASED_PERSON, Member
from connector.domain.results.interview import Interview
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import suppress
from connector.ledger.db.schema import alias, invitation
from connector.ledger.launches.attribution import is_ours
from connector.ledger.people.aliases import alias_keys, forgotten

_ANYBODY = f"SELECT 1 FROM alias WHERE person = {ERASED_PERSON} LIMIT 1"  # noqa: S608 - a constant of ours


def respondent_keys(key: bytes, connection: str, interview: Interview) -> tuple[int, ...]:
    """Return the keys of the person an interview names: by e-mail, then by a foreign external id."""
    if interview.anonymous:
        return ()
    keys: tuple[int, ...] = ()
    if interview.respondent_email is not None:
        keys = alias_keys(key, connection, Member(None, interview.respondent_email, None))
    if interview.external_id is not None and not is_ours(interview.external_id):
        keys += alias_keys(key, connection, Member(interview.external_id, None, None))
    return keys


def external_key(key: bytes, connection: str, external_id: str) -> int:
    """Return the key by which interviews are found that carry an external id, ours or a foreign one."""
    return alias_keys(key, connection, Member(external_id, None, None))[-1]  # with an @, that of an e-mail


def _noted(key: bytes, connection: str, interview: Interview | None) -> tuple[int | None, int | None]:
    """Return by what an interview is found: its e-mail or else its external id, and that beside an e-mail."""
    if interview is None or interview.anonymous:
        return None, None
    told = interview.external_id
    external = None if told is None else external_key(key, connection, told)
    if interview.respondent_email is None:
        return external, None
    return alias_keys(key, connection, Member(None, interview.respondent_email, None))[0], external


def keep_out(c: Connection, key: bytes, changed: Sequence[Sync]) -> list[Sync]:
    """Note each interview's respondent; of those whose respondent was erased keep only that.

    The caller shares the suppressions: no person is erased until the end of the transaction.
    """
    noted = list(changed)
    for at, one in enumerate(changed):
        respondent, external = _noted(key, one.connection, one.facts)
        if respondent is not None:
            noted[at] = one._replace(respondent=respondent, external=external)
    if not _is_anybody_forgotten(c):
        return noted
    facts = {at: one.facts for at, one in enumerate(changed) if one.facts}
    keys = {at: respondent_keys(key, changed[at].connection, told) for at, told in facts.items()}
    out = are_forgotten(c, facts, keys)
    return [suppress(one) if at in out else one for at, one in enumerate(noted)]


def are_forgotten(
    c: Connection, interviews: dict[int, Interview], keys: dict[int, tuple[int, ...]]
) -> set[int]:
    """Return the places of interviews whose respondent or invitee was erased.

    Not even this is asked about an anonymous interview.
    """
    gone = forgotten(c, [key for mine in keys.values() for key in mine])
    ours = {
        at: one.external_id
        for at, one in interviews.items()
        if is_ours(one.external_id) and not one.anonymous
    }
    invited: set[str] = set()
    if ours:
        theirs = and_(alias.c.key == invitation.c.person, alias.c.person == ERASED_PERSON)
        query = select(invitation.c.id).join(alias, theirs).where(invitation.c.id.in_(set(ours.values())))
        invited = set(c.execute(query).scalars())
    return {at for at, mine in keys.items() if gone.intersection(mine)} | {
        at for at, external_id in ours.items() if external_id in invited
    }


def _is_anybody_forgotten(c: Connection) -> bool:
    # on the driver: asked for every batch of webhooks
    return c.exec_driver_sql(_ANYBODY).first() is not None
