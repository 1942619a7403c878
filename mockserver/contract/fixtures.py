"""Canned answers and accounts from files: read them, and pick the one that fits."""

from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mockserver.contract.documents import find_line, read_document
from mockserver.contract.regex import Pattern, PatternError, compile_pattern
from mockserver.contract.schema import Schema
from mockserver.errors import FixtureError
from mockserver.messages import FIXTURE_SOURCE

SCHEMA_FILE = "schema.json"


class PromptMatch(NamedTuple):
    """Which prompts a canned completion answers. What is None does not matter."""

    prompt: str | None = None
    contains: str | None = None
    """In lower case; case does not matter."""
    pattern: Pattern | None = None
    models: frozenset[str] | None = None
    country: str | None = None
    """In upper case."""

    def fits(self, prompt: str, model: str, country: str | None) -> bool:
        """Whether everything that is asked for is there."""
        return (
            (self.prompt is None or self.prompt == prompt)
            and (self.models is None or model in self.models)
            and (self.country is None or self.country == (country or "").upper())
            and (self.contains is None or self.contains in prompt.lower())
            and (self.pattern is None or self.pattern.found_in(prompt))
        )


class Completion(NamedTuple):
    """A canned completion: what it answers, and the fixture's entry as written."""

    source: str
    """`fixture:<file>#<n>`, n from 1."""
    match: PromptMatch
    entry: Mapping[str, Any]
    path: Path = Path()
    location: tuple[str | int, ...] = ()
    """Where the entry stands in its file."""


class CannedResponse(NamedTuple):
    """A canned response of an operation without a handler."""

    source: str
    operation: str
    entry: Mapping[str, Any]
    path: Path = Path()
    location: tuple[str | int, ...] = ()
    """Where the entry stands in its file."""

    def fits(self, arguments: Mapping[str, Any], body: Any) -> bool:
        """Whether the request has at least what the entry's `match` asks for."""
        wanted = self.entry.get("match", {})
        return _is_part(wanted.get("query", {}), arguments) and ("body" not in wanted or _is_part(wanted["body"], body))


class Fixtures(NamedTuple):
    """What the files of one provider say, in the order in which they are asked."""

    completions: tuple[Completion, ...] = ()
    responses: tuple[CannedResponse, ...] = ()
    accounts: tuple[Mapping[str, Any], ...] = ()
    closed: bool = False
    """Whether only the listed accounts are good."""
    models: tuple[Mapping[str, Any], ...] = ()
    """The models that the API serves, as written."""
    prices: Mapping[str, Any] = {}
    """What the models cost, as written; of a price that several files give the first counts."""
    prompts: tuple[Mapping[str, Any], ...] = ()
    """Prompt templates, as written."""

    def completion(self, prompt: str, model: str, country: str | None) -> Completion | None:
        """The first canned completion that fits."""
        lowered = prompt.lower()
        for each in self.completions:
            match = each.match
            # Most entries are passed over for their text; the rest of a match costs a call.
            if match.prompt is not None and match.prompt != prompt:
                continue
            if match.contains is not None and match.contains not in lowered:
                continue
            if match.fits(prompt, model, country):
                return each
        return None

    def response(self, operation: str, arguments: Mapping[str, Any], body: Any) -> CannedResponse | None:
        """The first canned response of the operation that fits."""
        return next(
            (each for each in self.responses if each.operation == operation and each.fits(arguments, body)), None
        )


class FixtureFile(NamedTuple):
    """One file, read but not yet judged."""

    path: Path
    name: str
    """Relative to its folder, as it is shown to people."""
    provider: str
    """The folder it lies in; empty at the top, where a file speaks to every provider."""


def fixture_files(folder: Path) -> list[FixtureFile]:
    """The fixture files in a folder, by name; raises FixtureError when there is no such folder."""
    if not folder.is_dir():
        raise FixtureError(f"{folder}: no such folder")
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix in {".yaml", ".yml", ".json"} and path.name != SCHEMA_FILE
    )
    names = [path.relative_to(folder) for path in paths]
    return [
        FixtureFile(path, name.as_posix(), name.parts[0] if len(name.parts) > 1 else "")
        for path, name in zip(paths, names, strict=True)
    ]


def read_fixtures(folders: Iterable[Path], provider: str, schema: Schema, *, without: Container[Path] = ()) -> Fixtures:
    """The provider's fixtures from all folders, earlier ones first; raises FixtureError naming file and line.

    The files `without` are passed over.
    """
    completions: list[Completion] = []
    responses: list[CannedResponse] = []
    accounts: list[Mapping[str, Any]] = []
    models: list[Mapping[str, Any]] = []
    prices: Mapping[str, Any] = {}
    prompts: list[Mapping[str, Any]] = []
    closed = False
    for file in (file for folder in folders for file in fixture_files(folder) if file.provider in {"", provider}):
        if file.path in without:
            continue
        content = read_fixture_file(file, schema)
        completions += _read_completions(file, content.get("completions", ()))
        for operation, entries in content.get("responses", {}).items():
            responses += [
                CannedResponse(
                    f"{FIXTURE_SOURCE}{file.name}#{n + 1}", operation, entry, file.path, ("responses", operation, n)
                )
                for n, entry in enumerate(entries)
            ]
        prompts += content.get("prompts", ())
        if content.get("closed") and not closed:
            accounts, closed = [], True
        if content.get("closed", False) == closed:
            accounts += content.get("accounts", ())
        models += content.get("models", ())
        prices = _with_defaults(prices, content.get("prices", {}))
    return Fixtures(
        tuple(completions), tuple(responses), tuple(accounts), closed, tuple(models), prices, tuple(prompts)
    )


def read_fixture_file(file: FixtureFile, schema: Schema) -> Mapping[str, Any]:
    """The file's value, which the schema for fixtures accepts; raises FixtureError for the first way it does not."""
    for problem in fixture_problems(file, schema):
        raise FixtureError(problem)
    content: Mapping[str, Any] = read_document(file.path, FixtureError) or {}
    return content


def fixture_problems(file: FixtureFile, schema: Schema) -> Iterator[str]:
    """Every way the file breaks the schema for fixtures, a line each; raises FixtureError when it cannot be read."""
    content = read_document(file.path, FixtureError)
    for violation in schema.violations({} if content is None else content):
        line = find_line(file.path, violation.location)
        yield f"{file.path}:{line or 1}: {format_location(violation.location)}: {violation.message}"
    entries = content.get("completions") if isinstance(content, dict) else None
    for n, entry in enumerate(entries if isinstance(entries, list) else ()):
        match = entry.get("match") if isinstance(entry, dict) else None
        if isinstance(match, dict) and isinstance(match.get("pattern"), str):
            try:
                _read_pattern(file, n, match["pattern"])
            except FixtureError as error:
                yield str(error)


def format_location(location: Iterable[str | int]) -> str:
    """Where in a file a value stands, as people read it: `completions[0].match`."""
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")
    return place or "the file"


def _read_completions(file: FixtureFile, entries: Iterable[Mapping[str, Any]]) -> Iterator[Completion]:
    for n, entry in enumerate(entries):
        match = _read_match(file, n, entry.get("match", {}))
        yield Completion(f"{FIXTURE_SOURCE}{file.name}#{n + 1}", match, entry, file.path, ("completions", n))


def _read_match(file: FixtureFile, n: int, wanted: Mapping[str, Any]) -> PromptMatch:
    models = wanted.get("model")
    pattern = _read_pattern(file, n, wanted["pattern"]) if "pattern" in wanted else None
    return PromptMatch(
        prompt=wanted.get("prompt"),
        contains=wanted["contains"].lower() if "contains" in wanted else None,
        pattern=pattern,
        models=None if models is None else frozenset([models] if isinstance(models, str) else models),
        country=wanted["country"].upper() if "country" in wanted else None,
    )


def _read_pattern(file: FixtureFile, n: int, pattern: str) -> Pattern:
    try:
        return compile_pattern(pattern)
    except PatternError as problem:
        line = find_line(file.path, ("completions", n, "match", "pattern"))
        raise FixtureError(f"{file.path}:{line or 1}: completions[{n}].match.pattern: {problem}") from problem


def _with_defaults(prices: Mapping[str, Any], more: Mapping[str, Any]) -> Mapping[str, Any]:
    """The prices, with those of `more` for what they leave out."""
    models = {**more.get("models", {}), **prices.get("models", {})}
    return {**more, **prices, "models": models} if models else {**more, **prices}


def _is_part(wanted: Any, value: Any) -> bool:
    """Whether `value` has at least what `wanted` has: objects by their keys, everything else as it is."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            key in value and _is_part(each, value[key]) for key, each in wanted.items()
        )
    return isinstance(wanted, bool) == isinstance(value, bool) and bool(wanted == value)
