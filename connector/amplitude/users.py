"""Look a user up in Amplitude (Dashboard REST API)."""

from __future__ import annotations

from typing import Final

from connector.amplitude.rest import DEFAULT_WAIT, AmplitudeRest
from connector.errors import UpstreamUnavailable
from connector.text.json import json_object

_PATH: Final = "/api/2/usersearch"
_ANSWER_LIMIT: Final = 4 * 1024 * 1024  # bytes


class AmplitudeUsersClient(AmplitudeRest):
    """One project's user search."""

    part = "user search"

    async def search(self, user: str) -> list[str]:
        """Return the user ids that are exactly `user`: one, or none.

        Amplitude Dashboard REST: the search also finds prefixes, device ids and Amplitude ids, which are left
        out; no match is a 200; both user endpoints together take 360 queries an hour. Raises
        `CredentialsRejected`, `UpstreamRejected` or `UpstreamUnavailable`.
        """
        reply = await self._get(_PATH, limit=_ANSWER_LIMIT, params={"user": user})
        try:
            # A match with null as its user id is a device on which no user signed in.
            matches = (json_object(reply.body) or {})["matches"]
            return [match["user_id"] for match in matches if match["user_id"] == user]
        except (LookupError, TypeError):
            raise UpstreamUnavailable(
                "Amplitude's user search gave a response that is not its own; check AMPLITUDE_REST_URL.",
                retry_after=DEFAULT_WAIT,
            ) from None
