"""Scenarios from files: named set-ups of a sandbox, read and judged but not yet applied."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mockserver.contract.documents import find_line, read_document
from mockserver.contract.fixtures import SCHEMA_FILE, FixtureFile, fixture_files, fixture_problems, format_location
from mockserver.contract.schema import Schema
from mockserver.errors import FixtureError

SCENARIOS = "scenarios"
"""The folder inside a folder of fixtures."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?")


class Scenario(NamedTuple):
    """A scenario as its file says it."""

    name: str
    path: Path
    source: str
    """Its file, relative to the folder of fixtures."""
    content: Mapping[str, Any]

    @property
    def description(self) -> str:
        return str(self.content["description"])

    @property
    def parts(self) -> list[str]:
        """What it sets."""
        return [part for part in self.content if part != "description"]


class ScenarioSet(NamedTuple):
    """The scenarios that can be applied."""

    by_name: Mapping[str, Scenario]
    conditions: Schema
    """What conditions may say."""


class ScenarioSchema(NamedTuple):
    """What a scenario's file may say, as a whole and in its part of conditions; rules are judged by the whole, too."""

    whole: Schema
    conditions: Schema


def read_scenario_schema(fixtures: Path, **rules: Mapping[str, Any]) -> ScenarioSchema:
    """The schema that comes with mockserver's own fixtures, in which `rules` say what entries of some parts may be."""
    definition = read_document(fixtures / SCENARIOS / SCHEMA_FILE, FixtureError)
    definition["properties"]["progression"] = {"type": "string"}  # its own reader says more
    for part, rule in rules.items():
        definition["properties"][part]["items"] = rule
    conditions = {"$ref": "#/$defs/conditions", "$defs": definition["$defs"]}
    return ScenarioSchema(Schema(definition, definition), Schema(conditions, conditions))


def scenario_files(folder: Path) -> list[FixtureFile]:
    """The files of scenarios in a folder of fixtures."""
    return [file for file in fixture_files(folder) if file.provider == SCENARIOS]


def read_scenario(file: FixtureFile) -> Scenario:
    """The scenario in a file that has no problems."""
    return Scenario(file.path.stem, file.path, file.name, read_document(file.path, FixtureError))


def schema_errors(file: FixtureFile, schema: Schema) -> Iterator[str]:
    """Every way the file breaks the schema for scenarios; raises FixtureError when it cannot be read."""
    name = file.path.stem
    if _NAME.fullmatch(name) is None:
        wanted = "lower-case letters, digits and hyphens between them, at most 100"
        yield f"{file.path}:1: the file: its name would be the scenario's, and is {name!r}; wanted {wanted}"
    if file.name.count("/") > 1:
        yield f"{file.path}:1: the file: it lies in a folder of its own; wanted it directly in {SCENARIOS}/"
    yield from fixture_problems(file, schema)


def format_problem(path: Path, location: Sequence[str | int], message: str) -> str:
    """A problem of a file, with its line and its place."""
    return f"{path}:{find_line(path, location) or 1}: {format_location(location)}: {message}"
