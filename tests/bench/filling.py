"""Statements that fill a SQLite ledger with as many rows as are asked for, and one person who was interviewed."""

from __future__ import annotations

from connector.domain.people.same_person import Member
from connector.domain.results.interview import Interview, SyncStatus
from connector.domain.results.sync import Sync
from connector.domain.results.transitions import with_respondent
from connector.ledger.ledger import Ledger

RESPONDENT = Member("user-of-no-other", "no.other@example.com", None)

_FACTS = (
    '{"interview_id":"int-\' || n || \'","respondent_email":"person-\' || n || \'@example.com",'
    '"themes":["price","speed"],"quality_score":4}'
)
NUMBERS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?)"
SYNCS = f"""{NUMBERS} INSERT INTO sync (connection, interview_id, status, first_received_at, updated_at, facts,
    user_id, user_hash, identify, event, from_call, reads, tries, backfill, force, respondent, completed_at)
    SELECT 'default', 'int-' || n, 'synced', n, n, '{_FACTS}', 'user-' || n, hex(n * 7919), '{{"a":"b"}}',
    '{{"c":"d"}}', 0, 0, 1, 0, 0, n * 1000003, n FROM c"""
INBOX = f"""{NUMBERS} INSERT INTO inbox (connection, received_at, source, state, interview_id, digest, body)
    SELECT 'default', n, 'webhook', 'done', 'int-' || n, hex(n * 7907), '{_FACTS}' FROM c"""
INVITATIONS = f"""{NUMBERS} INSERT INTO invitation (id, connection, launch_id, position, state, person, register, taken_at,
    user_id, email, polls, created_at, updated_at)
    SELECT 'inv_' || printf('%032x', n), 'default', 'lau_1', n, 'completed', n * 1000003, n * 1000003, n, 'user-' || n,
    'person-' || n || '@example.com', 0, n, n FROM c"""
ALIASES = f"{NUMBERS} INSERT INTO alias (key, person) SELECT n * 1000003, n * 1000003 FROM c"


async def interviewed(ledger: Ledger, whom: Member) -> None:
    """Store an interview with a person."""
    facts = Interview("int-of-them", ready=True, email_given=True, respondent_email=whom.email)
    sync = Sync("default", "int-of-them", SyncStatus.SYNCED, 1, 1, facts=facts, user_id=whom.user_id)
    await ledger.syncs.revise([("default", "int-of-them")], lambda _, people: [with_respondent(sync, people)])
