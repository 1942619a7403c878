"""Loads scenarios from their files and validates them."""

from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mockserver.api.provider import BoundOperation
from mockserver.engine.overrides import read_rules
from mockserver.errors import FixtureError, Problem
from mockserver.fixtures.files import FixtureFile, file_problem
from mockserver.fixtures.scenarios import (
    Scenario,
    ScenarioSchema,
    ScenarioSet,
    read_scenario,
    read_scenario_schema,
    scenario_files,
    schema_errors,
)
from mockserver.openapi.files import read_document
from mockserver.sandbox.scenario import ScenarioError, read_actions
from mockserver.sandbox.stubs.schema import RULE_SCHEMA, STANDING_FAULT_SCHEMA

RULES = ("stubs", "faults")
Place = tuple[str | int, ...]
"""The location of a value in a scenario's file."""
PlacedMessage = tuple[Place, str]
Part = tuple[Place, Mapping[str, Any]]


@cache
def scenario_schema(fixtures: Path) -> ScenarioSchema:
    """The JSON Schema of a scenario's file. `fixtures` is the bundled folder."""
    return read_scenario_schema(fixtures, stubs=RULE_SCHEMA, faults=STANDING_FAULT_SCHEMA)


def load_scenarios(folders: Sequence[Path], services: Sequence[BoundOperation]) -> ScenarioSet:
    """The scenarios of all folders by name, sorted. Of several with one name the first counts.

    The last folder is the bundled one, whose scenarios are left out where they do not fit the served documents. Raises
    FixtureError for another invalid scenario.
    """
    schema = scenario_schema(folders[-1])
    found: dict[str, Scenario] = {}
    for folder in folders:
        for file in scenario_files(folder):
            problem = next(scenario_problems(file, schema, services), None)
            if problem is None:
                found.setdefault(file.path.stem, read_scenario(file))
            elif folder != folders[-1] or _has_providers(services):
                raise FixtureError(problem.message, problem.place)
    return ScenarioSet(dict(sorted(found.items())), schema.conditions)


def _has_providers(services: Sequence[BoundOperation]) -> bool:
    return any(each.provider is not None for each in services)


def scenario_problems(
    file: FixtureFile, schema: ScenarioSchema, services: Sequence[BoundOperation]
) -> Iterator[Problem]:
    """Every reason why a scenario could not be applied; raises FixtureError when it cannot be read."""
    yield from schema_errors(file, schema.whole)
    content = read_document(file.path, FixtureError)
    if not isinstance(content, dict):
        return
    broken = [each.location for each in schema.whole.violations(content)]
    parts = dict(_valid_parts(content, schema.whole.definition["properties"], broken))
    problems = [each for place, part in parts.items() for each in _setup_problems(file, part, place)]
    if not (broken or problems):  # problems of the whole, such as too many rules together
        problems = list(_setup_problems(file, content, ()))
    for place, part in parts.items():
        if place[0] in RULES and not any(each[0][:2] == place for each in problems):
            problems += _rule_problems(part[str(place[0])][0], place, services)
    for place, message in problems:
        yield file_problem(file.path, place, message)


def _valid_parts(content: Mapping[str, Any], known: Container[str], broken: Sequence[Place]) -> Iterator[Part]:
    """The valid parts, each as a scenario of its own; an entry of `stubs` or `faults` is a part."""
    for name, value in content.items():
        places: list[Place] = [(name,)]
        if name in RULES and isinstance(value, list):
            places = [(name, n) for n in range(len(value))]
        for place in places:
            if name in known and not any(each[: len(place)] == place for each in broken):
                yield place, {name: [value[place[1]]] if len(place) > 1 else value}


def _rule_problems(entry: Any, place: Place, services: Sequence[BoundOperation]) -> Iterator[PlacedMessage]:
    try:
        read_rules([entry], services, origin="scenario", now=0.0)
    except ValueError as error:
        yield place, str(error)


def _setup_problems(file: FixtureFile, content: Mapping[str, Any], place: Place) -> Iterator[PlacedMessage]:
    try:
        read_actions(file.path.stem, content)
    except ScenarioError as error:
        yield (*place, *error.location[len(place) :]), str(error)
