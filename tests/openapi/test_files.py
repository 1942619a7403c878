"""Files read as JSON values: YAML 1.2's meaning, an error that names file and line, and a cache nobody notices."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.errors import FixtureError, SpecError
from mockserver.openapi import files, yaml_values
from mockserver.openapi.files import find_line, read_document
from mockserver.openapi.yaml_values import MAX_DEPTH

ROOT = Path(__file__).parents[2]


def json_values(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
        max_leaves=20,
    )


@pytest.fixture
def converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for bundled documents as JSON; of a checkout whose only document is `tmp_path / "openapi.yaml"`."""
    monkeypatch.setattr(files, "PACKAGE", tmp_path / "mockserver")
    monkeypatch.setattr(files, "CONVERTED", tmp_path / "mockserver/_data/converted")
    return files.CONVERTED


def written(folder: Path, content: str | bytes, name: str = "a.yaml") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal_of(path: Path) -> str:
    with pytest.raises(FixtureError) as caught:
        read_document(path, FixtureError)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "NO",
        "yes",
        "on",
        "off",
        "y",
        "2026-01-01",
        "2026-01-01T10:00:00Z",
        "010",
        "1:30",
        ".inf",
        "-.inf",
        ".nan",
        "0x1F",
        "0o17",
        "1_000",
        "1e5.5",
        "=",
        "<<",
        "1.2.3",
    ],
)
def test_words_that_only_yaml_1_1_converts_stay_text(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, f"a: {text}\n")

    assert read_document(path, SpecError) == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("TRUE", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("Null", None),
        ("0", 0),
        ("-12", -12),
        ("+1", 1),
        ("1.5", 1.5),
        (".5", 0.5),
        (".5e3", 500.0),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("-2.5E-1", -0.25),
        ("18446744073709551615", 2**64 - 1),
        ("!!str 1", "1"),
        ("!!int 7", 7),
        ("'no'", "no"),
    ],
)
def test_unquoted_yaml_values_have_the_types_of_json(tmp_path: Path, text: str, value: object) -> None:
    path = written(tmp_path, f"a: {text}\n")

    read = read_document(path, SpecError)["a"]

    assert (read, type(read)) == (value, type(value))


def test_keys_are_always_text(tmp_path: Path) -> None:
    path = written(tmp_path, "200: a\nnull: b\ntrue: c\n1.5: d\n'<<': e\n=: f\n")

    assert read_document(path, SpecError) == {"200": "a", "null": "b", "true": "c", "1.5": "d", "<<": "e", "=": "f"}


@given(value=json_values(st.text()))
def test_every_json_file_reads_as_its_value(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = written(tmp_path_factory.getbasetemp(), orjson.dumps(value), "any.json")

    assert read_document(path, SpecError) == value


@given(value=json_values(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]))))
def test_json_is_yaml(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = written(tmp_path_factory.getbasetemp(), orjson.dumps(value), "any.yaml")

    first, second = read_document(path, SpecError), read_document(path, SpecError)

    assert orjson.dumps(first) == orjson.dumps(second) == orjson.dumps(value)


def test_merge_keys_are_supported_and_own_keys_win(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
first: &first {a: 1, b: 1}
second: &second {<<: *first, b: 2, c: 2}
third: {c: 3, <<: [*first, *second], d: 3}
fourth: {<<: *first, <<: *second}
""",
    )

    read = read_document(path, SpecError)

    assert read["second"] == {"a": 1, "b": 2, "c": 2}
    assert read["third"] == {"a": 1, "b": 1, "c": 3, "d": 3}, "of two merged mappings the first wins"
    assert read["fourth"] == {"a": 1, "b": 1, "c": 2}


def test_an_alias_is_the_same_value_again(tmp_path: Path) -> None:
    path = written(tmp_path, "a: &it [1, {b: 2}]\nc: *it\n")

    assert read_document(path, SpecError) == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


def test_an_empty_file_is_null(tmp_path: Path) -> None:
    assert read_document(written(tmp_path, ""), SpecError) is None
    assert read_document(written(tmp_path, "# nothing\n---\n", "b.yaml"), SpecError) is None


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands twice"),
        ('"a": 1\na: 2\n', 2, "the key 'a' stands twice"),
        ("b: 1\n? [a]\n: 1\n", 2, "a key must be text"),
        ("b: 1\n? {a: 1}\n: 1\n", 2, "a key must be text"),
        ("a:\n  <<: 3\n", 2, "only a mapping"),
        ("a: &it [1]\nb:\n  <<: *it\n", 1, "only a mapping"),
        ("a: 1\nb: *nope\n", 2, "undefined alias"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("- a\n b: c\n", 2, "not allowed"),
        ("a: 1\nb: [\n", 3, "expected node content"),
        ("a: 1\nb: !!python/name:os.system x\n", 2, "tag"),
        ("a: 1\nb: !mine x\n", 2, "tag"),
        ("a: 1\nb: !!binary aGVsbG8=\n", 2, "tag"),
        ("a: 1\nb: !!timestamp 2026-01-01\n", 2, "tag"),
        ("a: !!set {x}\n", 1, "tag"),
        ("a: !!map [x]\n", 1, "wanted a mapping"),
        ("a: !!seq {x: y}\n", 1, "expected a sequence"),
        ("a: 1\nb: !!int foo\n", 2, "'foo' is no int"),
        ("a: !!int ''\n", 1, "'' is no int"),
        ("a: !!bool ''\n", 1, "'' is no bool"),
        ("a: !!float .nan\n", 1, "'.nan' is no float"),
        ("a: 1\nb: 18446744073709551616\n", 2, "does not fit"),
        (f"a: {'9' * 5000}\n", 1, "digits"),
        ("a: 1\nb: 1e400\n", 2, "too large"),
        ('a: 1\nb: "\\ud800"\n', 2, "Unicode"),
        (b"a: 1\nb: \xff\n", 2, "UTF-8"),
        ("a: 1\nb: \x07\n", 2, "control characters"),
        ("a: 1\nb: \x00\n", 2, "control characters"),
        ("a:\n  " + "[" * 100_000, 2, "nested too deeply"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), 1, "nested too deeply"),
    ],
)
def test_invalid_yaml_is_rejected_with_file_and_line(
    tmp_path: Path, content: str | bytes, line: int, words: str
) -> None:
    path = written(tmp_path, content)

    message = refusal_of(path)

    assert message.startswith(f"{path}:{line}: not YAML: ")
    assert words in message
    assert len(message) < 600
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", 1),
        ('{\n\n  "a": x}', 3),
        (b'{"a": "\xff"}', 1),
        ('{"a": NaN}', 1),
        ('{"a": 1e400}', 1),
        ("[" * 100_000, 1),
        ('["\\ud800"]', 1),
        ("\ufeff{}", 1),
    ],
)
def test_invalid_json_is_rejected_with_file_and_line(tmp_path: Path, content: str | bytes, line: int) -> None:
    path = written(tmp_path, content, "a.json")

    assert refusal_of(path).startswith(f"{path}:{line}: not JSON: ")


def test_json_that_is_nested_too_deeply_is_rejected(tmp_path: Path) -> None:
    path = written(tmp_path, "[" * 500 + "]" * 500, "a.json")

    assert refusal_of(path).startswith(f"{path}: cannot be used as JSON: ")


def test_yaml_at_the_depth_limit_is_read(tmp_path: Path) -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert read_document(written(tmp_path, text), SpecError) == json.loads(text)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_yaml_may_be_nested_250_levels_deep(tmp_path: Path, opening: str, closing: str) -> None:
    fitting, beyond = (opening * levels + closing * levels for levels in (250, 251))

    assert read_document(written(tmp_path, fitting), SpecError)
    assert refusal_of(written(tmp_path, beyond, "deep.yaml")).endswith("nested too deeply")


@pytest.mark.parametrize("content", ["a: &a [*a]", "a: &a {b: *a}", "&a [1, [*a]]"])
def test_a_value_that_contains_itself_is_refused(tmp_path: Path, content: str) -> None:
    path = written(tmp_path, content)

    assert refusal_of(path) == f"{path}: cannot be written as JSON: an alias contains itself"


def laughs(levels: int, *, leaf: str, step: str) -> str:
    lines = [f"a0: &a0 {leaf}", *(f"a{n}: &a{n} {step.format(f'*a{n - 1}')}" for n in range(1, levels))]
    return "\n".join(lines)


def test_a_billion_laughs_document_is_rejected_before_expansion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, laughs(60, leaf="[x, x]", step="[{0}, {0}, {0}]"))
    dumped: list[object] = []
    monkeypatch.setattr(orjson, "dumps", dumped.append)

    message = refusal_of(path)

    assert "unfold into more than 2,000,000 values" in message
    assert dumped == [], "2 * 3^59 values were never written out"


def test_aliases_that_nest_too_deeply_are_rejected(tmp_path: Path) -> None:
    message = refusal_of(written(tmp_path, laughs(5000, leaf="[x]", step="[{0}]")))

    assert "cannot be written as JSON" in message


def test_repeated_merging_stays_small(tmp_path: Path) -> None:
    path = written(tmp_path, laughs(40, leaf="{x: 1, y: 2}", step="{{<<: [{0}, {0}, {0}]}}"))

    assert read_document(path, SpecError)["a39"] == {"x": 1, "y": 2}


def test_excessive_merging_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_values, "MAX_NODES", 10)
    path = written(tmp_path, "a: &a {b: 1, c: 2, d: 3}\ne:\n  <<: [*a, *a, *a, *a]\n")

    assert refusal_of(path) == f"{path}:3: not YAML: more than 10 values are merged"


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "directory"), ("missing.yaml", "No such file"), ("a\0b.yaml", "null byte"), ("x" * 300, "too long")],
)
def test_a_path_that_is_no_file_is_refused(tmp_path: Path, name: str, words: str) -> None:
    path = tmp_path / name

    message = refusal_of(path)

    assert message.startswith(f"{path}: ")
    assert words in message


# Bundled documents as JSON


def in_child(path: Path) -> list[str]:
    """Whether a process that reads the file imports yaml, and what it reads."""
    program = (
        "import sys; from pathlib import Path; from mockserver.openapi.files import read_document;"
        "from mockserver.errors import SpecError; value = read_document(Path(sys.argv[1]), SpecError);"
        "print('yaml' in sys.modules); print(value)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return done.stdout.splitlines()


def test_bundled_files_are_read_as_json_from_the_second_time_on() -> None:
    read_document(ROOT / "openapi.yaml", SpecError)

    assert in_child(ROOT / "openapi.yaml")[0] == "False"


def test_other_documents_are_converted_nowhere(tmp_path: Path, converted: Path) -> None:
    read_document(written(tmp_path, "a: 1\n"), SpecError)

    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"]
    assert not converted.exists()


def test_changed_content_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path, "a: 1\n")
    before = read_document(path, SpecError)

    written(tmp_path, "a: 2\n")

    assert (before, read_document(path, SpecError)) == ({"a": 1}, {"a": 2})


def test_a_corrupt_converted_file_is_replaced(tmp_path: Path, converted: Path) -> None:
    path = written(tmp_path, "a: 1\n", "openapi.yaml")
    read_document(path, SpecError)
    (entry,) = converted.iterdir()
    entry.write_bytes(b'{"a"')

    read = read_document(path, SpecError)

    assert read == {"a": 1}
    assert entry.read_bytes() == b'{"a":1}'


def test_reading_works_where_converted_files_cannot_be_written(tmp_path: Path, converted: Path) -> None:
    written(tmp_path, "", "mockserver")
    path = written(tmp_path, "a: 1\n", "openapi.yaml")
    before = sorted(tmp_path.rglob("*"))

    assert [read_document(path, SpecError) for _ in range(2)] == [{"a": 1}, {"a": 1}]
    assert sorted(tmp_path.rglob("*")) == before
    assert not converted.exists()


def test_no_half_written_converted_file_is_read(
    tmp_path: Path, converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer is stopped in the middle; another reader, in another thread, neither sees nor disturbs its draft."""
    path = written(tmp_path, "a: 1\n", "openapi.yaml")
    seen: list[object] = []
    write = Path.write_bytes

    def slowly(draft: Path, content: bytes) -> int:
        monkeypatch.setattr(Path, "write_bytes", write)
        write(draft, content[:3])
        other = threading.Thread(target=lambda: seen.append(read_document(path, SpecError)))
        other.start()
        other.join()
        assert draft.read_bytes() == content[:3], "the draft is ours alone"
        return write(draft, content)

    monkeypatch.setattr(Path, "write_bytes", slowly)
    seen.append(read_document(path, SpecError))

    assert seen == [{"a": 1}, {"a": 1}]
    assert [entry.suffix for entry in converted.iterdir()] == [".json"], "no draft stays behind"


def test_an_unfinished_converted_file_is_removed(
    tmp_path: Path, converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(draft: Path, target: Path) -> Path:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)

    assert read_document(written(tmp_path, "a: 1\n", "openapi.yaml"), SpecError) == {"a": 1}
    assert list(converted.iterdir()) == []


# Lines

DOCUMENT = """# a comment
one: 1
list:
  - a
  - deep: {x: 1,
           y: 2}
  - [p,
     q]
200: text
alias: &it
  key: value
again: *it
"""


@pytest.mark.parametrize(
    ("location", "line"),
    [
        ((), 2),
        (("one",), 2),
        (("list",), 4),
        (("list", 0), 4),
        (("list", 1, "deep", "x"), 5),
        (("list", 1, "deep", "y"), 6),
        (("list", 2, 1), 8),
        (("200",), 9),
        (("alias", "key"), 11),
        (("again", "key"), 11),
        (("missing",), 2),
        (("list", 1, "deep", "missing"), 5),
        (("list", 9), 4),
        (("list", "name"), 4),
        (("one", "under", "a", "scalar"), 2),
    ],
)
def test_the_line_of_a_value_or_of_its_nearest_parent_is_found(
    tmp_path: Path, location: tuple[str | int, ...], line: int
) -> None:
    assert find_line(written(tmp_path, DOCUMENT), location) == line


def test_lines_are_found_in_json_that_is_not_yaml(tmp_path: Path) -> None:
    path = written(tmp_path, '{\n\t"a": "\\ud83d\\ude00",\n\t"b": [\n\t\t1,\n\t\t2\n\t]\n}', "a.json")

    assert find_line(path, ("b", 1)) == 5


@pytest.mark.parametrize("content", ["a: [", b"\xff", "a: 1\n---\nb: 1\n", "[" * 100_000])
def test_an_unreadable_file_has_no_lines(tmp_path: Path, content: str | bytes) -> None:
    assert find_line(written(tmp_path, content), ("a",)) is None


def test_a_missing_or_empty_file_has_no_lines(tmp_path: Path) -> None:
    assert find_line(tmp_path / "missing", ()) is None
    assert find_line(written(tmp_path, ""), ()) is None
