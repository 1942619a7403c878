"""Values as JSON and back: what is declared travels, everything else is refused with its place."""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.http import StoredBytes
from mockserver.records import Bounds, Endless, Record
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.snapshot.values import SnapshotError, ValueReader, ValueWriter


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Leaf(Record, frozen=True, gc=False):
    number: float
    colour: Colour = Colour.RED
    until: Endless = math.inf


class Tree(Record, frozen=True, gc=False):
    name: str
    leaves: tuple[Leaf, ...] = ()
    by_number: Mapping[int, Leaf] = {}
    anything: Any = None
    content: StoredBytes | None = None
    raw: bytes = b""
    age: Annotated[int, Bounds(ge=0, le=100)] = 0

    def __post_init__(self) -> None:
        if self.name == "none":
            raise ValueError("a tree has a name")


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
scalars = scalars.filter(lambda each: not (isinstance(each, float) and math.isinf(each)))
jsonish = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("$"), inner), max_leaves=8
)
leaves = st.builds(
    Leaf, st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(Colour), st.floats(0) | st.just(math.inf)
)
trees = st.builds(
    Tree,
    name=st.text().filter(lambda name: name != "none"),
    leaves=st.lists(leaves, max_size=3).map(tuple),
    by_number=st.dictionaries(st.integers(-(2**63), 2**63 - 1), leaves, max_size=3),
    anything=jsonish,
    content=st.none(),
    raw=st.binary(),
    age=st.integers(0, 100),
)


def carried(value: Any, type_: Any = Any) -> Any:
    """What arrives at the other end."""
    writer = ValueWriter(10**9)
    text = orjson.loads(writer.write(value))
    return ValueReader(orjson.loads(b"".join(writer.write_blobs()))).read(text, type_, "value")


def told(value: Any, type_: Any = Tree, blobs: Any = ()) -> str:
    """Why a document is refused."""
    with pytest.raises(SnapshotError) as refused:
        ValueReader(list(blobs)).read(value, type_, "value")
    return str(refused.value)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down; True is not 1, and -0.0 is not 0.0."""
    return repr(one) == repr(other) and bool(one == other)


@given(trees)
def test_declared_types_survive_an_export(tree: Tree) -> None:
    assert same(carried(tree, Tree), tree)


@given(jsonish)
def test_plain_values_survive_an_export(value: Any) -> None:
    assert same(carried(value), value)


def test_a_document_is_read_by_names() -> None:
    written = orjson.loads(ValueWriter(10**9).write(Tree("oak", (Leaf(1.5),), {3: Leaf(2, Colour.BLUE, 5)}, raw=b"x")))

    first = {"number": 1.5, "colour": "red", "until": None}
    second = {"number": 2, "colour": "blue", "until": 5}
    rest = {"anything": None, "content": None, "raw": "eA==", "age": 0}
    assert written == {"name": "oak", "leaves": [first], "by_number": {"3": second}, **rest}


@pytest.mark.parametrize("size", [0, 5, 3 * 1024 * 1024])
def test_a_blob_survives_an_export_and_is_written_once(size: int) -> None:
    blob = Blob.in_memory(b"x" * size)
    writer = ValueWriter(10**9)

    texts = [orjson.loads(writer.write(Tree(name, content=blob))) for name in "ab"]
    contents = orjson.loads(b"".join(writer.write_blobs()))
    reader = ValueReader(contents)
    one, other = (reader.read(each, Tree, "value") for each in texts)

    assert one.content.read() == blob.read()
    assert one.content is other.content
    assert len(contents) == 1


def test_lists_and_objects_are_written_in_pieces() -> None:
    writer = ValueWriter(10**9)
    members = [("a", writer.write_list([1, 2])), ("b", writer.write_list([])), ('"', (writer.write(None),))]

    assert orjson.loads(b"".join(writer.write_object(members))) == {"a": [1, 2], "b": [], '"': None}


def test_json_of_any_allowed_depth_survives_an_export() -> None:
    value: Any = 1
    for _ in range(250):
        value = {"in": value}

    assert carried(value) == value


def test_a_value_that_is_nested_too_deeply_is_not_exported() -> None:
    value: Any = []
    for _ in range(5000):
        value = [value]

    with pytest.raises(SnapshotError, match="recursion"):
        ValueWriter(10**9).write(value)


@pytest.mark.parametrize("value", [object(), {"a": [object()]}, Exception, 3j, "\ud800"])
def test_what_is_no_value_is_not_exported(value: Any) -> None:
    with pytest.raises(SnapshotError):
        ValueWriter(10**9).write(value)


@pytest.mark.parametrize("value", ["x" * 1001, b"x" * 751, [1] * 600, Blob.in_memory(b"x" * 751), {"x" * 1001: None}])
def test_more_than_was_allowed_is_not_written(value: Any) -> None:
    with pytest.raises(SnapshotError, match="more than 1000 bytes"):
        ValueWriter(1000).write(value)


def test_as_much_as_was_allowed_is_written() -> None:
    assert ValueWriter(1000).write("x" * 998) == b'"%b"' % (b"x" * 998)


LEAF = {"number": 1.5}


@pytest.mark.parametrize(
    ("value", "place", "why"),
    [
        ([], "value", "Expected `object`, got `array`"),
        ({}, "value", "missing required field `name`"),
        ({"name": "a", "size": 1}, "value", "unknown field `size`"),
        ({"name": None}, "value.name", "Expected `str`, got `null`"),
        ({"name": "none"}, "value", "a tree has a name"),
        ({"name": "a", "leaves": LEAF}, "value.leaves", "Expected `array`, got `object`"),
        ({"name": "a", "leaves": [LEAF, {}]}, "value.leaves[1]", "missing required field `number`"),
        ({"name": "a", "leaves": [{"number": "1"}]}, "value.leaves[0].number", "Expected `float`, got `str`"),
        ({"name": "a", "leaves": [{"number": True}]}, "value.leaves[0].number", "Expected `float`, got `bool`"),
        (
            {"name": "a", "leaves": [{**LEAF, "colour": "green"}]},
            "value.leaves[0].colour",
            "Invalid enum value 'green'",
        ),
        ({"name": "a", "leaves": [{**LEAF, "until": -1}]}, "value.leaves[0].until", "-1 is no number from 0, or null"),
        ({"name": "a", "leaves": [{**LEAF, "until": "x"}]}, "value.leaves[0].until", "x is no number from 0"),
        ({"name": "a", "leaves": [{**LEAF, "until": True}]}, "value.leaves[0].until", "True is no number from 0"),
        ({"name": "a", "by_number": {"x": LEAF}}, "value.by_number", "Expected `int`, got `str`"),
        ({"name": "a", "raw": "?"}, "value.raw", "Invalid base64"),
        ({"name": "a", "raw": 5}, "value.raw", "Expected `bytes`, got `int`"),
        ({"name": "a", "age": 101}, "value.age", "Expected `int` <= 100"),
        ({"name": "a", "age": 10**30}, "value.age", "Expected `int` <= 100"),
        ({"name": "a", "content": 1}, "value.content", "there are 1 blobs, and none is number 1"),
        ({"name": "a", "content": True}, "value.content", "there are 1 blobs"),
        ({"name": "a", "content": -1}, "value.content", "there are 1 blobs"),
        ({"name": "a", "content": "b"}, "value.content", "there are 1 blobs"),
    ],
)
def test_an_invalid_export_is_rejected_with_its_place(value: Any, place: str, why: str) -> None:
    complaint = told(value, blobs=[""])

    assert complaint.startswith(f"{place}: ")
    assert why in complaint


@pytest.mark.parametrize("blobs", [None, {}, [5], ["?"]])
def test_invalid_blobs_in_an_export_are_rejected(blobs: Any) -> None:
    with pytest.raises(SnapshotError, match=r"^blobs"):
        ValueReader(blobs)


def test_a_type_that_cannot_be_read_is_refused() -> None:
    assert "a complex cannot be read" in told(5, complex)


def test_a_whole_number_is_good_where_a_float_is_wanted() -> None:
    assert ValueReader([]).read({"number": 2}, Leaf, "value") == Leaf(2.0)


def test_fields_that_an_export_lacks_have_their_defaults() -> None:
    assert ValueReader([]).read(LEAF, Leaf, "value") == Leaf(1.5, Colour.RED)
