"""Scenarios made ready: read from their files, and judged by everything that could keep them from being applied."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from mockserver.contract.fixtures import FixtureFile
from mockserver.contract.scenarios import (
    Scenario,
    ScenarioBook,
    ScenarioSchema,
    placed,
    read_scenario,
    read_scenario_schema,
    scenario_breaches,
    scenario_files,
)
from mockserver.errors import FixtureError
from mockserver.outcomes import read_rules
from mockserver.provider import Service
from mockserver.state.rule_definitions import RULE_SCHEMA, STANDING_FAULT_SCHEMA
from mockserver.state.setups import SetupError, read_setup


@cache
def scenario_schema(fixtures: Path) -> ScenarioSchema:
    """What a scenario's file may say; `fixtures` is the folder that comes with mockserver."""
    return read_scenario_schema(fixtures, stubs=RULE_SCHEMA, faults=STANDING_FAULT_SCHEMA)


def load_scenarios(folders: Sequence[Path], services: Sequence[Service]) -> ScenarioBook:
    """The scenarios of all folders by name, sorted; of several with one name the first counts.

    The last folder is the one that comes with mockserver. Raises FixtureError for one that could not be applied.
    """
    schema = scenario_schema(folders[-1])
    found: dict[str, Scenario] = {}
    for file in (file for folder in folders for file in scenario_files(folder)):
        for problem in scenario_problems(file, schema, services):
            raise FixtureError(problem)
        found.setdefault(file.path.stem, read_scenario(file))
    return ScenarioBook(dict(sorted(found.items())), schema.conditions)


def scenario_problems(file: FixtureFile, schema: ScenarioSchema, services: Sequence[Service]) -> Iterator[str]:
    """Every reason why a scenario could not be applied, a line each; raises FixtureError when it cannot be read."""
    breaches = list(scenario_breaches(file, schema.whole))
    yield from breaches
    if not breaches:
        scenario = read_scenario(file)
        try:
            setup = read_setup(scenario.name, scenario.content)
        except SetupError as error:
            yield placed(file.path, error.location, str(error))
            return
        for part, entries in (("stubs", setup.stubs), ("faults", setup.faults)):
            for n, entry in enumerate(entries):
                try:
                    read_rules([entry], services, origin=setup.origin, now=0.0)
                except ValueError as error:
                    yield placed(file.path, (part, n), str(error))
