"""Set-up: what to paste where, and what works."""

from __future__ import annotations

from starlette.responses import Response

from connector.console.visit import Visit
from connector.settings.model import DEFAULT_CONNECTION

_TESTED = {
    "koji_api_key": "Test Koji's key",
    "amplitude_api_key": "Test Amplitude's key",
    "amplitude_secret_key": "Test Amplitude's secret key",
    "koji_webhook": "Look for a webhook",
}
"""The checks that a person repeats after a change at Koji or Amplitude, with their buttons."""


async def show(visit: Visit) -> Response:
    """Show the addresses; with `check` in the URL, also check them and the keys, which asks both services."""
    checked = await visit.run("check_connection") if "check" in visit.query else None
    url, name = visit.ctx.settings.public_url, visit.connection
    of = "" if name == DEFAULT_CONNECTION else f"/{name}"
    addresses = {
        "Koji, webhook (event interview.analysis_ready)": f"{url}/webhooks/koji{of}",
        "Amplitude, cohort webhook": f"{url}/webhooks/amplitude/cohorts{of}",
        "An assistant (MCP)": f"{url}/mcp",
        "Zapier and other programs": f"{url}/actions/",
    }
    return visit.page("setup.html", "Set-up", checked=checked, addresses=addresses, tested=_TESTED)
