"""The MCP server: the operations as tools, with resources, prompts and completions beside them."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Any, Final

from mcp import types
from mcp.server.apps import EXTENSION_ID
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError

from connector import __version__
from connector.errors import InvalidInput
from connector.operations import OPERATIONS
from connector.service.execution.operation import AnyOperation
from mcp_server import cards, prompts, research, resources
from mcp_server.completions import completion
from mcp_server.host import Host, Request
from mcp_server.package import INSTRUCTIONS, PACKAGE, TITLE
from mcp_server.tools import catalogue
from mcp_server.tools.call import Calling, answered

_MINUTE: Final = 60_000
_Page = types.PaginatedRequestParams | None
_LISTS: Final = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")


def create_server(
    host: Host, keys: Sequence[bytes], operations: Sequence[AnyOperation] = OPERATIONS
) -> tuple[Server[Any], Calling]:
    """Return the server, and its calls, which are to be closed before the context is.

    `keys` are the ledger's encryption keys. They seal what a client carries from the question to its answer,
    so that any process on the same ledger can take the answer up.
    """
    calling = Calling(host, operations)

    async def list_tools(request: Request, _: _Page) -> types.ListToolsResult:
        caller = host.caller(request)
        tools = [catalogue.tool(op) for op in catalogue.visible(operations, caller)]
        if cards.are_shown(request):
            tools = [cards.with_card(tool) for tool in tools]
        return types.ListToolsResult(tools=[*tools, *research.offered(caller)])

    async def call_tool(
        request: Request, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        if research.asked(host.caller(request), params.name):
            return await answered(params.name, research.answer(host, calling, request, params))
        return await calling.call(request, params)

    async def list_resources(request: Request, _: _Page) -> types.ListResourcesResult:
        card = [cards.CARD] if cards.are_shown(request) else []
        return types.ListResourcesResult(resources=[*resources.RESOURCES, *card])

    async def list_templates(_: Request, __: _Page) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=list(resources.TEMPLATES))

    async def read(request: Request, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        return types.ReadResourceResult(
            contents=[await resources.contents(str(params.uri), request, calling)]
        )

    async def list_prompts(_: Request, __: _Page) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[ready.prompt for ready in prompts.PROMPTS])

    async def get_prompt(_: Request, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        try:
            return prompts.prompt(params.name, params.arguments)
        except InvalidInput as error:
            raise MCPError(types.INVALID_PARAMS, error.message) from None

    async def complete(request: Request, params: types.CompleteRequestParams) -> types.CompleteResult:
        return types.CompleteResult(completion=await completion(params, request, calling))

    def input_schema(name: str) -> dict[str, Any] | None:
        op = calling.by_name.get(name)
        tool = catalogue.tool(op) if op else research.TOOLS.get(name)
        return tool.input_schema if tool else None

    server: Server[Any] = Server(
        PACKAGE,
        version=__version__,
        title=TITLE,
        instructions=INSTRUCTIONS,
        cache_hints=dict.fromkeys(_LISTS, CacheHint(ttl_ms=_MINUTE, scope="private")),
        get_tool_input_schema=input_schema,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )
    server.extensions[EXTENSION_ID] = {}
    security = RequestStateSecurity(
        keys=[hmac.digest(key, b"mcp request state", "sha256") for key in keys],
        bind_principal=lambda request: host.caller(request).name,
    )
    server.middleware.append(_instruct(host, operations))
    server.middleware.append(RequestStateBoundary(security, default_audience=PACKAGE))
    return server, calling


def _instruct(host: Host, operations: Sequence[AnyOperation]) -> ServerMiddleware[Any]:
    """Leave out of the instructions the sentences about tools that are not listed to the caller."""

    async def instruct(ctx: Request, call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if isinstance(result, dict) and "instructions" in result:
            listed = {op.name for op in catalogue.visible(operations, host.caller(ctx))}
            missing = {op.name for op in operations} - listed
            sentences = INSTRUCTIONS.split(". ")
            kept = [one for one in sentences if missing.isdisjoint(re.findall(r"\w+", one))]
            result["instructions"] = ". ".join(kept)
        return result

    return instruct
