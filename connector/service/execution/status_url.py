"""The address that tells how something goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from connector.service.execution.operation import Input


def status_url(operation: str, arguments: Mapping[str, Any], public_url: str) -> str:
    """Return the address whose `GET` calls a READ operation with these arguments."""
    given = dict(arguments)
    if given.get("connection") == Input.model_fields["connection"].default:
        del given["connection"]
    query = urlencode({key: _text(value) for key, value in given.items() if value is not None}, doseq=True)
    return f"{public_url.rstrip('/')}/actions/{operation}" + (f"?{query}" if query else "")


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
