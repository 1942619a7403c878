"""Checks documents and fixtures without serving them: reports all errors, and fixtures that can never match."""

import sys
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mockserver.api.provider import BoundOperation, Provider
from mockserver.engine.build import (
    bind_operations,
    bundled_path,
    find_providers,
    fixture_folders,
    fixture_schema,
    handler_problems,
    load_bundled_spec,
    load_extra_spec,
    provider_documents,
    served_specs,
)
from mockserver.engine.scenarios import scenario_problems, scenario_schema
from mockserver.errors import ERROR, WARNING, FixtureError, MockServerError, Problem, SpecError, Violation
from mockserver.fixtures.files import (
    CannedResponse,
    Completion,
    FixtureFile,
    Fixtures,
    PromptMatch,
    fixture_files,
    fixture_problems,
    read_fixtures,
)
from mockserver.fixtures.scenarios import SCENARIOS
from mockserver.openapi.document import Content, OpenApiDocument, Operation
from mockserver.openapi.files import find_line
from mockserver.openapi.requests import check_reply
from mockserver.openapi.responses import canned_reply
from mockserver.openapi.router import collisions, overlaps
from mockserver.openapi.schema import FORMATS, Schema
from mockserver.settings.table import Settings
from mockserver.text import format_location


def check(settings: Settings) -> list[Problem]:
    """All problems of the documents and fixtures that the settings name. Raises MockServerError if a file or folder
    does not exist.
    """
    providers = find_providers()
    # Strictness applies to requests only; examples may use what the document allows.
    bundled, own, named, problems = _read_specs(replace(settings, strict=False), providers)
    others = [*own, *named]
    # A provider's handler may be missing from a broken document.
    handlers = [] if problems else handler_problems(providers, [bundled, *others])
    specs = served_specs(bundled, own, named, with_bundled=settings.with_bundled)
    problems += [*handlers, *_routing_problems(specs)]
    for spec in specs:
        problems += _spec_problems(spec)
    folders, schema = fixture_folders(settings), fixture_schema()
    none = dict.fromkeys(("", *(provider.name for provider in providers)), Fixtures())
    services = bind_operations(specs, bundled, providers, none, settings)
    found = {folder: list(_file_problems(folder, schema, services)) for folder in folders}
    problems += [problem for each in found.values() for _, problem in each]
    broken = frozenset(path for each in found.values() for path, _ in each)
    problems += _matching_problems(
        [folder for folder in folders if folder not in broken], schema, providers, specs, broken
    )
    return problems


def _read_specs(
    settings: Settings, providers: Sequence[Provider]
) -> tuple[OpenApiDocument, list[OpenApiDocument], list[OpenApiDocument], list[Problem]]:
    """The bundled document, those of providers and those of the settings, without their invalid parts.

    Each is read on its own, so that all errors are reported.
    """
    bundled = load_bundled_spec(settings, providers)
    found: tuple[list[OpenApiDocument], list[OpenApiDocument]] = ([], [])
    problems: list[Problem] = []
    for specs, paths in zip(found, (provider_documents(providers), settings.spec), strict=True):
        for path in paths:
            try:
                specs.append(load_extra_spec(path, settings, providers, bundled))
                problems += [each._replace(severity=ERROR) for each in specs[-1].problems]
            except SpecError as error:
                problems += error.problems
                with suppress(SpecError):
                    specs.append(load_extra_spec(path, settings, providers, bundled, only_sound=True))
    return bundled, *found, problems


def _routing_problems(specs: Sequence[OpenApiDocument]) -> Iterator[Problem]:
    """Conflicts between the operations of all documents, and operations that can never be reached."""
    operations = [operation for spec in specs for operation in spec.operations]
    yield from collisions(operations)
    yield from overlaps(operations)


def _spec_problems(spec: OpenApiDocument) -> Iterator[Problem]:
    for operation in spec.operations:
        for where, content in _file_contents(operation):
            for name, value in content.examples.items():
                for violation in _violations(content, value):
                    place = f"{spec.name}: {operation.key}: {where}: example {name}"
                    yield Problem(place, f"{_path(violation)}{violation.message}")
        for parameter in operation.parameters:
            try:
                parameter.schema.accepts(None)
            except SpecError as error:
                yield Problem(f"{spec.name}: {operation.key}: parameter {parameter.name}", str(error))


def _file_contents(operation: Operation) -> Iterator[tuple[str, Content]]:
    for media_type, content in (operation.body or {}).items():
        yield f"request {media_type}", content
    for status, response in operation.responses.items():
        for media_type, content in response.content.items():
            yield f"{status} {media_type}", content


def _violations(content: Content, value: object) -> list[Violation]:
    if content.schema is None:
        return []
    try:
        return content.schema.violations(value)
    except SpecError as error:
        return [Violation((), "schema", str(error))]


def _path(violation: Violation) -> str:
    path = format_location(violation.location)
    return f"{path}: " if path else ""


def _file_problems(folder: Path, schema: Schema, services: Sequence[BoundOperation]) -> Iterator[tuple[Path, Problem]]:
    """The problems of each file in a folder, or of the folder itself."""
    try:
        files = fixture_files(folder)
    except FixtureError as error:
        yield folder, error.problem
        return
    for file in files:
        is_scenario = file.provider == SCENARIOS
        try:
            for problem in _scenario_problems(file, services) if is_scenario else fixture_problems(file, schema):
                yield file.path, problem
        except FixtureError as error:
            yield file.path, error.problem


def _scenario_problems(file: FixtureFile, services: Sequence[BoundOperation]) -> Iterator[Problem]:
    yield from scenario_problems(file, scenario_schema(bundled_path("fixtures")), services)


def _matching_problems(
    folders: Sequence[Path],
    schema: Schema,
    providers: Sequence[Provider],
    specs: Sequence[OpenApiDocument],
    broken: Container[Path],
) -> Iterator[Problem]:
    """Fixtures that can never match. Files with errors are left out."""
    operations = {operation.key: operation for spec in specs for operation in spec.operations}
    handled = {key for provider in providers for key in provider.handlers}
    names = {provider.name for provider in providers} | {"", SCENARIOS}
    for folder in folders:
        for file in fixture_files(folder):
            if file.provider not in names:
                yield Problem(
                    str(file.path), f"no provider is called {file.provider!r}, so this file is not used", WARNING
                )
    for provider in providers:
        try:
            fixtures = read_fixtures(folders, provider.name, schema, without=broken)
            own = len(read_fixtures(folders[:-1], provider.name, schema, without=broken).completions)
        except MockServerError as error:
            yield error.problem
            continue
        tagged = [each for spec in specs for each in spec.operations if each.tag == provider.tag]
        yield from _unmatched_completions(fixtures, _limits(tagged), own)
        yield from _unmatched_responses(fixtures, operations, handled)


class Limits(NamedTuple):
    """The limits of requests, as far as fixtures are matched against them."""

    models: frozenset[str]
    """Empty if any model is allowed."""
    longest_prompt: int
    """In code points."""


def _limits(operations: Sequence[Operation]) -> Limits:
    """The widest limits of any operation."""
    models, lengths = list[frozenset[str] | None](), list[int]()
    for operation in operations:
        fields = {each.name: each.schema for each in operation.parameters}
        for content in (operation.body or {}).values():
            if content.schema is not None:
                stated = content.schema.resolved(content.schema.definition).get("properties", {})
                fields |= {name: Schema(each, content.schema.document) for name, each in stated.items()}
        for name in {"model", "prompt", "prompts"} & fields.keys():
            schema = fields[name]
            definition = schema.resolved(schema.definition)
            if name == "model":
                models.append(frozenset(filter(None, definition["enum"])) if "enum" in definition else None)
            else:
                text = schema.resolved(definition.get("items")) if name == "prompts" else definition
                lengths.append(int(text.get("maxLength", sys.maxsize)))
    known = frozenset[str]() if None in models else frozenset().union(*(each for each in models if each is not None))
    return Limits(known, max(lengths, default=sys.maxsize))


def _unmatched_completions(fixtures: Fixtures, limits: Limits, own: int) -> Iterator[Problem]:
    """Completions that can never match. The first `own` completions are the user's; they may override bundled ones
    without a warning.
    """
    for n, each in enumerate(fixtures.completions):
        earlier = fixtures.completions[own if n >= own else 0 : n]
        why = _contradiction(each.match, limits) or _shadowing_match(each, earlier)
        if why:
            yield Problem(_place(each), f"can never match: {why}", WARNING)


def _place(canned: Completion | CannedResponse) -> str:
    return f"{canned.path}:{find_line(canned.path, canned.location) or 1}: {format_location(canned.location)}"


def _contradiction(match: PromptMatch, limits: Limits) -> str:
    """Why the matcher can never match, regardless of earlier entries."""
    if match.models is not None and limits.models and not match.models & limits.models:
        return f"model is {_join_names(match.models)}; the document knows {_join_names(limits.models)}"
    if match.country is not None and not FORMATS["iso-3166-1-alpha-2"](match.country):
        return f"country is {match.country!r}, which is no ISO 3166-1 code"
    if match.prompt is not None and len(match.prompt) > limits.longest_prompt:
        return f"prompt has {len(match.prompt)} characters; the document allows {limits.longest_prompt}"
    if match.prompt is not None and not match._replace(models=None, country=None).fits(match.prompt, "", None):
        return "its prompt does not fit its own contains or pattern"
    return ""


def _shadowing_match(entry: Completion, earlier: Sequence[Completion]) -> str:
    for each in earlier:
        if _covers(each.match, entry.match):
            return f"{_place(each)} comes first and matches all of it"
    return ""


def _covers(wide: PromptMatch, narrow: PromptMatch) -> bool:
    """Whether `wide` certainly matches everything that `narrow` matches."""
    return (
        (wide.models is None or (narrow.models is not None and narrow.models <= wide.models))
        and (wide.country is None or wide.country == narrow.country)
        and (wide.prompt is None or wide.prompt == narrow.prompt)
        and (wide.contains is None or wide.contains in (narrow.prompt or narrow.contains or "").lower())
        and (wide.pattern is None or _covers_pattern(wide, narrow))
    )


def _covers_pattern(wide: PromptMatch, narrow: PromptMatch) -> bool:
    if wide.pattern is None or narrow.prompt is None:
        return wide.pattern is None or (narrow.pattern is not None and wide.pattern.text == narrow.pattern.text)
    return wide.pattern.found_in(narrow.prompt)


def _unmatched_responses(fixtures: Fixtures, operations: dict[str, Operation], handled: set[str]) -> Iterator[Problem]:
    for n, each in enumerate(fixtures.responses):
        place = _place(each)
        operation = operations.get(each.operation)
        if operation is None:
            yield Problem(place, f"can never match: no document has the operation {each.operation!r}", WARNING)
        elif each.operation in handled:
            yield Problem(place, "can never match: the operation is answered by code", WARNING)
        else:
            yield from _broken_response(place, each, operation)
            wanted = each.entry.get("match", {})
            if any(
                one.operation == each.operation and one.entry.get("match", {}) in ({}, wanted)
                for one in fixtures.responses[:n]
            ):
                yield Problem(place, "can never match: an earlier entry matches all of it", WARNING)


def _broken_response(place: str, canned: CannedResponse, operation: Operation) -> Iterator[Problem]:
    if canned.entry.get("template"):
        return  # its values are those of requests
    for n in range(len(canned.entry.get("sequence", "1"))):
        for violation in check_reply(operation, canned_reply(operation, canned.step(n), canned.source)):
            yield Problem(place, f"{_path(violation)}{violation.message}")


def _join_names(words: frozenset[str]) -> str:
    return ", ".join(sorted(words))
