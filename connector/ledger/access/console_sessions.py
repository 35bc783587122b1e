"""Sessions of the console, and the links that begin one: digests, never a cookie or a code itself."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from connector.domain.access import ConsoleSession
from connector.ledger.db.repository import Repository, glances, writes
from connector.ledger.db.schema.access import console_session


class ConsoleSessions(Repository):
    """Sessions and links."""

    @writes
    def begin(self, c: Connection, session: ConsoleSession, now: int) -> None:
        """Store a session or a link; delete those that have expired."""
        c.execute(delete(console_session).where(console_session.c.expires_at <= now))
        c.execute(insert(console_session).values(session._asdict()))

    @glances
    def token_of(self, c: Connection, sha256: str, now: int) -> str | None:
        """Return the digest of the token that began a session, None for an unknown or expired session."""
        live = console_session.c.expires_at > now, console_session.c.is_link.is_(False)
        query = select(console_session.c.token_sha256).where(console_session.c.sha256 == sha256, *live)
        return c.execute(query).scalar()

    @writes
    def use_link(self, c: Connection, sha256: str, now: int) -> str | None:
        """Delete a link and return the digest of its token, None for an unknown, used or expired link."""
        live = console_session.c.expires_at > now, console_session.c.is_link.is_(True)
        used = delete(console_session).where(console_session.c.sha256 == sha256, *live)
        return c.execute(used.returning(console_session.c.token_sha256)).scalar()

    @writes
    def end(self, c: Connection, sha256: str | None = None) -> None:
        """Delete one session, or without a digest all sessions and links."""
        ended = delete(console_session)
        c.execute(ended if sha256 is None else ended.where(console_session.c.sha256 == sha256))
