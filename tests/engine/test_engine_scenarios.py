"""Scenarios from files: a new one needs no code, and a bad one keeps the server from starting and says why."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders import ask, make_document, make_engine, make_operation, make_settings, queue, value_of, write_json

from mockserver.engine.build import build_engine, bundled_path
from mockserver.engine.check import check
from mockserver.errors import ERROR, FixtureError, Reason
from mockserver.fixtures.scenarios import Scenario, condition_schema
from mockserver.sandbox.scenario import read_actions
from mockserver.settings.parse import PROGRESSION_WANTED
from mockserver.settings.table import ROWS

SENTENCE = "description: Something happens now and then.\n"


def write_scenario(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / "scenarios" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def scenarios_of(folder: Path, **settings: Any) -> dict[str, Scenario]:
    return dict(build_engine(make_settings(fixtures=(str(folder),), **settings)).scenarios.by_name)


def test_a_new_scenario_is_a_file_and_nothing_else(tmp_path: Path) -> None:
    write_scenario(tmp_path, SENTENCE + "conditions: {items: {fail: {indexes: [0]}}}\n")
    engine = make_engine(fixtures=(str(tmp_path),))
    mine = engine.scenarios.by_name["mine"]

    read_actions(mine.name, mine.content).apply(engine.sandboxes.open("test"), magic=True)
    done = value_of(ask(engine, "GET", "/ai/batches", query={"id": queue(engine, "one", "two")}))

    assert (mine.description, mine.source) == ("Something happens now and then.", "scenarios/mine.yaml")
    assert mine.parts == ["conditions"]
    assert (done["successful"], done["failed"]) == (1, 1)
    assert check(make_settings(fixtures=(str(tmp_path),))) == []


def test_no_code_knows_a_scenario_by_its_name() -> None:
    house = Path(__file__).parents[2] / "mockserver"
    code = "\n".join(path.read_text(encoding="utf-8") for path in house.rglob("*.py"))
    names = make_engine().scenarios.by_name

    assert len(names) >= 16
    # A word of its own, such as a status or a reason, may of course stand there.
    telling = {name for name in names if "-" in name} - set(Reason)
    assert [name for name in telling if f'"{name}"' in code or f"{name}.yaml" in code] == []


def test_scenarios_are_listed_by_name_and_the_first_folder_wins(tmp_path: Path) -> None:
    write_scenario(tmp_path / "a", SENTENCE, "flaky.yaml")
    write_scenario(tmp_path / "b", SENTENCE + "conditions: {}\n", "flaky.yml")
    write_json(tmp_path / "b" / "scenarios" / "zero-3.json", {"description": "Written as JSON."})

    engine = build_engine(make_settings(fixtures=(str(tmp_path / "a"), str(tmp_path / "b"))))

    found = engine.scenarios.by_name
    assert list(found) == sorted(found)
    assert (found["flaky"].parts, found["zero-3"].description) == ([], "Written as JSON.")
    assert "rate-limited" in found


def test_scenarios_are_no_fixtures_of_a_provider(tmp_path: Path) -> None:
    write_scenario(tmp_path, SENTENCE + "accounts: [{token: mine, credits: 0}]\n")

    engine = make_engine(fixtures=(str(tmp_path),))

    assert ask(engine, "POST", "/ai/batches", token="mine", json={"prompts": ["hello"]}).status == 202


def test_stubs_of_a_scenario_may_name_operations_of_another_document(tmp_path: Path) -> None:
    write_scenario(tmp_path, SENTENCE + "stubs: [{operation: ping, reply: {body: {a: 1}}}]\n")
    operation = make_operation("ping", schema={"type": "object", "required": ["a"]})
    spec = (str(write_json(tmp_path / "their" / "doc.json", make_document({"/ping": {"get": operation}}))),)

    fixtures = tmp_path / "scenarios"
    folder = tmp_path / "mine"
    folder.mkdir()
    fixtures.rename(folder / "scenarios")

    assert "mine" in scenarios_of(folder, spec=spec)
    with pytest.raises(FixtureError, match="no operation has the key 'ping'"):
        scenarios_of(folder)


BAD: list[tuple[str, int, str, str]] = [
    ("conditions: {}\n", 1, "the file", "'description' is a required property"),
    ('description: ""\n', 1, "description", "should be non-empty"),
    (SENTENCE + "colour: blue\n", 1, "the file", "'colour' was unexpected"),
    (SENTENCE + "progression: polls:0\n", 2, "progression", "is 'polls:0'; wanted 'immediate', 'time:SECONDS'"),
    (SENTENCE + "progression: poll:2\n", 2, "progression", f"is 'poll:2'; wanted {PROGRESSION_WANTED}"),
    (SENTENCE + "progression: {polls: 3}\n", 2, "progression", "is not of type 'string'"),
    (SENTENCE + "clock:\n  frozen: soon\n", 3, "clock.frozen", "'soon' is not of type 'boolean'"),
    (SENTENCE + "clock:\n  scale: 0\n", 3, "clock.scale", "minimum"),
    (SENTENCE + "clock:\n  at: soon\n", 3, "clock.at", "'soon' came; wanted an ISO 8601 instant"),
    (SENTENCE + "accounts:\n  - {}\n", 3, "accounts[0]", "{} should be non-empty"),
    (SENTENCE + "accounts:\n  - {credits: 1.5}\n", 3, "accounts[0].credits", "1.5 is not of type 'integer'"),
    (SENTENCE + "accounts:\n  - {email: a@example.com}\n", 3, "accounts[0]", "'token' is a dependency of 'email'"),
    (SENTENCE + "accounts:\n  - {revoked: true, revoked_after: 1}\n", 3, "accounts[0]", "should not be valid"),
    (SENTENCE + "accounts: [{credits: 1}, {credits: 2}]\n", 2, "accounts", "Too many items match"),
    (SENTENCE + "conditions:\n  capacity: full\n", 3, "conditions.capacity", "'full' came; wanted 'free', 'busy'"),
    (SENTENCE + "conditions:\n  page_size: 0\n", 3, "conditions.page_size", "0 is less than the minimum of 1"),
    (SENTENCE + "conditions:\n  retention: 0\n", 3, "conditions.retention", "minimum"),
    (SENTENCE + "conditions:\n  items: {}\n", 3, "conditions.items", "{} is not valid"),
    (SENTENCE + "conditions:\n  items: {hang: all, status: 500}\n", 3, "conditions.items", "'fail' is a dependency"),
    (SENTENCE + "conditions:\n  items: {fail: all, status: 200}\n", 3, "conditions.items.status", "200 is less than"),
    (SENTENCE + "conditions:\n  items: {fail: some}\n", 3, "conditions.items.fail", "'some' is not valid"),
    (SENTENCE + "conditions:\n  items: {fail: {share: 2}}\n", 3, "conditions.items.fail", "is not valid"),
    (
        SENTENCE + f"conditions:\n  items: {{fail: {{indexes: {list(range(1001))}}}}}\n",
        3,
        "conditions.items.fail",
        "is not valid",
    ),
    (SENTENCE + "conditions:\n  input: {line: 2}\n", 3, "conditions.input", "'code' is a required property"),
    (SENTENCE + "stubs:\n  - {operation: getUser}\n", 3, "stubs[0]", "is not valid"),
    (SENTENCE + "stubs:\n  - {status: 500}\n  - {status: 99}\n", 4, "stubs[1].status", "99 is less than"),
    (
        SENTENCE + "stubs:\n  - {operation: getUsers, status: 500}\n",
        3,
        "stubs[0]",
        "no operation has the key 'getUsers'; the nearest key is getUser",
    ),
    (SENTENCE + "stubs:\n  - {operation: getUser, status: 418}\n", 3, "stubs[0]", "does not document"),
    (SENTENCE + "stubs:\n  - {status: 500, until: 2030-01-01}\n", 3, "stubs[0].until", "wanted 'for', in seconds"),
    (SENTENCE + f"stubs: {[{'status': 500}] * 101}\n", 2, "stubs", "too long"),
    (SENTENCE + "faults:\n  - {status: 500}\n", 3, "faults[0]", "'status' was unexpected"),
    (SENTENCE + "faults:\n  - {fault: {type: boom}}\n", 3, "faults[0].fault.type", "'boom' is not one of"),
    (SENTENCE + "faults:\n  - {fault: {type: latency}}\n", 3, "faults[0]", "latency"),
    ("- a list\n", 1, "the file", "is not of type 'object'"),
    ("", 1, "the file", "'description' is a required property"),
    ("description: [\n", 2, "", "not YAML"),
]


@pytest.mark.parametrize(("text", "line", "place", "message"), BAD)
def test_a_bad_scenario_is_reported_at_start_with_file_line_and_place(
    tmp_path: Path, text: str, line: int, place: str, message: str
) -> None:
    path = write_scenario(tmp_path, text)

    with pytest.raises(FixtureError) as raised:
        scenarios_of(tmp_path)

    assert str(raised.value).startswith(f"{path}:{line}: {place}")
    assert message in str(raised.value)


def test_check_reports_every_bad_scenario_with_the_message_of_a_start(tmp_path: Path) -> None:
    paths = [write_scenario(tmp_path, text, f"bad-{n}.yaml") for n, (text, *_) in enumerate(BAD)]

    problems = check(make_settings(fixtures=(str(tmp_path),)))

    told = [f"{problem.place}: {problem.message}" for problem in problems]
    assert {problem.severity for problem in problems} == {ERROR}
    for path, (_, line, place, message) in zip(paths, BAD, strict=True):
        assert [each for each in told if each.startswith(f"{path}:{line}: {place}") and message in each]


@pytest.mark.parametrize("name", ["My-Scenario.yaml", "a_b.yaml", "-a.yaml", f"{'a' * 101}.yaml", "ä.yaml"])
def test_a_scenario_name_that_a_url_would_escape_is_rejected(tmp_path: Path, name: str) -> None:
    path = write_scenario(tmp_path, SENTENCE, name)

    with pytest.raises(FixtureError, match="wanted lower-case letters, digits and hyphens") as raised:
        scenarios_of(tmp_path)
    assert str(raised.value).startswith(f"{path}:1: the file: ")


def test_a_scenario_in_a_folder_of_its_own_is_refused(tmp_path: Path) -> None:
    write_scenario(tmp_path, SENTENCE, "deep/mine.yaml")

    with pytest.raises(FixtureError, match="wanted it directly in scenarios/"):
        scenarios_of(tmp_path)


def test_a_bad_scenario_hides_no_other(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        write_scenario(tmp_path, SENTENCE + "colour: blue\n", name)

    found = check(make_settings(fixtures=(str(tmp_path),)))

    assert [Path(each.place.partition(":")[0]).name for each in found] == ["a.yaml", "b.yaml"]


def test_rules_that_no_sandbox_could_hold_are_refused_at_start(tmp_path: Path) -> None:
    big = {"reply": {"text": "x" * 250_000}, "undocumented": True}
    write_json(tmp_path / "scenarios" / "big.json", {"description": "Far too big.", "stubs": [big] * 70})

    with pytest.raises(FixtureError, match=r"big\.json:1: the file: the rules would have \d+ bytes"):
        scenarios_of(tmp_path)


def test_conditions_that_providers_declare_are_in_the_schema_that_editors_read() -> None:
    stated = json.loads((bundled_path("fixtures") / "scenarios" / "schema.json").read_text("utf-8"))
    declared = {name: condition_schema(row) for name, row in ROWS.items() if row.metadata["condition"]}

    assert stated["$defs"]["conditions"]["properties"].items() >= declared.items()
