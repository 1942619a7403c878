"""Values as JSON and back: what was declared travels, everything else is refused with its place."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.http import StoredBytes
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.snapshot.codec import MAX_DEPTH, TAG, Reader, Writer
from mockserver.sandbox.snapshot.registry import Registry, SnapshotError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Leaf(NamedTuple):
    number: float
    colour: Colour = Colour.RED


class Tree(NamedTuple):
    name: str
    leaves: tuple[Leaf, ...] = ()
    by_number: Mapping[int, Leaf] = {}
    anything: Any = None
    content: StoredBytes | None = None


REGISTRY = Registry()
REGISTRY.declare(Tree | None)

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()) | st.binary()
)
jsonish = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just(TAG), inner) | st.lists(inner).map(tuple),
    max_leaves=8,
)
leaves = st.builds(Leaf, st.floats(allow_nan=False), st.sampled_from(Colour))
trees = st.builds(
    Tree,
    name=st.text(),
    leaves=st.lists(leaves, max_size=3).map(tuple),
    by_number=st.dictionaries(st.integers(-(2**63), 2**64 - 1), leaves, max_size=3),
    anything=jsonish,
    content=st.none(),
)


def carried(value: Any, hint: Any = Any) -> Any:
    """What arrives at the other end."""
    writer = Writer(REGISTRY, 10**9)
    in_pieces = orjson.loads(b"".join(writer.encode(value)))
    assert in_pieces == orjson.loads(orjson.dumps(writer.write(value)))
    document = {"value": in_pieces, "blobs": orjson.loads(b"".join(writer.encode_blobs()))}
    return Reader(REGISTRY, document["blobs"]).read(document["value"], hint, "value")


def told(value: Any, hint: Any = Any, blobs: Any = ()) -> str:
    """Why a document is refused."""
    with pytest.raises(SnapshotError) as refused:
        Reader(REGISTRY, list(blobs)).read(value, hint, "value")
    return str(refused.value)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down; True is not 1, and -0.0 is not 0.0."""
    return repr(one) == repr(other) and one == other


@given(trees)
def test_declared_types_survive_an_export(tree: Tree) -> None:
    assert same(carried(tree, Tree), tree)


@given(jsonish)
def test_plain_values_survive_an_export(value: Any) -> None:
    assert same(carried(value), value)


@pytest.mark.parametrize("value", ["\ud800", math.inf, -math.inf, 2**200, -(2**64), {TAG: 1}, {1: 2, (3,): None}, ""])
def test_values_that_json_lacks_survive_an_export(value: Any) -> None:
    assert same(carried(value), value)


@pytest.mark.parametrize("size", [0, 5, 3 * 1024 * 1024])
def test_a_blob_survives_an_export_and_is_written_once(size: int) -> None:
    blob = Blob.in_memory(b"x" * size)
    writer = Writer(REGISTRY, 10**9)

    arrived = carried(Tree("a", content=blob, anything=[blob]), Tree)
    writer.write([blob, blob])

    assert arrived.content.read() == blob.read()
    assert arrived.content is arrived.anything[0]
    assert len(orjson.loads(b"".join(writer.encode_blobs()))) == 1


def test_json_of_any_allowed_depth_survives_an_export() -> None:
    value: Any = 1
    for _ in range(2 * MAX_DEPTH):
        value = {"in": value}

    assert carried(value) == value


def test_a_value_that_is_nested_too_deeply_is_not_exported() -> None:
    value: Any = []
    for _ in range(600):
        value = [value]

    with pytest.raises(SnapshotError, match="nested too deeply"):
        Writer(REGISTRY, 10**9).write(value)


@pytest.mark.parametrize("value", [object(), {"a": [object()]}, Exception, 3j])
def test_an_undeclared_type_is_not_exported(value: Any) -> None:
    with pytest.raises(SnapshotError, match="none of the values"):
        Writer(REGISTRY, 10**9).write(value)


@pytest.mark.parametrize("value", ["x" * 1001, b"x" * 751, [1] * 63, Blob.in_memory(b"x" * 751), {"x" * 1001: None}])
def test_more_than_was_allowed_is_not_written(value: Any) -> None:
    with pytest.raises(SnapshotError, match="more than 1000 bytes"):
        Writer(REGISTRY, 1000).write(value)


def test_as_much_as_was_allowed_is_written() -> None:
    assert Writer(REGISTRY, 1000).write("x" * 984) == "x" * 984


LEAF = {TAG: "Leaf", "number": 1.5}


@pytest.mark.parametrize(
    ("value", "place", "why"),
    [
        ({TAG: "os.system", "v": "true"}, "value", "'os.system' is no known tag"),
        ({TAG: ["bytes"], "v": ""}, "value", "no known tag"),
        ({TAG: "bytes", "v": "", "w": ""}, "value", "more than its value"),
        ({TAG: "bytes", "v": "?"}, "value", "no base64"),
        ({TAG: "bytes"}, "value", "no base64"),
        ({TAG: "text", "v": "/w=="}, "value", "no text"),
        ({TAG: "float", "v": "nan"}, "value", "wanted inf"),
        ({TAG: "float", "v": []}, "value", "wanted inf"),
        ({TAG: "int", "v": 5}, "value", "no whole number"),
        ({TAG: "int", "v": "f" * 5000}, "value", "more than 256 digits"),
        ({**LEAF, "number": {TAG: "int", "v": hex(2**64)}}, "value.number", "18446744073709551616 is not float"),
        ({TAG: "json", "v": "{"}, "value", "no JSON"),
        ({TAG: "json", "v": "[" * 253 + "]" * 253}, "value", "nested too deeply"),
        ({TAG: "tuple", "v": {}}, "value", "wanted a list"),
        ({TAG: "dict", "v": [[1]]}, "value", "list of pairs"),
        ({TAG: "dict", "v": [[[], 1]]}, "value", "no keys"),
        ({TAG: "blob", "v": 1}, "value", "there are 1 blobs"),
        ({TAG: "blob", "v": True}, "value", "there are 1 blobs"),
        ({TAG: "blob", "v": -1}, "value", "there are 1 blobs"),
        ({"a": [0, {TAG: "Leaf"}]}, "value.a[1]", "Leaf has the fields number, colour; here are "),
        ({**LEAF, "size": 1}, "value", "Leaf has the fields"),
        ({**LEAF, "number": "1"}, "value.number", "'1' is not float"),
        ({**LEAF, "number": True}, "value.number", "True is not float"),
        ({**LEAF, "colour": "red"}, "value.colour", "'red' is not Colour"),
        ({**LEAF, "colour": {TAG: "Colour", "v": "green"}}, "value.colour", "no Colour"),
        ({TAG: "Tree", "name": "a", "leaves": [LEAF]}, "value.leaves", "is not tuple"),
        ({TAG: "Tree", "name": "a", "by_number": {"1": LEAF}}, "value.by_number", "is not Mapping"),
        ({TAG: "Tree", "name": "a", "content": "b"}, "value.content", "'b' is not "),
        ({TAG: "Tree", "name": None}, "value.name", "None is not str"),
        ({TAG: "Tree", "name": {TAG: "text", "v": "7aCA"}}, "value.name", "is not str"),
    ],
)
def test_an_invalid_export_is_rejected_with_its_place(value: Any, place: str, why: str) -> None:
    complaint = told(value, blobs=[""])

    assert complaint.startswith(f"{place}: ")
    assert why in complaint


@pytest.mark.parametrize("blobs", [None, {}, [5], ["?"]])
def test_invalid_blobs_in_an_export_are_rejected(blobs: Any) -> None:
    with pytest.raises(SnapshotError, match=r"^blobs"):
        Reader(REGISTRY, blobs)


def test_a_document_nested_without_end_is_refused() -> None:
    value: Any = 1
    for _ in range(500):
        value = [value]

    assert "nested too deeply" in told(value)


def test_a_whole_number_is_good_where_a_float_is_wanted() -> None:
    assert Reader(REGISTRY, []).read({**LEAF, "number": 2}, Leaf, "value") == Leaf(2)


def test_fields_that_an_export_lacks_have_their_defaults() -> None:
    assert Reader(REGISTRY, []).read(LEAF, Leaf, "value") == Leaf(1.5, Colour.RED)


def test_two_types_of_one_name_need_two_prefixes() -> None:
    registry = Registry()
    registry.declare(Leaf)
    other = type("Leaf", (Tree,), {})

    with pytest.raises(SnapshotError, match="two types are called Leaf"):
        registry.declare(other)

    registry.declare(other, "api.")
    assert {"Leaf", "Colour", "api.Leaf"} <= registry.forms.keys()
