"""Styles of parameters: what is written is read again."""

from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from styles import write_query, write_text

from mockserver.openapi.wire.parameters import read_pairs, read_text
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
