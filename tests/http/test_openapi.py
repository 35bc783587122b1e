"""The OpenAPI document and the documentation page say what the operations say, and stand alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from starlette.routing import Route

from connector import __version__, errors
from connector.app import ENDPOINTS, create_app
from connector.http.docs.openapi import openapi
from connector.http.docs.page import HEADERS, STATIC, docs_page
from connector.operations import OPERATIONS as REAL
from connector.service.execution.operation import Effect, Example, Input, Output, WaitInput
from connector.settings.sources import load
from tests.support.toys import toy

pytestmark = pytest.mark.unit

URL = "https://connector.example.com"


class Guest(BaseModel):
    email: str | None = Field(None, description="Where the letter goes.")


class InviteInput(WaitInput):
    guests: list[Guest] = Field(description="Who is <invited> & why.")
    mode: Literal["text", "voice"] = Field("text", description="How.")


class Invited(Output):
    letter_id: str = Field(description="The letter.")
    state: str | None = Field(description="How far it is.")

    def follow_up(self) -> tuple[str, dict[str, Any]] | None:
        return ("read_letter", {"letter_id": self.letter_id}) if self.state == "sending" else None


class Foreseen(Output):
    guests_total: int = Field(description="How many there would be.")


class ReadInput(Input):
    letter_id: str = Field(description="Which letter.", examples=["let-1"])
    fields: list[str] | None = Field(None, description="Only these.")


class ForgetInput(Input):
    pass


class Forgotten(Output):
    ok: bool = Field(description="Done.")


async def never(*_: object) -> Any:
    raise AssertionError


OPERATIONS = (
    toy(
        never,
        name="invite_guests",
        title="Invite guests",
        summary="Invite people; `mode` says how.",
        example=Example({"guests": [{"email": "ada@example.com"}]}, {}),
        input=InviteInput,
        output=Invited | Foreseen,
        effect=Effect.SEND,
    ),
    toy(
        never,
        name="read_letter",
        title="Read a letter",
        summary="Tell how far a letter is.",
        example=Example({"letter_id": "let-1"}, {}),
        input=ReadInput,
        output=Invited,
        effect=Effect.READ,
    ),
    toy(
        never,
        name="forget_all",
        title="Forget all",
        summary="Forget.",
        input=ForgetInput,
        output=Forgotten,
        effect=Effect.ERASE,
    ),
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi(OPERATIONS, ENDPOINTS, public_url=URL)


@pytest.fixture(scope="module")
def page(document: dict[str, Any]) -> str:
    return docs_page(OPERATIONS, document)


def schema_of(content: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = content["content"]["application/json"]["schema"]
    return schema


class TestDocument:
    def test_names_itself(self, document: dict[str, Any]) -> None:
        assert document["openapi"].startswith("3.1.")
        assert document["info"]["version"] == __version__
        assert document["servers"] == [{"url": URL}]

    def test_every_operation_is_a_path_with_its_own_words(self, document: dict[str, Any]) -> None:
        for op in OPERATIONS:
            post = document["paths"][f"/actions/{op.name}"]["post"]
            assert (post["operationId"], post["summary"], post["description"]) == (
                op.name,
                op.title,
                op.summary,
            )
            assert post["tags"] == [op.subject]

    def test_operation_ids_are_unique(self, document: dict[str, Any]) -> None:
        ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
        assert len(ids) == len(set(ids))

    def test_every_reference_leads_somewhere(self, document: dict[str, Any]) -> None:
        references = set(re.findall(r"'\$ref': '([^']+)'", str(document)))
        assert references
        for reference in references:
            target: Any = document
            for step in reference.removeprefix("#/").split("/"):
                target = target[step]

    def test_whatever_is_served_is_described(self, document: dict[str, Any], tmp_path: Path) -> None:
        app = create_app(load({"DATABASE_URL": f"sqlite:///{tmp_path}/ledger.db"}, tmp_path).settings)
        served = {
            (route.path, method.lower())
            for route in app.routes
            if isinstance(route, Route) and not route.path.startswith("/console")  # pages for people
            for method in (route.methods or set()) - {"HEAD"}
        }
        told = {(path, method) for path, ways in document["paths"].items() for method in ways}
        assert {path for path, _ in served} >= {"/hooks", "/triggers", "/integrations/census", "/me"}
        assert served - told == {
            ("/actions/{operation}", "get"),
            ("/actions/{operation}", "post"),
            ("/openapi.json", "get"),
            ("/docs", "get"),
            ("/", "get"),
        }

    def test_parts_of_an_answer_share_no_field(self) -> None:
        found = openapi(REAL, ENDPOINTS, public_url=URL)
        for path, ways in found["paths"].items():
            if started := ways.get("post", {}).get("responses", {}).get("202"):
                answered, more = schema_of(started)["allOf"]
                refs = [one["$ref"] for one in answered.get("anyOf", [answered])]
                own = [found["components"]["schemas"][ref.rpartition("/")[2]]["properties"] for ref in refs]
                assert not more["properties"].keys() & set().union(*own), path

    def test_request_bodies_are_the_inputs(self, document: dict[str, Any]) -> None:
        body = document["paths"]["/actions/invite_guests"]["post"]["requestBody"]
        schema = document["components"]["schemas"]["InviteInput"]
        assert schema_of(body) == {"$ref": "#/components/schemas/InviteInput"}
        assert body["required"] is True
        assert set(schema["properties"]) == set(InviteInput.model_fields)
        assert schema["additionalProperties"] is False
        assert document["paths"]["/actions/forget_all"]["post"]["requestBody"]["required"] is False

    def test_an_answer_in_several_shapes_names_all(self, document: dict[str, Any]) -> None:
        responses = document["paths"]["/actions/invite_guests"]["post"]["responses"]
        assert schema_of(responses["200"])["anyOf"] == [
            {"$ref": "#/components/schemas/Invited"},
            {"$ref": "#/components/schemas/Foreseen"},
        ]

    def test_202_where_an_operation_can_go_on_and_only_there(self, document: dict[str, Any]) -> None:
        paths = document["paths"]
        told = schema_of(paths["/actions/invite_guests"]["post"]["responses"]["202"])
        assert "status_url" in told["allOf"][1]["properties"]
        assert "202" not in paths["/actions/read_letter"]["post"]["responses"]
        assert "202" not in paths["/actions/forget_all"]["post"]["responses"]

    def test_each_operation_shows_its_post_and_get_is_told_once(self, document: dict[str, Any]) -> None:
        methods = {path: set(ways) for path, ways in document["paths"].items() if "/actions/" in path}
        assert methods == {f"/actions/{op.name}": {"post"} for op in OPERATIONS}
        assert str(document).count("answer GET") == 1

    def test_each_operation_has_a_tag_and_a_short_description(self) -> None:
        document = openapi(REAL, ENDPOINTS, public_url=URL)
        tags = {tag["name"] for tag in document["tags"]}
        for path, ways in document["paths"].items():
            for one in ways.values():
                assert 0 < len(one["description"]) <= 300, path
                assert set(one["tags"]) <= tags, path
                assert len(one["tags"]) == 1, path

    def test_only_what_has_an_effect_takes_an_idempotency_key(self, document: dict[str, Any]) -> None:
        paths = document["paths"]
        names = [one["name"] for one in paths["/actions/invite_guests"]["post"]["parameters"]]
        assert names == ["Idempotency-Key"]
        assert paths["/actions/read_letter"]["post"]["parameters"] == []

    def test_errors_are_problems(self, document: dict[str, Any]) -> None:
        responses = document["components"]["responses"]
        assert set(responses) == {"400", "401", "403", "404", "409", "413", "415", "422", "429", "502", "503"}
        for response in responses.values():
            schema = response["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}
        problem = document["components"]["schemas"]["Problem"]
        named = {"type", "title", "status", "detail", "code", "message", "errors", "request_id"}
        assert named <= set(problem["required"])

    def test_three_ways_to_send_the_token(self, document: dict[str, Any]) -> None:
        assert document["security"] == [{"bearer": []}, {"apiKey": []}, {"basic": []}]
        schemes = document["components"]["securitySchemes"]
        assert {name: one["type"] for name, one in schemes.items()} == {
            "bearer": "http",
            "apiKey": "apiKey",
            "basic": "http",
        }


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    parser.close()
    return parser


class TestPage:
    def test_is_well_formed(self, seen: Seen) -> None:
        assert seen.open == []

    def test_says_what_each_operation_does_takes_and_answers(self, seen: Seen) -> None:
        words = " ".join(seen.text.split())
        for op in OPERATIONS:
            assert op.title in words
            assert op.summary.replace("`", "") in words
            for model in [op.input, *([Invited, Foreseen] if op.name == "invite_guests" else [op.output])]:
                for name, field in model.model_fields.items():
                    assert name in words
                    assert field.description in words

    def test_types_in_words(self, seen: Seen) -> None:
        words = " ".join(seen.text.split())
        assert "letter_id text, required" in words
        assert "mode text or voice, default text" in words
        assert "guests list of object, required" in words
        assert "state text or null" in words
        assert "email text" in words
        assert "Where the letter goes." in words

    def test_text_is_escaped(self, page: str) -> None:
        assert "<invited>" not in page
        assert "&lt;invited&gt; &amp; why" in page

    def test_has_a_call_to_try(self, seen: Seen) -> None:
        assert f'curl "{URL}/actions/read_letter?letter_id=let-1"' in seen.text
        assert f'curl "{URL}/actions/invite_guests"' in seen.text
        assert """-d '{"guests": [{"email": "ada@example.com"}]}'""" in seen.text

    def test_explains_every_error_where_a_problem_points(self, seen: Seen) -> None:
        anchors = {attributes.get("id") for _, attributes in seen.tags}
        classes = [each for each in vars(errors).values() if isinstance(each, type)]
        raised = [each for each in classes if issubclass(each, errors.ConnectorError)]
        raised = [each for each in raised if each not in {errors.ConnectorError, errors.UpstreamError}]
        assert len(raised) == 12
        assert {cls.code for cls in raised} | {"body_too_large", "unsupported_content_type"} <= anchors

    def test_asks_no_other_server(self, seen: Seen, page: str) -> None:
        for tag, attributes in seen.tags:
            assert tag not in {"img", "iframe", "object", "style"}
            assert not {"style", "action"} & attributes.keys()
            for name in ("href", "src"):
                assert (attributes.get(name) or "#").startswith(("#", "/"))
        for file in STATIC.iterdir():
            text = file.read_text()
            assert not any(outside in text for outside in ("url(", "@import", "http:", "https:", "innerHTML"))
        assert "<script src=" in page
        assert page.count("<script") == 1, "nothing inline: the policy forbids it"

    def test_its_policy_allows_files_of_this_server_and_nothing_else(self) -> None:
        policy = HEADERS["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert set(re.findall(r"-src ([^;]+)", policy)) == {"'none'", "'self'"}

    def test_reading_operations_can_be_tried_and_no_other(self, seen: Seen) -> None:
        tried = {attributes["data-path"] for tag, attributes in seen.tags if tag == "form"}
        assert tried == {f"/actions/{op.name}" for op in OPERATIONS if op.effect is Effect.READ}
