"""Styles of parameters: what is written is read again."""

from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from styles import write_query, write_text

from mockserver.openapi.wire.parameters import format_scalar, has_reserved, read_pairs, read_text
from mockserver.openapi.wire.typed import NOTHING

TEXTS = st.text(st.characters(categories=["L", "N"], include_characters="-_"), min_size=1, max_size=8)
LISTS = st.lists(TEXTS, min_size=1, max_size=4)
OBJECTS = st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=4)


def kind_of(value: Any) -> str:
    return "array" if isinstance(value, list) else "object" if isinstance(value, dict) else ""


@given(
    st.one_of(TEXTS, LISTS, OBJECTS),
    st.sampled_from(["form", "spaceDelimited", "pipeDelimited", "deepObject"]),
    st.booleans(),
)
def test_a_query_round_trip(value: Any, style: str, explode: bool) -> None:
    kind = kind_of(value)
    if style == "deepObject" and kind != "object":
        style = "form"
    if style not in {"form", "deepObject"} and not kind:
        style = "form"
    written = "&".join(f"{name}={text}" for name, text in write_query("p", value, style=style, explode=explode))
    properties = value if kind == "object" else {}

    read = read_pairs("p", parse_qsl(written), style=style, explode=explode, kind=kind, properties=properties)

    if style == "deepObject" and all(key.isdecimal() for key in value):
        assert sorted(read.values() if isinstance(read, dict) else read) == sorted(value.values())
    else:
        assert read == value


@given(st.one_of(TEXTS, LISTS, OBJECTS), st.sampled_from(["simple", "label", "matrix"]), st.booleans())
def test_a_path_round_trip(value: Any, style: str, explode: bool) -> None:
    text = unquote(write_text("p", value, style=style, explode=explode))

    assert read_text("p", text, style=style, explode=explode, kind=kind_of(value)) == value


@pytest.mark.parametrize(
    ("query", "style", "explode", "kind", "found"),
    [
        ("p=1&p=2", "form", True, "array", ["1", "2"]),
        ("p=1,2", "form", False, "array", ["1", "2"]),
        ("p[]=1&p[]=2", "form", True, "array", ["1", "2"]),
        ("p=a%20b", "spaceDelimited", False, "array", ["a", "b"]),
        ("p[a][b]=1&p[a][c]=2", "deepObject", True, "object", {"a": {"b": "1", "c": "2"}}),
        ("p[a]=1&p[a]=2", "deepObject", True, "object", {"a": ["1", "2"]}),
        ("p[0][a]=1&p[1][a]=2", "deepObject", True, "array", [{"a": "1"}, {"a": "2"}]),
        ("q=1", "form", True, "array", NOTHING),
        ("q=1", "deepObject", True, "object", NOTHING),
        ("a=1&z=2", "form", True, "object", {"a": "1"}),
    ],
)
def test_queries_of_clients(query: str, style: str, explode: bool, kind: str, found: Any) -> None:
    assert read_pairs("p", parse_qsl(query), style=style, explode=explode, kind=kind, properties={"a": {}}) == found


@pytest.mark.parametrize(("text", "style"), [("1", "label"), ("1", "matrix"), (";q=1", "matrix")])
def test_a_text_in_another_style_is_refused(text: str, style: str) -> None:
    with pytest.raises(ValueError, match="as the style"):
        read_text("p", text, style=style, explode=False, kind="")


@pytest.mark.parametrize(
    ("query", "style", "explode", "kind", "found"),
    [
        ("q=1&p[a]=2", "deepObject", True, "object", {"a": "2"}),
        ("p[a=1&p[b]=2", "deepObject", True, "object", {"b": "2"}),
        ("p[]=1&p[a]=2", "deepObject", True, "object", {"a": "2"}),
        ("p[a][]=1&p[a][]=2", "deepObject", True, "object", {"a": ["1", "2"]}),
        ("p[a][0]=1&p[a][1]=2", "deepObject", True, "object", {"a": ["1", "2"]}),
        ("p[a][0]=1&p[a][b]=2", "deepObject", True, "object", {"a": {"0": "1", "b": "2"}}),
        ("p[a]=1&p[a][b]=2&p[c]=3", "deepObject", True, "object", {"a": "1", "c": "3"}),
        ("p[a]=1&p[a]=2&p[a]=3", "deepObject", True, "object", {"a": ["1", "2", "3"]}),
        ("p=1&p=2", "deepObject", True, "array", ["1", "2"]),
        ("q=1", "deepObject", True, "array", NOTHING),
        ("p=a,1&p=b,2", "form", False, "object", {"b": "2"}),
        ("q=1", "form", False, "object", NOTHING),
        ("q=1", "form", True, "object", NOTHING),
        ("p=1,2&p=3&p=", "form", False, "array", ["1", "2", "3"]),
        ("p=1&p=2", "form", False, "", "2"),
        ("q=1", "form", False, "", NOTHING),
        ("p=1|2", "pipeDelimited", False, "array", ["1", "2"]),
        ("p=1%257C2", "pipeDelimited", False, "array", ["1", "2"]),
        ("p=1%252B2", "spaceDelimited", False, "array", ["1%2B2"]),
        ("p=1", "unknown", False, "array", ["1"]),
        ("p=1,2", "unknown", False, "array", ["1", "2"]),
    ],
)
def test_a_query_is_read_as_its_style_says(query: str, style: str, explode: bool, kind: str, found: Any) -> None:
    pairs = parse_qsl(query, keep_blank_values=True)

    assert read_pairs("p", pairs, style=style, explode=explode, kind=kind, properties={"a": {}}) == found


def test_a_deep_object_has_up_to_50_levels() -> None:
    def read(levels: int) -> Any:
        name = "p" + "[a]" * levels
        return read_pairs("p", [(name, "1")], style="deepObject", explode=True, kind="object", properties={})

    assert str(read(50)).count("a") == 50
    with pytest.raises(ValueError, match="is nested more than 50 levels deep") as caught:
        read(51)
    assert str(caught.value) == f"{('p' + '[a]' * 51)[:100]!r} is nested more than 50 levels deep"


@pytest.mark.parametrize(
    ("text", "style", "explode", "kind", "found"),
    [
        (";p=1;p=2", "matrix", False, "", "2"),
        (";p=a,1;p=b,2", "matrix", False, "object", {"b": "2"}),
        (";p=1,2;p=3,4", "matrix", False, "array", ["3", "4"]),
        (";a=1;b=2", "matrix", True, "object", {"a": "1", "b": "2"}),
        (".", "label", False, "array", []),
        (".", "label", False, "object", {}),
        (".1,2", "label", True, "array", ["1,2"]),
        (".a=1.b=2", "label", True, "object", {"a": "1", "b": "2"}),
        ("", "simple", False, "array", []),
        ("", "simple", True, "object", {}),
        ("a%20b=1", "simple", True, "object", {"a b": "1"}),
        ("x", "simple", False, "", "x"),
    ],
)
def test_a_text_is_read_as_its_style_says(text: str, style: str, explode: bool, kind: str, found: Any) -> None:
    assert read_text("p", text, style=style, explode=explode, kind=kind) == found


@pytest.mark.parametrize(
    ("text", "style", "said"),
    [
        ("x" * 101, "label", f"{'x' * 100!r} does not begin with '.', as the style label does"),
        ("x" * 101, "matrix", f"{'x' * 100!r} does not begin with ';', as the style matrix does"),
        (";" + "x" * 100, "matrix", f"{';' + 'x' * 99!r} does not have 'p', as the style matrix does"),
    ],
)
def test_of_a_text_in_another_style_100_characters_are_shown(text: str, style: str, said: str) -> None:
    with pytest.raises(ValueError, match="as the style") as caught:
        read_text("p", text, style=style, explode=False, kind="")

    assert str(caught.value) == said


@pytest.mark.parametrize(("value", "text"), [(None, ""), (True, "true"), (False, "false"), (1, "1"), ("x", "x")])
def test_a_scalar_as_text(value: Any, text: str) -> None:
    assert format_scalar(value) == text


@pytest.mark.parametrize(
    "text", ["a:b", "a/b", "a?", "#", "[", "]", "@", "!", "$", "&", "'", "(", ")", "*", "+", ",", "="]
)
def test_reserved_characters_are_those_of_rfc_3986(text: str) -> None:
    assert has_reserved(text)
    assert not has_reserved("a-b.c_d~e%3A")
