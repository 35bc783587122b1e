"""Decide which Amplitude user an interview belongs to."""

from __future__ import annotations

from connector.domain.people.user_id import LONGEST, is_placeholder, whole
from connector.domain.results.interview import Interview


def amplitude_user_of(
    interview: Interview, *, null_email_is_anonymous: bool, trust_external_id: bool
) -> str | None:
    """Return the Amplitude user id of a respondent, or None for an anonymous one.

    The first of these that there is: the invitee of the external id that came back; the respondent's e-mail,
    unchanged; where trusted, an external id that we did not issue. An anonymous mark means none. A null
    e-mail is an anonymous mark where the settings say so.
    """
    if interview.anonymous:
        return None
    if interview.invitee and not is_placeholder(interview.invitee):
        return interview.invitee
    if interview.respondent_email:
        return interview.respondent_email
    if interview.email_given and null_email_is_anonymous:
        return None
    foreign = interview.external_id if trust_external_id else None
    return None if foreign is None or is_placeholder(foreign) else whole(foreign)


def is_respondent_known(interview: Interview) -> bool:
    """Tell whether the respondent is known or known to be anonymous, so that Koji need not be asked."""
    return interview.anonymous or interview.email_given or interview.external_id is not None


def unusable(user_id: str, min_id_length: int) -> str | None:
    """Return why Amplitude would refuse a user id, or would make one user of many people; else None.

    Amplitude HTTP V2: ids shorter than `min_id_length` (5 unless changed) and a list of reserved words make
    it refuse the whole request.
    """
    if len(user_id) < min_id_length:
        return f"the user id has fewer than {min_id_length} characters"
    if len(user_id) > LONGEST:
        return f"the user id has more than {LONGEST} characters"
    if is_placeholder(user_id):
        return "the user id is a word that Amplitude reserves, or another placeholder"
    return None
