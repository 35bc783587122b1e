"""Whatever a low-code tool makes of a body, the operation gets the values that were meant, or a named refusal."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from connector.errors import InvalidInput
from connector.http.body import (
    MAX_BODY_BYTES,
    MAX_FIELDS,
    MAX_FORM_FIELDS,
    BodyTooLarge,
    UnsupportedContentType,
    parse_body,
    parse_pairs,
    unflatten,
)
from connector.service.input.coerce import fit
from connector.service.input.validate import validate
from connector.text.json import MAX_NESTING

pytestmark = pytest.mark.unit

FORM = "application/x-www-form-urlencoded"


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")

    user_id: str | None = None
    email: str | None = None
    tags: list[str] | None = None
    properties: dict[str, Any] | None = None


class Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    interview_id: str | None = None
    themes: list[str] | None = None
    scores: list[float] | None = None
    quality_score: float | None = None
    limit: int = 50
    force: bool = False
    person: Person | None = None
    members: list[Person] | None = None
    interview: dict[str, Any] | None = None


def ask(values: dict[str, Any]) -> Ask:
    return validate(Ask, fit(values, Ask))


def refusal(content_type: str | None, body: bytes) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_body(content_type, body)
    return caught.value


class TestJson:
    def test_an_object(self) -> None:
        assert parse_body("application/json", b'{"a": 1}') == {"a": 1}

    @pytest.mark.parametrize(
        "content_type",
        [None, "", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"],
    )
    def test_content_types_that_are_json_or_missing(self, content_type: str | None) -> None:
        assert parse_body(content_type, b'{"a": 1}') == {"a": 1}

    def test_a_byte_order_mark_is_no_obstacle(self) -> None:
        assert parse_body(None, b'\xef\xbb\xbf{"a": 1}') == {"a": 1}

    @pytest.mark.parametrize("body", [b"", b"  \r\n"])
    @pytest.mark.parametrize("content_type", [None, "application/json", FORM, "text/xml"])
    def test_an_empty_body_has_no_values(self, content_type: str | None, body: bytes) -> None:
        assert parse_body(content_type, body) == {}

    def test_one_object_in_an_array_is_that_object(self) -> None:
        assert parse_body(None, b'[{"a": 1}]') == {"a": 1}

    @pytest.mark.parametrize("body", [b"[]", b'[{"a": 1}, {"a": 2}]', b"3", b'"text"', b"null", b"[[{}]]"])
    def test_anything_else_is_refused(self, body: bytes) -> None:
        assert refusal(None, body).reason == "invalid_input"

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"a=1",
            b'{"a": NaN}',
            b'{"a": Infinity}',
            b'{"a": "\xff"}',
            b'{"a": "\xed\xa0\x80"}',
            '{"a": 1}'.encode("utf-16"),
            b'{"a": %s}' % (b"9" * 5000),
        ],
    )
    def test_malformed_json_is_named_so_and_not_repeated(self, body: bytes) -> None:
        error = refusal("application/json", body)
        assert error.reason == "malformed_json"
        assert "a=1" not in error.message

    def test_malformed_json_names_the_place(self) -> None:
        assert "line 2, column 1" in refusal(None, b'{"a": 1,\n').message

    def test_nesting_up_to_the_limit_is_taken(self) -> None:
        depth = MAX_NESTING - 1
        assert parse_body(None, b'{"a":' + b"[" * depth + b"]" * depth + b"}")["a"] is not None

    @pytest.mark.parametrize("depth", [MAX_NESTING, 5_000, 200_000])
    def test_deeper_nesting_is_refused(self, depth: int) -> None:
        assert refusal(None, b'{"a":' + b"[" * depth + b"]" * depth + b"}").reason == "nested_too_deep"

    @pytest.mark.parametrize("text", [rb"\u0000", rb"\ud800", rb"\uDFFF x"])
    def test_text_that_no_store_takes_is_refused(self, text: bytes) -> None:
        assert refusal(None, b'{"metadata": {"k": ["%s"]}}' % text).reason == "invalid_input"
        assert refusal(None, b'{"metadata": {"%s": 1}}' % text).reason == "invalid_input"

    def test_escaped_backslashes_and_whole_surrogate_pairs_are_text(self) -> None:
        assert parse_body(None, rb'{"a": "\\u0000", "b": "\ud83d\ude00"}') == {"a": r"\u0000", "b": "😀"}

    @pytest.mark.parametrize(
        "content_type", ["text/xml", "application/xml", "text/plain", "image/png", "nonsense"]
    )
    def test_other_content_types_are_unsupported(self, content_type: str | None) -> None:
        assert isinstance(refusal(content_type, b'{"a": 1}'), UnsupportedContentType)

    def test_a_body_of_too_many_fields_is_refused(self) -> None:
        body = json.dumps({f"k{number}__b": 1 for number in range(MAX_FIELDS + 1)}).encode()
        assert refusal(None, body).message == "The body has more than 100,000 fields; send fewer."

    def test_a_body_above_the_limit_is_too_large(self) -> None:
        assert isinstance(refusal(None, b" " * (MAX_BODY_BYTES + 1)), BodyTooLarge)


class TestForms:
    def test_urlencoded(self) -> None:
        assert parse_body(FORM, b"a=1&b=caf%C3%A9+noir&c=") == {"a": "1", "b": "café noir", "c": ""}

    @pytest.mark.parametrize("body", [b"a=%FF", b"a=\xff", b"&".join([b"a=1"] * 10_001)])
    def test_malformed_urlencoded(self, body: bytes) -> None:
        assert refusal(FORM, body).reason == "malformed_form"

    def test_nul_is_refused(self) -> None:
        assert refusal(FORM, b"a=%00").reason == "invalid_input"

    def test_repeated_keys_and_brackets_are_lists(self) -> None:
        assert parse_pairs(
            [("a", "1"), ("a", "2"), ("a", "3"), ("b[]", "1"), ("c[]", "1"), ("c[]", "2")]
        ) == {
            "a": ["1", "2", "3"],
            "b": ["1"],
            "c": ["1", "2"],
        }

    def test_multipart_with_a_file(self) -> None:
        body = (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
            b'--x\r\nContent-Disposition: form-data; name="person__email"\r\n\r\n\r\n'
            b'--x\r\nContent-Disposition: form-data; name="csv"; filename="i.csv"\r\n'
            b"Content-Type: text/csv\r\n\r\ninterview_id\nint-1\r\n--x--\r\n"
        )
        assert parse_body("multipart/form-data; boundary=x", body) == {
            "a": "1",
            "person": {"email": ""},
            "csv": "interview_id\nint-1",
        }

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("multipart/form-data", b"--x--"),
            ("multipart/form-data; boundary=x", b"nothing of the kind"),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--',
            ),
        ],
    )
    def test_malformed_multipart(self, content_type: str | None, body: bytes) -> None:
        assert refusal(content_type, body).reason == "malformed_form"


class TestFlatKeys:
    def test_double_underscores_nest(self) -> None:
        assert unflatten({"a__b": 1, "a__c__d": 2, "e_f": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e_f": 3}

    def test_they_join_an_object_that_is_there(self) -> None:
        assert unflatten({"a": {"b": 1}, "a__c": 2}) == {"a": {"b": 1, "c": 2}}
        assert unflatten({"a__c": 2, "a": {"b": 1}}) == {"a": {"b": 1, "c": 2}}

    @pytest.mark.parametrize("key", ["__", "__a", "a__", "__init__", "__".join("a" * 1000)])
    def test_keys_without_two_names_stay(self, key: str) -> None:
        assert unflatten({key: 1}) == {key: 1}

    @pytest.mark.parametrize(
        "values",
        [{"a": 1, "a__b": 2}, {"a__b": 2, "a": 1}, {"a": {"b": 1}, "a__b": 1}, {"a__b": 2, "a": {"b": 1}}],
    )
    def test_two_values_for_one_field_are_refused(self, values: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput, match="given twice"):
            unflatten(values)

    def test_the_body_is_not_changed_by_it(self) -> None:
        values = {"a": {"b": 1}, "a__c": 2}
        unflatten(values)
        assert values == {"a": {"b": 1}, "a__c": 2}


class TestNotGiven:
    @pytest.mark.parametrize("empty", ["", "   ", None, []])
    def test_at_the_top(self, empty: object) -> None:
        names = ["interview_id", "themes", "quality_score", "limit", "force", "person", "members"]
        assert fit(dict.fromkeys(names, empty), Ask) == {}
        assert ask({"limit": empty}).limit == 50

    @pytest.mark.parametrize("empty", ["", "   ", None, []])
    def test_one_level_below(self, empty: object) -> None:
        assert fit({"person": {"email": empty, "user_id": "u"}}, Ask) == {"person": {"user_id": "u"}}
        assert fit({"members": [{"email": empty, "user_id": "u"}]}, Ask) == {"members": [{"user_id": "u"}]}

    def test_a_free_dictionary_keeps_its_nulls(self) -> None:
        told: dict[str, Any] = {"respondent_email": None, "themes": [], "note": ""}
        assert ask({"interview": told}).interview == told

    def test_an_unknown_field_is_not_forgotten_because_it_is_empty(self) -> None:
        with pytest.raises(InvalidInput, match="colour"):
            ask({"colour": ""})

    def test_false_and_zero_are_given(self) -> None:
        assert fit({"force": False, "limit": 0}, Ask) == {"force": False, "limit": 0}


class TestText:
    @pytest.mark.parametrize("text", ["true", " TRUE ", "1", "yes", "on"])
    def test_truth(self, text: str) -> None:
        assert ask({"force": text}).force is True

    @pytest.mark.parametrize("text", ["false", "False ", "0", "no", "off"])
    def test_untruth(self, text: str) -> None:
        assert ask({"force": text}).force is False

    @pytest.mark.parametrize(("text", "number"), [(" 4.2 ", 4.2), ("4", 4.0), ("0", 0.0)])
    def test_numbers(self, text: str, number: float) -> None:
        assert ask({"quality_score": text}).quality_score == number

    def test_whole_numbers(self) -> None:
        assert ask({"limit": " 7\n"}).limit == 7

    def test_ids_that_a_tool_made_numbers_of(self) -> None:
        assert ask({"interview_id": 12345}).interview_id == "12345"
        assert ask({"themes": [1, "a"]}).themes == ["1", "a"]
        assert ask({"members": [{"user_id": 12345}]}).members == [Person(user_id="12345")]
        assert ask({"members": [{"user_id": 12345.0}]}).members == [Person(user_id="12345")]
        for rounded in (1.5, 1e20):
            with pytest.raises(InvalidInput, match="user_id"):
                ask({"members": [{"user_id": rounded}]})

    @pytest.mark.parametrize("wrong", ["many", "4.5", "1e999"])
    def test_what_is_no_number_is_refused_without_repeating_it(self, wrong: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            ask({"limit": wrong})
        assert [one.pointer for one in caught.value.errors] == ["/limit"]
        assert wrong not in caught.value.message


class TestLists:
    @pytest.mark.parametrize(
        ("text", "items"),
        [
            ("Pricing, Speed ,,", ["Pricing", "Speed"]),
            ("Pricing, and cost\r\nSpeed\n\n", ["Pricing, and cost", "Speed"]),
            ("Pricing", ["Pricing"]),
            ('["Pricing, and cost", "Speed"]', ["Pricing, and cost", "Speed"]),
            ("[sic], Speed", ["[sic]", "Speed"]),
        ],
    )
    def test_text_is_split_at_line_breaks_else_commas(self, text: str, items: list[str]) -> None:
        assert ask({"themes": text}).themes == items

    def test_numbers_in_text(self) -> None:
        assert ask({"scores": "1, 2.5"}).scores == [1.0, 2.5]

    def test_objects_in_json_text(self) -> None:
        assert ask({"members": '[{"email": "a@example.com", "user_id": ""}]'}).members == [
            Person(email="a@example.com")
        ]
        assert ask({"interview": '{"interview_id": "int-1"}'}).interview == {"interview_id": "int-1"}

    def test_one_object_where_a_list_is_due(self) -> None:
        values = parse_body(FORM, b"members__email=a%40example.com&members__user_id=")
        assert ask(values).members == [Person(email="a@example.com")]

    def test_a_list_inside_a_person(self) -> None:
        assert ask({"person": {"tags": "a,b"}}).person == Person(tags=["a", "b"])


class TestRefusals:
    def test_every_wrong_field_is_named(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            ask({"limit": "x", "quality_score": [1], "members": [{"emial": "p@example.com"}]})
        pointers = {one.pointer: one.detail for one in caught.value.errors}
        assert set(pointers) == {"/limit", "/quality_score", "/members/0/emial"}
        assert "did you mean email?" in pointers["/members/0/emial"]
        assert "p@example.com" not in str(pointers) + caught.value.message

    def test_pointers_are_escaped(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            ask({"a/b~c": 1})
        assert caught.value.errors[0].pointer == "/a~1b~0c"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from([*Ask.model_fields, "person__email", "members__user_id", "other"])


@given(st.dictionaries(NAMES, JSON, max_size=5))
def test_any_body_becomes_an_input_or_a_refusal(values: dict[str, Any]) -> None:
    with suppress(InvalidInput):
        assert isinstance(ask(parse_body("application/json", json.dumps(values).encode())), Ask)


@given(st.sampled_from([None, FORM, "multipart/form-data; boundary=x"]), st.binary(max_size=200))
def test_any_bytes_become_values_or_a_refusal(content_type: str | None, body: bytes) -> None:
    with suppress(InvalidInput):
        assert isinstance(parse_body(content_type, body), dict)


@pytest.mark.parametrize("more", [b"", b'; filename="f"'])
def test_parts_of_a_form_are_counted(more: bytes) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a"' + more + b"\r\n\r\n\r\n"
    content_type = "multipart/form-data; boundary=b"
    assert len(parse_body(content_type, part * MAX_FORM_FIELDS + b"--b--\r\n")["a"]) == MAX_FORM_FIELDS
    with pytest.raises(InvalidInput):
        parse_body(content_type, part * (MAX_FORM_FIELDS + 1) + b"--b--\r\n")


@pytest.mark.parametrize("end", [b"--b--", b"--b--\r\n", b"--b--\r\nepilogue"])
def test_a_form_counts_once_its_closing_boundary_is_there(end: bytes) -> None:
    content_type = "multipart/form-data; boundary=b"
    form = b'--b\r\nContent-Disposition: form-data; name="dry_run"\r\n\r\ntrue\r\n' + end
    assert parse_body(content_type, form) == {"dry_run": "true"}
    for length in range(1, form.index(b"--b--") + len(b"--b--")):
        assert refusal(content_type, form[:length]).reason == "malformed_form"
