"""Take Amplitude's cohort webhooks: check the token, read the members, store, answer; a worker plans."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl

import structlog

from connector.apart import apart
from connector.domain.launches.cohort_message import CohortMessage, chunks_of, digest_of, read_head, read_rows
from connector.domain.people.properties import carried
from connector.errors import InvalidInput
from connector.http.auth import matching, token_digest
from connector.http.endpoint import parameter
from connector.http.token_throttle import Failures
from connector.http.webhooks.receiver import Exchange, Webhook, WebhookRefused, described
from connector.settings.model import DEFAULT_CONNECTION, Connection, Settings
from connector.text.json import dumps, loads

LARGEST_BODY = 20 * 1024 * 1024
_log = structlog.get_logger(__name__)


class CohortWebhook(Webhook):
    """The endpoint of `/webhooks/amplitude/cohorts` and `/webhooks/amplitude/cohorts/{connection}` (4.2)."""

    route = "/webhooks/amplitude/cohorts"
    sent = "cohorts"
    fault_event = "cohort_webhook_failed"

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._tokens = {
            name: token_digest(connection.amplitude_cohort_webhook_token.get_secret_value())
            for name, connection in settings.connections.items()
            if connection.amplitude_cohort_webhook_token is not None
        }
        self._failures = Failures()

    async def receive(self, path: str | None, exchange: Exchange) -> None:
        """Answer one request: check its token before its body is read."""
        connection = self._believed(path, exchange)
        context = self.opened()
        if connection is None:
            await self._failures.add(exchange.address, context.clock)
            raise self._refusal(path)
        sender = f"{self.sent} of {connection.name}"
        exchange.trust(sender)
        too_large = "A message has at most 20 MiB; send fewer properties."
        body = await exchange.body(LARGEST_BODY, too_large)
        now = context.clock.now()
        try:
            message, chunks, users = await apart(
                sender, len(body), _read, connection, _parameter(exchange, "cohort_id"), body, now
            )
        except InvalidInput as error:
            raise WebhookRefused(422, error.reason, error.message, errors=error.errors) from None
        except (ValueError, RecursionError):
            detail = "The body is not JSON; check the template of the webhook in Amplitude."
            raise WebhookRefused(400, "malformed_json", detail) from None
        fresh = await context.ledger.cohort_inbox.accept(message, chunks)
        if fresh:
            context.wake("cohorts")
        answer = {"status": "accepted", "duplicate": not fresh, "users": users}
        await exchange.ok(dumps(answer).encode(), "accepted" if fresh else "duplicate")
        _log.info("cohort_webhook_accepted", connection=message.connection, duplicate=not fresh, users=users)

    def _believed(self, path: str | None, exchange: Exchange) -> Connection | None:
        """Return the connection that has the token of a request; of several, the default one."""
        tokens = {name: digest for name, digest in self._tokens.items() if path in (None, name)}
        matched = matching(tokens, map(token_digest, _presented(exchange)))
        if not matched:
            return None
        return self._connections[DEFAULT_CONNECTION if DEFAULT_CONNECTION in matched else matched[0]]

    def _refusal(self, path: str | None) -> WebhookRefused:
        configured = bool(self._tokens) if path is None else path in self._tokens
        detail = (
            "The token is missing or wrong: send the value of AMPLITUDE_COHORT_WEBHOOK_TOKEN as "
            "`Authorization: Bearer TOKEN`, as `X-API-Key: TOKEN`, or as ?token= in the URL."
            if configured
            else "AMPLITUDE_COHORT_WEBHOOK_TOKEN is not set, so that no cohort can be believed."
        )
        _log.warning("cohort_webhook_refused", configured=configured)
        return WebhookRefused(401, "unauthenticated", detail)


def _read(
    connection: Connection, cohort_id: str | None, body: bytes, now: int
) -> tuple[CohortMessage, list[str], int]:
    """Return a message, its members in chunks as they are stored, and their number.

    Raises `InvalidInput`, and `ValueError` when the body is not JSON.
    """
    head, rows = read_head(loads(body.decode("utf-8-sig")), cohort_id)
    defaults = connection.of_cohort(head.cohort_id)
    members = read_rows(rows, defaults.email_property or "email", defaults.name_property or "name")
    message = CohortMessage(
        id=0,
        connection=connection.name,
        message_id=head.message_id or digest_of(head.cohort_id, body),
        cohort_id=head.cohort_id,
        cohort_name=head.cohort_name,
        in_cohort=head.in_cohort,
        computed_at=now if head.computed_at is None else head.computed_at,
        received_at=now,
        carried=dumps(carried(row.get("user_properties") or {} for row in rows)),
    )
    return message, chunks_of(members), len(members)


def _presented(exchange: Exchange) -> Iterator[bytes]:
    for name, value in exchange.headers:
        if name == b"x-api-key":
            yield value.strip()
        elif name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                yield token.strip()
    if (token_of_query := _parameter(exchange, "token")) is not None:
        yield token_of_query.encode("utf-8", "replace")


def _parameter(exchange: Exchange, name: str) -> str | None:
    # as text: given bytes, parse_qsl fails at unquoted characters that are not ASCII
    pairs = parse_qsl(exchange.query.decode("latin-1"))
    return next((value for key, value in pairs if key == name), None)


COHORT_WEBHOOK = described(
    CohortWebhook,
    "cohort_webhook",
    "Receive Amplitude's cohort webhook",
    description="Who entered or left a cohort; AMPLITUDE_COHORT_WEBHOOK_TOKEN opens it.",
    asks={
        "anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}],
        "description": "Amplitude's format, or a list of users.",
    },
    parameters=[
        parameter("cohort_id", "query", "Of which cohort a bare list is."),
        parameter("token", "query", "The token, where no header can be set."),
    ],
    refused=("400", "401", "404", "413", "415", "422", "429", "503"),
)
