"""OAuth clients, and what people let them do: digests of codes and tokens, never one itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update

from connector.domain.access import Grant, GrantSecret, OAuthClient
from connector.ledger.db.bulk import storable
from connector.ledger.db.repository import Repository, glances, reads, writes
from connector.ledger.db.schema.access import oauth_client, oauth_grant, oauth_secret

MOST_CLIENTS = 1_000
_UNUSED_KEPT = 86_400_000  # ms
_SIGNS_IN = 600_000  # ms that a person may take from an assistant's registration to their yes
_SECRETS_KEPT = 30 * 86_400_000  # ms after their end, so that a second use is still seen


class Grants(Repository):
    """Clients and grants. A grant that has ended is deleted, with its secrets."""

    @writes
    def register(self, c: Connection, client: OAuthClient, now: int) -> bool:
        """Store a client; False when it would be one too many.

        Clients without a live grant go after a day, and the oldest of them earlier when there is no room; but
        none of the last ten minutes, whose person may be about to say yes.
        """
        in_use = select(oauth_grant.c.client_id).where(oauth_grant.c.expires_at > now)
        is_unused = oauth_client.c.client_id.not_in(in_use)
        is_old = oauth_client.c.created_at < now - _UNUSED_KEPT
        c.execute(delete(oauth_client).where(is_unused, is_old))
        count: int = c.execute(select(func.count()).select_from(oauth_client)).scalar_one()
        if count >= MOST_CLIENTS:
            is_idle = oauth_client.c.created_at <= now - _SIGNS_IN
            oldest = (
                select(oauth_client.c.client_id).where(is_unused, is_idle).order_by(oauth_client.c.created_at)
            )
            ids = c.execute(oldest.limit(count - MOST_CLIENTS + 1)).scalars().all()
            count -= c.execute(delete(oauth_client).where(oauth_client.c.client_id.in_(ids))).rowcount
        if count >= MOST_CLIENTS:
            return False
        row = {**client._asdict(), "redirect_uris": json.dumps(client.redirect_uris)}
        c.execute(insert(oauth_client).values(row))
        return True

    @reads
    def client(self, c: Connection, client_id: str) -> OAuthClient | None:
        """Return a registered client."""
        query = select(oauth_client).where(oauth_client.c.client_id == storable(client_id))
        row = c.execute(query).first()
        if row is None:
            return None
        return OAuthClient(row.client_id, row.name, tuple(json.loads(row.redirect_uris)), row.created_at)

    @writes
    def begin(self, c: Connection, grant: Grant, code: GrantSecret, now: int) -> None:
        """Store a grant and its code; delete what has expired."""
        _end(c, oauth_grant.c.expires_at <= now)
        c.execute(delete(oauth_secret).where(oauth_secret.c.expires_at < now - _SECRETS_KEPT))
        lists = {"scopes": ",".join(grant.scopes), "connections": ",".join(grant.connections)}
        row = {**grant._asdict(), **lists}
        c.execute(insert(oauth_grant).values(row))
        c.execute(insert(oauth_secret).values({**code._asdict(), "grant_id": grant.id}))

    @glances
    def find(self, c: Connection, sha256: str, kind: str, now: int) -> tuple[Grant, bool] | None:
        """Return the live grant of a code or token of this kind, and whether that was spent."""
        of_secret = oauth_secret.c
        is_live = or_(of_secret.expires_at > now, of_secret.spent_at.is_not(None))
        query = select(oauth_grant, of_secret.spent_at).join(
            oauth_secret, of_secret.grant_id == oauth_grant.c.id
        )
        query = query.where(of_secret.sha256 == sha256, of_secret.kind == kind, is_live)
        row = c.execute(query.where(oauth_grant.c.expires_at > now)).first()
        return None if row is None else (_load(row), row.spent_at is not None)

    @writes
    def exchange(self, c: Connection, sha256: str, fresh: Sequence[GrantSecret], now: int) -> bool:
        """Spend a code or refresh token for fresh tokens; the grant lives as long as they do.

        False when it was spent before: one of its two holders is a thief, so its grant ends.
        """
        by_digest = oauth_secret.c.sha256 == sha256
        owner = c.execute(select(oauth_secret.c.grant_id).where(by_digest)).scalar()
        grant = oauth_grant.c.id == owner
        # locked first, as the end of a grant does
        if c.execute(select(oauth_grant.c.id).where(grant).with_for_update()).first() is None:
            return False
        spend = update(oauth_secret).where(by_digest, oauth_secret.c.spent_at.is_(None)).values(spent_at=now)
        if not c.execute(spend).rowcount:
            _end(c, grant)
            return False
        until = max(one.expires_at for one in fresh)
        c.execute(update(oauth_grant).where(grant).values(expires_at=until))
        c.execute(insert(oauth_secret), [{**one._asdict(), "grant_id": owner} for one in fresh])
        return True

    @writes
    def revoke(self, c: Connection, sha256: str, client_id: str) -> None:
        """Delete a client's access token, or end the grant of its refresh token."""
        mine = oauth_grant.c.id == oauth_secret.c.grant_id, oauth_grant.c.client_id == storable(client_id)
        query = select(oauth_secret.c.grant_id, oauth_secret.c.kind).join(oauth_grant, mine[0])
        row = c.execute(query.where(oauth_secret.c.sha256 == sha256, mine[1])).first()
        if row is not None and row.kind == "access":
            c.execute(delete(oauth_secret).where(oauth_secret.c.sha256 == sha256))
        elif row is not None:
            _end(c, oauth_grant.c.id == row.grant_id)

    @writes
    def used(self, c: Connection, grant_id: str, now: int) -> None:
        """Store that a grant was used."""
        c.execute(update(oauth_grant).where(oauth_grant.c.id == grant_id).values(used_at=now))

    @reads
    def listed(self, c: Connection, now: int) -> list[Grant]:
        """Return the grants that are live, by name."""
        query = select(oauth_grant).where(oauth_grant.c.expires_at > now)
        return [_load(row) for row in c.execute(query.order_by(oauth_grant.c.token_name, oauth_grant.c.id))]

    @writes
    def end(self, c: Connection, /, **of: str) -> None:
        """End the grants of these values, such as `id` or `token_name`; without any, all of them."""
        _end(c, *(oauth_grant.c[name] == value for name, value in of.items()))


def _end(c: Connection, *where: ColumnElement[bool]) -> None:
    c.execute(delete(oauth_grant).where(*where))
    c.execute(delete(oauth_secret).where(oauth_secret.c.grant_id.not_in(select(oauth_grant.c.id))))


def _load(row: Any) -> Grant:
    values = {name: getattr(row, name) for name in Grant._fields}
    lists = {name: tuple(values[name].split(",")) for name in ("scopes", "connections")}
    return Grant(**{**values, **lists})
