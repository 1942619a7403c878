"""Copies what a document refers to in other files into the document itself.

Schemas become components, since they may refer to each other in a circle. Everything else (operations, parameters,
responses, examples) takes the place of its reference.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from mockserver.errors import MockServerError, Problem, SpecError
from mockserver.openapi.files import read_document
from mockserver.openapi.references import resolve_ref, walk

MAX_FILES = 5_000
"""The most files of one document."""
MAX_DEPTH = 60
"""The longest chain of references that take each other's place."""
MAX_COPIED = 5_000_000
"""The most values that are copied in place of references."""
_EXAMPLES = frozenset({"example", "examples", "default", "enum", "const", "value"})
"""Keywords whose values are data: a file is only copied there if it exists."""
_NOTHING = object()
_SCHEMA_MAPS = frozenset({"schemas", "definitions"})


def has_other_files(document: Any) -> bool:
    """Whether a reference in the document leads to another file."""
    references = (node.get("$ref") for node in walk(document) if isinstance(node, dict))
    return any(isinstance(each, str) and _is_external(each) for each in references)


class Bundle(NamedTuple):
    """A document without references to other files."""

    document: dict[str, Any]
    problems: list[Problem]
    """One for each reference that leads nowhere."""
    files: tuple[Path, ...]
    """All files that were read, or should have been."""


def bundle(document: dict[str, Any], path: Path, *, within: Path | None = None) -> Bundle:
    """The document with what it refers to in other files; with `within`, only files below that folder are read."""
    bundler = _Bundler(document, path, within)
    whole = bundler.copy(document, path.resolve(), is_schema=False, passed=())
    bundler.add_schemas(whole)
    return Bundle(whole, bundler.problems, tuple(bundler.files))


class _Bundler:
    """The bundling of one document."""

    def __init__(self, document: dict[str, Any], path: Path, within: Path | None) -> None:
        self._within = within
        self._root = path.resolve()
        self.files: dict[Path, Any] = {self._root: document}
        self._names: dict[tuple[Path, str], str] = {}
        """The component that each schema of another file becomes, by file and pointer."""
        self._waiting: list[tuple[Path, str]] = []
        is_swagger = "swagger" in document
        self._schemas = "#/definitions/" if is_swagger else "#/components/schemas/"
        library = document if is_swagger else document.get("components")
        known = library.get("definitions" if is_swagger else "schemas") if isinstance(library, dict) else None
        self._taken = set(known) if isinstance(known, dict) else set[str]()
        self._copied = 0
        self.problems: list[Problem] = []

    def copy(self, node: Any, file: Path, *, is_schema: bool, passed: tuple[str, ...], is_data: bool = False) -> Any:
        """The node without references to other files; `passed` are the references that led to it."""
        self._copied += 1
        if self._copied > MAX_COPIED:
            raise SpecError(f"its references copy more than {MAX_COPIED:,} values", str(self._root))
        if isinstance(node, list):
            return [self.copy(each, file, is_schema=is_schema, passed=passed, is_data=is_data) for each in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if isinstance(reference, str) and not (is_data and not _is_external(reference)):
            found = self._referred(node, file, is_schema=is_schema, passed=passed, is_data=is_data)
            if found is not node:
                return found
        return {key: self._member(key, each, file, is_schema, passed, is_data) for key, each in node.items()}

    def _member(  # noqa: PLR0917  one call
        self, key: str, node: Any, file: Path, is_schema: bool, passed: tuple[str, ...], is_data: bool
    ) -> Any:
        if is_schema and key == "discriminator" and isinstance(node, dict) and isinstance(node.get("mapping"), dict):
            mapping = {name: self._mapped(each, file) for name, each in node["mapping"].items()}
            return {**node, "mapping": mapping}
        is_data = is_data or (key in _EXAMPLES and not (is_schema and isinstance(node, dict) and "type" in node))
        is_schema = not is_data and (is_schema or key == "schema" or key in _SCHEMA_MAPS)
        return self.copy(node, file, is_schema=is_schema, passed=passed, is_data=is_data)

    def _mapped(self, reference: Any, file: Path) -> Any:
        """The reference in a discriminator's mapping; a plain name stays as it is."""
        is_path = isinstance(reference, str) and ("#" in reference or reference.endswith((".yaml", ".yml", ".json")))
        if not is_path or (file == self._root and not _is_external(reference)):
            return reference
        target, pointer = self._target(reference, file)
        return reference if self._read(target) is None else self._schema_name(target, pointer)

    def _referred(
        self, node: dict[str, Any], file: Path, *, is_schema: bool, passed: tuple[str, ...], is_data: bool
    ) -> Any:
        """What takes the place of a node with a reference: the node itself if nothing does."""
        reference = node["$ref"]
        if file == self._root and not _is_external(reference):
            return node
        beside = {key: each for key, each in node.items() if key != "$ref"}
        target, pointer = self._target(reference, file)
        if self._read(target) is None:
            if not is_data:
                self._complain(reference, file)
            return node if is_data else beside
        if target == self._root and not is_data:
            return {**beside, "$ref": f"#{pointer}"}
        if is_schema and not is_data:
            own = self.copy(beside, file, is_schema=True, passed=passed)
            return {**own, "$ref": self._schema_name(target, pointer)}
        key = f"{target}#{pointer}"
        found = self._value(target, pointer)
        if found is _NOTHING or key in passed or len(passed) >= MAX_DEPTH:
            self._complain(reference, file, "there is no such thing" if found is _NOTHING else "it goes in circles")
            return beside
        found = self.copy(found, target, is_schema=is_schema, passed=(*passed, key), is_data=is_data)
        return {**found, **beside} if isinstance(found, dict) else found

    def add_schemas(self, whole: dict[str, Any]) -> None:
        """Adds the schemas of other files to the document's components."""
        if not self._waiting:
            return
        library = whole if self._schemas == "#/definitions/" else whole.setdefault("components", {})
        schemas = library.setdefault(self._schemas.split("/")[-2], {})
        while self._waiting:
            file, pointer = self._waiting.pop()
            found = self._value(file, pointer)
            if found is _NOTHING:
                self._complain(f"#{pointer}", file)
                found = {}
            schemas[self._names[file, pointer]] = self.copy(found, file, is_schema=True, passed=())

    def _schema_name(self, file: Path, pointer: str) -> str:
        """The reference to a schema of another file."""
        if (file, pointer) not in self._names:
            wanted = (unquote(pointer).rpartition("/")[2] or file.stem).replace("~1", "_").replace("~0", "_")
            name = next(each for each in _numbered(wanted) if each not in self._taken)
            self._taken.add(name)
            self._names[file, pointer] = name
            self._waiting.append((file, pointer))
        return self._schemas + self._names[file, pointer].replace("~", "~0").replace("/", "~1").replace("%", "%25")

    def _target(self, reference: str, file: Path) -> tuple[Path, str]:
        name, _, pointer = reference.partition("#")
        if "://" in name and not name.startswith("file://"):
            return Path(name), pointer
        return ((file.parent / unquote(name.removeprefix("file://"))).resolve() if name else file), pointer

    def _value(self, file: Path, pointer: str) -> Any:
        """The part of a file that was read; _NOTHING if it has no such part."""
        try:
            return resolve_ref(f"#{pointer}", self.files[file]) if pointer.strip("/") else self.files[file]
        except LookupError:
            return _NOTHING

    def _read(self, file: Path) -> Any:
        """The file's value; None if it cannot be read."""
        if file not in self.files:
            if len(self.files) >= MAX_FILES:
                raise SpecError(f"it refers to more than {MAX_FILES} files", str(self._root))
            if self._within is not None and not file.is_relative_to(self._within):
                self.problems.append(Problem(str(file), "not read: it is not below the document's address"))
                self.files[file] = None
                return None
            try:
                self.files[file] = read_document(file, SpecError, self.problems)
            except MockServerError as error:
                self.files[file] = None
                self.problems.append(error.problem)
        return self.files[file]

    def _complain(self, reference: str, file: Path, why: str = "there is no such thing") -> None:
        self.problems.append(Problem(str(file), f"$ref is {reference[:200]!r}; {why}"))


def _is_external(reference: str) -> bool:
    return not reference.startswith("#")


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}_{number}"
        number += 1
