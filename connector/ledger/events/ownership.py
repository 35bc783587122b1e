"""Subscriptions and callbacks end with the token that made them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, select

from connector.ledger.db.schema.access import token
from connector.ledger.db.schema.events import callback, hook, hook_delivery
from connector.ledger.events.events import in_order


def is_live(c: Connection, name: str | None) -> bool:
    """Tell whether a token is not revoked; nobody revokes it until the transaction ends."""
    revoked_at = select(token.c.revoked_at).where(token.c.name == name)
    return c.execute(revoked_at.with_for_update(read=True)).scalar() is None


def end_owned(c: Connection, name: str) -> tuple[int, int]:
    """Delete the subscriptions and callbacks that a token made; return how many of each."""
    callbacks = c.execute(delete(callback).where(callback.c.token == name)).rowcount
    return end_hooks(c, hook.c.token == name), callbacks


def end_hooks(c: Connection, *which: ColumnElement[bool]) -> int:
    """Delete subscriptions with their deliveries; return how many."""
    chosen = select(hook.c.id).where(*which).order_by(hook.c.id)
    hook_ids = c.execute(chosen.with_for_update()).scalars().all()
    c.execute(delete(hook_delivery).where(in_order(hook_delivery.c.hook_id.in_(hook_ids))))
    return c.execute(delete(hook).where(hook.c.id.in_(hook_ids))).rowcount
