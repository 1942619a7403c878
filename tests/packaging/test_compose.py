"""The compose file fits the image and the settings. No container engine is asked."""

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from doc_pages import blocks_of, pages

from mockserver.cli import _parser
from mockserver.settings.load import read_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def services(text: str) -> dict[str, Any]:
    """The services, with the variables of the file at their defaults."""
    found: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))["services"]
    return found


SERVICE = services((ROOT / "compose.yaml").read_text(encoding="utf-8"))["mockserver"]


def shown_services() -> list[tuple[str, dict[str, Any]]]:
    """Every mockserver that a page of the documentation sets up in YAML, by page."""
    found = []
    for name, path in pages().items():
        for block in blocks_of(path):
            if block.language == "yaml" and "mockserver" in block.text:
                found += [(name, each) for each in containers(yaml.safe_load(block.text))]
    return found


def containers(value: Any) -> list[dict[str, Any]]:
    """The mappings, at any depth, that run our image."""
    if isinstance(value, list):
        return [found for each in value for found in containers(each)]
    if not isinstance(value, dict):
        return []
    image = str(value.get("image", value.get("name", "")))
    own = [value] if "mockserver" in image else []
    return own + [found for each in value.values() for found in containers(each)]


def test_the_variables_are_settings_that_the_server_takes() -> None:
    settings, warnings = read_settings({}, SERVICE["environment"])

    assert warnings == []
    assert (settings.progression, settings.admin_token, settings.fixtures) == ("time:2", "local", ("/fixtures",))


def test_the_command_of_the_compose_file_is_valid() -> None:
    assert _parser().parse_args(SERVICE["command"]).port is None


def test_the_health_check_is_that_of_the_image() -> None:
    inside = re.search(r"(?m)^HEALTHCHECK .* CMD (\[.*\])$", DOCKERFILE)

    assert inside
    assert SERVICE["healthcheck"]["test"] == ["CMD", *yaml.safe_load(inside[1])]
    assert _parser().parse_args(SERVICE["healthcheck"]["test"][2:]).url is None


def test_the_port_is_that_of_the_image_and_bound_to_loopback() -> None:
    exposed = re.search(r"(?m)^EXPOSE (\d+)$", DOCKERFILE)

    assert exposed
    assert SERVICE["ports"] == [f"127.0.0.1:{exposed[1]}:{exposed[1]}"]


def test_fixtures_are_mounted_where_the_server_reads_them() -> None:
    [volume] = SERVICE["volumes"]
    outside, inside, mode = volume.split(":")

    assert (ROOT / outside).is_dir()
    assert (inside, mode) == (SERVICE["environment"]["MOCKSERVER_FIXTURES"], "ro")


def test_containers_shown_in_the_documentation_have_variables_that_the_server_takes() -> None:
    found = shown_services()

    assert {name for name, _ in found} == {"ci/containers.md", "ci/github.md", "ci/gitlab.md"}
    for _, each in found:
        variables = each.get("environment") or each.get("env") or each["variables"]
        assert read_settings({}, variables)[1] == []


def test_docker_commands_in_the_documentation_pass_flags_and_variables_that_exist() -> None:
    page = (ROOT / "docs" / "ci" / "containers.md").read_text(encoding="utf-8")
    commands = [shlex.split(line) for line in re.findall(r"(?m)^docker run .*$", page)]

    assert commands
    for words in commands:
        variables = dict(word.split("=", 1) for flag, word in pairwise(words) if flag == "-e")
        assert read_settings({}, variables)[1] == []


@pytest.mark.parametrize("script", ["FIXTURES", "MOCKSERVER_PROGRESSION", "MOCKSERVER_ADMIN_TOKEN"])
def test_every_variable_of_the_compose_file_has_a_default(script: str) -> None:
    assert re.search(rf"\$\{{{script}:-[^}}]+\}}", (ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_the_checks_notice_an_unknown_variable() -> None:
    assert read_settings({}, {"MOCKSERVER_PROGRESION": "polls:2"})[1]
    assert containers({"a": [{"image": "x/mockserver:1"}], "b": {"image": "postgres"}}) == [{"image": "x/mockserver:1"}]
