"""The things that the conformance suite calls by name, on a server of the SDK behind our own transport."""

from __future__ import annotations

import asyncio
import base64
import os
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from mcp import types as t
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.routing import Route

from connector.settings.model import Settings
from mcp_server.transports.http import security, streamable

Context = ServerRequestContext[Any, Any]
Answer = t.CallToolResult | t.InputRequiredResult
NOTHING: Final = {"type": "object", "properties": {}}
REQUESTS: Final[TypeAdapter[dict[str, Any]]] = TypeAdapter(t.InputRequests)


def _png() -> str:
    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_ = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + sum_

    head = chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\2\0\0\0")
    pixel = chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + head + pixel + chunk(b"IEND", b"")).decode()


PNG: Final = _png()
WAV: Final = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x40\x1f\0\0\1\0\x08\0data\0\0\0\0"
).decode()


def words(text: str, *, is_error: bool = False) -> t.CallToolResult:
    return t.CallToolResult(content=[t.TextContent(type="text", text=text)], is_error=is_error)


def embedded(uri: str, mime: str, text: str) -> t.EmbeddedResource:
    contents = t.TextResourceContents(uri=uri, mime_type=mime, text=text)
    return t.EmbeddedResource(type="resource", resource=contents)


IMAGE: Final = t.ImageContent(type="image", data=PNG, mime_type="image/png")
MIXED: Final = embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
CONTENTS: Final[Mapping[str, list[Any]]] = {
    "test_simple_text": [t.TextContent(type="text", text="This is a simple text response for testing.")],
    "test_image_content": [IMAGE],
    "test_audio_content": [t.AudioContent(type="audio", data=WAV, mime_type="audio/wav")],
    "test_embedded_resource": [
        embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    ],
    "test_multiple_content_types": [
        t.TextContent(type="text", text="Multiple content types test:"),
        IMAGE,
        MIXED,
    ],
}


def form(message: str, **properties: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sample(text: str, tokens: int) -> dict[str, Any]:
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": tokens}}


ROOTS: Final = {"method": "roots/list", "params": {}}
NAME: Final = form("What is your name?", name="string")
QUESTIONS: Final[Mapping[str, dict[str, Any]]] = {
    "test_input_required_result_elicitation": {"user_name": NAME},
    "test_input_required_result_sampling": {
        "capital_question": sample("What is the capital of France?", 100)
    },
    "test_input_required_result_list_roots": {"client_roots": ROOTS},
    "test_input_required_result_request_state": {"confirm": form("Please confirm", ok="boolean")},
    "test_input_required_result_tampered_state": {"confirm": form("Please confirm", ok="boolean")},
    "test_input_required_result_multiple_inputs": {
        "user_name": NAME,
        "greeting": sample("Generate a greeting", 50),
        "client_roots": ROOTS,
    },
}
WITH_STATE: Final = frozenset(
    {
        "test_input_required_result_request_state",
        "test_input_required_result_tampered_state",
        "test_input_required_result_multiple_inputs",
    }
)
STEPS: Final = {
    None: ("step1", form("Step 1: What is your name?", name="string"), "one"),
    "one": ("step2", form("Step 2: What is your favorite color?", color="string"), "two"),
}
CAPABILITIES: Final = {
    "elicitation": ("form", form("What is your name?", name="string")),
    "sampling": ("sample", sample("Say hello", 10)),
    "roots": ("roots", ROOTS),
}


def ask(requests: Mapping[str, Any], state: str | None = None) -> t.InputRequiredResult:
    return t.InputRequiredResult(input_requests=REQUESTS.validate_python(dict(requests)), request_state=state)


async def call_tool(request: Context, params: t.CallToolRequestParams) -> Answer:
    name, given = params.name, params.input_responses or {}
    if name in CONTENTS:
        return t.CallToolResult(content=CONTENTS[name])
    if name in QUESTIONS:
        missing = {key: one for key, one in QUESTIONS[name].items() if key not in given}
        if missing:
            return ask(missing, "begun" if name in WITH_STATE else None)
        answer = given.get("user_name")
        hello = (answer.content or {}).get("name") if isinstance(answer, t.ElicitResult) else "you"
        return words(f"Hello, {hello}! state-ok {sorted(given)}")
    found = OTHERS.get(name)
    if found is None:
        return words(f"Unknown tool: {name}", is_error=True)
    return await found(request, params)


async def progress(request: Context, _: t.CallToolRequestParams) -> Answer:
    for done in (0, 50, 100):
        await request.session.report_progress(done, 100)
        await asyncio.sleep(0.05)
    return words("Done.")


async def logging(request: Context, _: t.CallToolRequestParams) -> Answer:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        note = t.LoggingMessageNotificationParams(level="info", data=text)
        await request.session.send_notification(
            t.LoggingMessageNotification(params=note), related_request_id=request.request_id
        )
        await asyncio.sleep(0.05)
    return words("Done.")


async def fail(_: Context, __: t.CallToolRequestParams) -> Answer:
    return words("This tool intentionally returns an error for testing", is_error=True)


async def steps(_: Context, params: t.CallToolRequestParams) -> Answer:
    if params.request_state == "two":
        return words("All steps are done.")
    key, question, state = STEPS[params.request_state]
    return ask({key: question}, state)


async def capabilities(request: Context, params: t.CallToolRequestParams) -> Answer:
    declared = request.session.client_capabilities
    wanted = {
        key: question
        for name, (key, question) in CAPABILITIES.items()
        if getattr(declared, name, None) is not None and key not in (params.input_responses or {})
    }
    return ask(wanted) if wanted else words("Nothing to ask.")


async def missing_capability(request: Context, _: t.CallToolRequestParams) -> Answer:
    declared = request.session.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            t.MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool needs sampling.",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return words("Sampling is there.")


OTHERS: Final[Mapping[str, Callable[[Context, t.CallToolRequestParams], Awaitable[Answer]]]] = {
    "test_tool_with_progress": progress,
    "test_tool_with_logging": logging,
    "test_error_handling": fail,
    "test_input_required_result_multi_round": steps,
    "test_input_required_result_capabilities": capabilities,
    "test_missing_capability": missing_capability,
}
TOOLS: Final = [
    t.Tool(name=name, description=f"A fixture: {name}.", input_schema=NOTHING)
    for name in (*CONTENTS, *QUESTIONS, *OTHERS)
]

RESOURCES: Final[Mapping[str, Any]] = {
    "test://static-text": t.TextResourceContents(
        uri="test://static-text",
        mime_type="text/plain",
        text="This is the content of the static text resource.",
    ),
    "test://static-binary": t.BlobResourceContents(
        uri="test://static-binary", mime_type="image/png", blob=PNG
    ),
    "test://watched-resource": t.TextResourceContents(uri="test://watched-resource", text="Watched."),
}


async def read_resource(_: Context, params: t.ReadResourceRequestParams) -> t.ReadResourceResult:
    uri = str(params.uri)
    if uri in RESOURCES:
        return t.ReadResourceResult(contents=[RESOURCES[uri]])
    rest = uri.removeprefix("test://template/")
    if rest == uri or not rest.endswith("/data"):
        raise MCPError(t.INVALID_PARAMS, "There is no such resource.", {"uri": uri})
    id_ = rest.removesuffix("/data")
    text = f'{{"id":"{id_}","templateTest":true,"data":"Data for ID: {id_}"}}'
    found = t.TextResourceContents(uri=uri, mime_type="application/json", text=text)
    return t.ReadResourceResult(contents=[found])


def user(content: Any) -> t.PromptMessage:
    return t.PromptMessage(role="user", content=content)


def said(text: str) -> t.PromptMessage:
    return user(t.TextContent(type="text", text=text))


async def get_prompt(
    _: Context, params: t.GetPromptRequestParams
) -> t.GetPromptResult | t.InputRequiredResult:
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            messages = [said("This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            messages = [said(f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'")]
        case "test_prompt_with_embedded_resource":
            found = embedded(given["resourceUri"], "text/plain", "Embedded resource content for testing.")
            messages = [user(found), said("Please process the embedded resource above.")]
        case "test_prompt_with_image":
            messages = [user(IMAGE), said("Please analyze the image above.")]
        case "test_input_required_result_prompt":
            if "user_context" not in (params.input_responses or {}):
                return ask({"user_context": form("What context should the prompt use?", context="string")})
            messages = [said("With the context.")]
        case _:
            raise MCPError(t.INVALID_PARAMS, "There is no such prompt.")
    return t.GetPromptResult(messages=messages)


PROMPTS: Final = [
    t.Prompt(
        name=name,
        description=f"A fixture: {name}.",
        arguments=[t.PromptArgument(name=one, description="A fixture.", required=True) for one in arguments],
    )
    for name, arguments in (
        ("test_simple_prompt", ()),
        ("test_prompt_with_arguments", ("arg1", "arg2")),
        ("test_prompt_with_embedded_resource", ("resourceUri",)),
        ("test_prompt_with_image", ()),
        ("test_input_required_result_prompt", ()),
    )
]


def fixture_server() -> Server[Any]:
    """Return the server."""

    async def list_tools(_: Context, __: Any) -> t.ListToolsResult:
        return t.ListToolsResult(tools=TOOLS)

    async def list_resources(_: Context, __: Any) -> t.ListResourcesResult:
        listed = [t.Resource(name=uri, uri=uri, description="A fixture.") for uri in RESOURCES]
        return t.ListResourcesResult(resources=listed)

    async def list_templates(_: Context, __: Any) -> t.ListResourceTemplatesResult:
        one = t.ResourceTemplate(name="template", uri_template="test://template/{id}/data")
        return t.ListResourceTemplatesResult(resource_templates=[one])

    async def list_prompts(_: Context, __: Any) -> t.ListPromptsResult:
        return t.ListPromptsResult(prompts=PROMPTS)

    async def complete(_: Context, __: Any) -> t.CompleteResult:
        return t.CompleteResult(completion=t.Completion(values=["paris", "park", "party"]))

    async def accept(_: Context, __: Any) -> t.EmptyResult:
        return t.EmptyResult()

    server: Server[Any] = Server(
        "fixtures",
        version="1",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=accept,
        on_unsubscribe_resource=accept,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )
    server.add_request_handler("logging/setLevel", t.SetLevelRequestParams, accept)
    sealing = RequestStateSecurity(keys=[os.urandom(32)])
    server.middleware.append(RequestStateBoundary(sealing, default_audience="fixtures"))
    return server


def fixture_app(public_url: str) -> Starlette:
    """Return the server behind the transport of the product."""
    manager = streamable(fixture_server(), security(Settings(public_url=public_url)))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    return Starlette(routes=[Route("/mcp", manager.asgi_app)], lifespan=lifespan)
