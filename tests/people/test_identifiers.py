"""User ids, e-mail addresses and property names as forms, spreadsheets and mail programs write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.people.email import email_of, is_email, same_email
from connector.domain.people.name import name_in, name_of
from connector.domain.people.properties import carried, property_of, spellings
from connector.domain.people.same_person import Member, aliases, aliases_of, has_email, member
from connector.domain.people.user_id import is_placeholder, user_id_of
from connector.domain.results.amplitude_user import amplitude_user_of, unusable
from connector.domain.results.interview import Interview
from connector.domain.results.respondent import names_of
from connector.errors import InvalidInput
from connector.operations.get_person import PersonInput
from connector.service.input.launch_input import MemberInput
from connector.service.input.validate import read_input

pytestmark = pytest.mark.unit

PLACEHOLDERS = [
    *(
        "j***@example.com",
        "Not Set ",
        *(
            "#REF!",
            "#VALUE!",
            "#DIV/0!",
            "#NULL!",
            "#NAME?",
            "#NV",
            "#N/V",
            "#WERT!",
            "#BEZUG!",
            "#NOM?",
            "#¡REF!",
        ),
        *("{!Contact.Id}", "{$user_id}", "{customer-id}", "{user.id|default}", "<?php echo $id ?>"),
        *("__user_id__", "#user_id#", "%(user_id)s", "%s", "&lt;user_id&gt;", "Loading...", "null,null"),
        *("undefined@undefined", "00000000000000000000000000000000", "REDACTED", "[hidden]", "not logged in"),
        "\u2022\u2022\u20224711",
        "N/A",
        "n/a",
        "NULL",
        "null",
        "undefined",
        "None",
        "nil",
        "(none)",
        "NaN",
        r"\N",
        "Unknown",
        "anonymous",
    ),
    *("{{user_id}}", "{{ user.id | default: '' }}", "u-{{id}}", "${userId}", "*|UNIQID|*", "%%user_id%%"),
    *(
        "<%= user.id %>",
        "[[user_id]]",
        "#{user.id}",
        "{%user%}",
        "{user_id}",
        "<null>",
        "[none]",
        "(not set)",
    ),
    *(
        "#N/A",
        "-",
        "--",
        "?",
        '""',
        "{}",
        "0",
        "-1",
        "00000000-0000-0000-0000-000000000000",
        "[object Object]",
    ),
    *(" null ", "\u200bnull", "\ufeffN/A", "nu\u200bll", "\uff2e\uff0f\uff21"),
    *("$user_id", ":user_id", "@user_id", "None,", "'null'", '"null"', "not provided"),
    *(
        "#\u041d/\u0414",
        "#I/T",
        "#YOK",
        "#HIÁNYZIK",
        "#NENÍ_K_DISPOZICI",
        "#NEDOSTUPNÝ",
        "#\u0394/\u03a5",
        "#N/DISP",
    ),
    *("#GETTING_DATA", "#N/A N/A", "Err:504", "Fehler:504", "#ДЕЛ/0!", "Ошибка:502"),
    *("FALSCH", "FAUX", "FALSO", "ONWAAR", "ЛОЖЬ", "FAŁSZ", "WAHR", "VRAI", "VERDADERO", "YANLIŞ", "NaT"),
    *("0.00", "0,00", "0.000", "-0.0", "-1.0", "0000-00-00 00:00:00", "00:00:00:00:00:00"),
    *("N/D", "S/D", "k. A.", "unbekannt", "desconocido", "н/д", "нет данных", "not-set", "not_provided"),
    *("Wird geladen...", "Chargement\u2026"),
]
GROUPED = [
    *("5,711,001", "47,11,001", "5,711,001.00", "4 711 001", "4\u00a0711\u00a0001", "4\u202f711\u202f001"),
    *("4\u2009711\u2009001", "4'711'001", "4\u2019711\u2019001", "4.711.001", "4.711,00", "4711001,0"),
]
REAL = [
    *(
        "user-1",
        "42",
        "00042",
        "ann@example.com",
        "Ann",
        "nullable",
        "none-such",
        "NA-17",
        "Ünal",
        "日本",
        "$42",
        "@ann",
        *("#42", "#ann", "_ann_", "hidden-gem", "0000-12", "00000042", "a@undefined.example", "true north"),
        *("4.711", "123.456.789-09", "10.100.200.123", "1.2.3", "+49 171 234 567", "4,7", "12 34", "1.05"),
        *("Vero", "Nat", "#yok", "error:504", "user.0", "007.0"),
    ),
    *("{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", "auth0|5f7c8ec7", "a%20b", "x{y", "12345678901234567890"),
]


@pytest.mark.parametrize("written", PLACEHOLDERS)
def test_a_placeholder_is_no_person(written: str) -> None:
    assert is_placeholder(written)
    assert user_id_of(written) is None
    assert member(written, None, None) == Member(None, None, None)
    assert aliases_of(written, "ann@example.com") == ("email:ann@example.com",)
    assert unusable(written, 1) is not None


@pytest.mark.parametrize("written", [
    "AnonymousUser", "anonymousUser", "Guest User", "guest_user", "unknown_user", "-None-", "null_null",
    "undefined_undefined", "null:null", "%!s(<nil>)", "pd.NA", "Gast", "匿名", "неизвестно", "Optional(nil)",
])  # fmt: skip
def test_what_programs_write_for_nobody_is_no_person(written: str) -> None:
    assert user_id_of(written) is None


@pytest.mark.parametrize("marked", ["'{}", '="{}"'])
@pytest.mark.parametrize("written", ["+4915100000001", "-100200300", "@handle_a", "0012398", "\uff1dfull"])
def test_an_id_that_passed_through_a_spreadsheet_is_the_same(written: str, marked: str) -> None:
    assert user_id_of(marked.format(written)) == user_id_of(written) == written
    assert aliases_of(marked.format(written), None) == aliases_of(written, None)


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_a_member_with_a_blank_id_is_one_without(blank: str) -> None:
    given = MemberInput.model_validate({"user_id": blank, "email": "ann@example.com"})
    assert member(given.user_id, given.email, None) == Member(None, "ann@example.com", None)


@pytest.mark.parametrize("written", REAL)
def test_a_real_id_stays_as_it_is(written: str) -> None:
    assert user_id_of(written) == written
    assert f"user:{written}" in aliases(Member(written, None, None))


@pytest.mark.parametrize("written", GROUPED)
def test_a_number_with_separators_is_no_id(written: str) -> None:
    assert user_id_of(written) is None
    assert unusable(written, 1) is not None
    with pytest.raises(InvalidInput, match="user_id: is a number with separators"):
        read_input(PersonInput, {"user_id": f" {written}", "connection": "default"})


def test_a_whole_number_is_the_same_with_and_without_decimals() -> None:
    for written in ("5711001.0", "5711001.00", " 5711001.0 ", 5711001.0):
        assert user_id_of(written) == "5711001"
    external = Interview("int-1", external_id="5711001.0")
    rules = {"null_email_is_anonymous": False, "trust_external_id": True}
    assert amplitude_user_of(external, **rules) == "5711001"
    assert names_of(external) == ("user:5711001",)


def test_a_number_is_an_id_and_marks_at_its_edges_are_none_of_it() -> None:
    assert user_id_of(9_007_199_254_740_993) == "9007199254740993"
    assert user_id_of("\u200b\u2066user-1\u2069\u00ad ") == "user-1"
    assert user_id_of("us\u200ber") == "us\u200ber"  # inside, it may be another id
    assert user_id_of("x" * 1_025) is None


@pytest.mark.parametrize("placeholder", ["N/A", "{{user_id}}"])
def test_an_interview_of_a_placeholder_falls_back_to_the_address(placeholder: str) -> None:
    interview = Interview(
        "int-1", invitee=placeholder, external_id=placeholder, respondent_email="a@example.com"
    )
    rules = {"null_email_is_anonymous": False, "trust_external_id": True}
    assert amplitude_user_of(interview, **rules) == "a@example.com"
    assert amplitude_user_of(interview._replace(respondent_email=None), **rules) is None
    assert names_of(interview) == ("email:a@example.com",)


WRAPPED = [
    *("kim@example.com", " kim@example.com\t", "mailto:kim@example.com", "MAILTO:kim@example.com?subject=Hi"),
    *(
        "mailto:kim%40example.com",
        "<kim@example.com>",
        "Kim Lee <kim@example.com>",
        '"Lee, Kim" <kim@example.com>',
    ),
    *(
        '"kim@example.com"',
        "'kim@example.com'",
        "\u201ckim@example.com\u201d",
        "kim@example.com,",
        "kim@example.com;",
    ),
    *("kim@example.com.", "<mailto:kim@example.com>;", "(kim@example.com)", "kim@exam\u200bple.com"),
    *(
        "\u202akim@example.com\u202c",
        "\ufeffkim@example.com",
        "kim\u00ad@example.com",
        "Kim <mailto:kim@example.com>,",
    ),
]


@pytest.mark.parametrize("written", WRAPPED)
def test_an_address_is_unwrapped(written: str) -> None:
    assert email_of(written) == "kim@example.com"
    assert same_email(written) == "kim@example.com"
    assert member(None, written, None).email == "kim@example.com"


@pytest.mark.parametrize(
    "written",
    [
        *(
            "kim",
            "kim@",
            "@example.com",
            "kim@example.com, ann@example.com",
            "kim@@example.com",
            "kim @example.com",
        ),
        *(
            "kim@exa mple.com",
            "kim@example.com/x",
            "k(im)@example.com",
            "kim@example.com?x=1",
            "a\x01b@example.com",
        ),
        *("kim\\@example.com", "<>", "{{email}}", "a" * 310 + "@example.com"),
    ],
)
def test_what_is_no_address_is_none(written: str) -> None:
    assert not is_email(email_of(written) or "")
    assert member("user-1", written, None).email is None


def test_letter_case_stays_and_is_not_compared() -> None:
    assert email_of("Kim.O'Neil+x@Example.com") == "Kim.O'Neil+x@Example.com"
    assert same_email("Kim@Example.com") == same_email("kim@example.com")
    assert same_email("J\u00d6RG@example.com") == same_email("jo\u0308rg@example.com")
    assert is_email("jörg@müller.example")


@pytest.mark.parametrize(
    "written", ["{{email}}@example.com", "${email}@x.com", "%%email%%@x.com", "j***n@x.com"]
)
def test_an_address_with_a_merge_tag_or_a_masked_part_is_none(written: str) -> None:
    assert not is_email(written)
    assert member("user-1", written, None).email is None


def test_a_bad_address_is_remembered_as_one() -> None:
    assert member("user-1", "no address", None).has_bad_email
    assert not member("user-1", "N/A", None).has_bad_email
    assert not member("user-1", None, None).has_bad_email
    assert has_email(Member("ann@example.com", None, None))
    assert not has_email(Member("user-1", None, None))


def test_a_property_is_found_in_other_spellings_unless_the_exact_one_has_a_value() -> None:
    for name in (
        "gp:email",
        "Email",
        "E-mail",
        "e_mail",
        "EMAIL",
        "gp:Email",
        "Email Address",
        "E-Mail-Adresse",
    ):
        assert property_of({name: "ann@example.com"}, "email") == "ann@example.com"
        assert property_of({name: "ann@example.com", "email": ""}, "email") == "ann@example.com"
        assert (
            property_of({name: "other@example.com", "email": "ann@example.com"}, "email") == "ann@example.com"
        )
    assert property_of({"gp:Work Email": "a@example.com"}, "work_email") == "a@example.com"
    assert property_of({"emails": "a@example.com"}, "email") is None
    assert spellings("email") == ["email", "gp:email", "Email", "E-mail", "Email Address"]
    assert spellings("name") == ["name", "gp:name", "Name"]


@pytest.mark.parametrize("written", ["N/A", "null", " undefined ", "{{first_name}}", "Hi {{name}}", "-", ""])
def test_a_placeholder_is_no_name(written: str) -> None:
    assert member("user-1", "ann@example.com", written).name is None
    assert member("user-1", "no address", written).name is None


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"name": "Ann Lee", "First Name": "Other"}, "Ann Lee"),
        ({"First Name": "Ann", "Last Name": "Lee", "Email": "ann@example.com"}, "Ann Lee"),
        ({"firstname": "Ann", "lastname": "N/A"}, "Ann"),
        ({"name": "null", "Full Name": "Ann Lee"}, "Ann Lee"),
        ({"name": "", "given_name": "", "familyName": "Lee"}, "Lee"),
        ({"plan": "pro"}, None),
        ({}, None),
    ],
)
def test_a_name_is_found_whole_or_in_parts(properties: dict[str, str], name: str | None) -> None:
    assert name_in(properties, "name") == name


def test_an_international_domain_is_one_in_both_of_its_forms() -> None:
    for one, other in (
        ("ann@xn--mnchen-3ya.example", "Ann@MÜNCHEN.example"),
        ("a@XN--Strae-oqa.de", "a@straße.de"),
    ):
        assert same_email(one) == same_email(other)
    for odd in ("a@xn--99999999999.de", "a@xn--.de", "xn--mnchen-3ya@example.com"):
        assert same_email(odd) == odd


def test_names_of_properties_are_few_and_short() -> None:
    rows = [{f"property {row} {n}": 1 for n in range(8)} for row in range(1_000)]
    assert len(carried(rows)) == 10
    assert max(map(len, carried([{"x" * 500: 1}]))) == 60
    assert carried([]) == ()


STRANGE = st.text(
    st.characters(codec="utf-8") | st.sampled_from("\u200b\u202a\u00ad\ufeff\"'<>,;.@ \t{}[]()%$"),
    max_size=40,
)


@given(STRANGE)
def test_taking_in_twice_changes_nothing(written: str) -> None:
    if (user_id := user_id_of(written)) is not None:
        assert user_id_of(user_id) == user_id
    if (address := email_of(written)) is not None:
        assert email_of(address) == address


@given(STRANGE)
def test_an_address_is_compared_as_it_is_taken_in(written: str) -> None:
    address = f"{written}@example.com"
    assert same_email(email_of(address) or "") == same_email(address)
    if is_email(address):
        assert email_of(f"Somebody <{address}>") == email_of(address)


@given(STRANGE, STRANGE)
def test_two_members_are_one_person_only_by_what_is_left_of_their_names(one: str, other: str) -> None:
    first, second = member(one, None, None), member(other, None, None)
    if set(aliases(first)) & set(aliases(second)):
        assert first.user_id is not None
        assert second.user_id is not None
        assert first.user_id == second.user_id or same_email(first.user_id) == same_email(second.user_id)


def test_a_user_id_that_is_an_address_is_the_email_where_none_is_given() -> None:
    assert member("Kim@example.com", None, None)[:2] == ("Kim@example.com", "Kim@example.com")
    assert member("<kim@example.com>", "n/a", None)[1] == "kim@example.com"
    assert member("kim@example.com", "ann@example.com", None)[1] == "ann@example.com"
    both = member("kim@example.com", "no address", None)
    assert (both.email, both.has_bad_email) == ("kim@example.com", True)
    assert member("kim@@example.com", None, None)[1] is None


def test_a_name_is_one_line() -> None:
    assert name_of("Kim\r\nOh\x07\tLee") == "Kim Oh Lee"
