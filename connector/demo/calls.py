"""Call the demo's two servers, over HTTP like every caller."""

from __future__ import annotations

from typing import Any

import httpx

from connector.demo.child import DemoError
from connector.demo.servers import Servers


class Calls:
    """The connector's operations and the sandbox's controls, as JSON. Every call raises DemoError."""

    def __init__(self, servers: Servers, client: httpx.Client) -> None:
        self._servers = servers
        self._client = client

    def call_operation(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call an operation of the connector."""
        headers = {"Authorization": f"Bearer {self._servers.token}"}
        url = f"{self._servers.connector.url}/actions/{name}"
        output: dict[str, Any] = self._call("POST", url, json=arguments, headers=headers)
        return output

    def syncs(self) -> list[dict[str, Any]]:
        """Return every sync that the connector knows, page by page."""
        page = self.call_operation("list_syncs", limit=500)
        items: list[dict[str, Any]] = page["items"]
        while page["has_more"]:
            page = self.call_operation("list_syncs", limit=500, cursor=page["next_cursor"])
            items += page["items"]
        return items

    def read_sandbox(self, path: str, **query: str | int) -> Any:
        """Read the state of a stand-in."""
        return self._call("GET", f"{self._servers.sandbox.url}/control/{path}", params=query)

    def control_sandbox(self, path: str, body: Any = None, *, method: str = "POST") -> Any:
        """Make a stand-in do something."""
        return self._call(method, f"{self._servers.sandbox.url}/control/{path}", json=body)

    def register_webhook(self) -> None:
        """Save the connector's webhook URL at Koji's stand-in, which sends a test call to it first."""
        self.control_sandbox(
            "koji/webhook", {"url": f"{self._servers.connector.url}/webhooks/koji"}, method="PUT"
        )

    def trouble(self, message: str) -> DemoError:
        """Return an error that also carries the last lines of the connector's log."""
        return DemoError(message, self._servers.connector.last_lines())

    def _call(self, method: str, url: str, **request: Any) -> Any:
        self._servers.require_running()
        path = httpx.URL(url).path
        try:
            answer = self._client.request(method, url, **request)
        except httpx.TransportError as error:
            self._servers.require_running()
            raise self.trouble(f"{path} did not answer ({type(error).__name__}).") from error
        if answer.status_code >= 400:
            raise DemoError(f"{path} answered {answer.status_code}.", answer.text[:500].splitlines())
        return answer.json()
