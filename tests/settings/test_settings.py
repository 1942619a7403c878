"""Settings are read the same way from flags, variables and the config file, and complain the same way."""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mockserver.errors import SettingsError
from mockserver.settings.load import read_settings
from mockserver.settings.parse import read_clock
from mockserver.settings.table import GROUPS, ROWS, Settings, variable_of

NOON = 1767268800.0
"""2026-01-01T12:00:00Z"""

TEXTS = {
    "host": st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1),
    "seed": st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1),
    "port": st.integers(0, 65535).map(str),
    "max_body": st.integers(1, 2**53).map(str),
    "strict": st.sampled_from(["true", "false", "1", "0", "yes", "no", "on", "off", "Yes", "FALSE"]),
    "magic": st.sampled_from(["true", "false", "1", "0", "yes", "no", "on", "off"]),
    "clock": st.sampled_from(["flowing", "frozen", "2026-01-01", "2026-01-01T12:00:00Z", "frozen@2026-01-01 12:00"]),
    "progression": st.sampled_from(["immediate", "time:0", "time:1.5", "polls:3"]),
    "agentfirst_version": st.sampled_from(["2026-04", "2026-07"]),
    "log_level": st.sampled_from(["debug", "info", "warning", "error"]),
}


def read(flags: Mapping[str, object] = {}, **environ: str) -> Settings:
    settings, warnings = read_settings(flags, environ)
    assert warnings == []
    return settings


def complaint(flags: Mapping[str, object] = {}, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings(flags, environ)
    return str(caught.value)


def write(folder: Path, text: str) -> str:
    path = folder / "mock.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_without_input_settings_have_their_defaults() -> None:
    assert read() == Settings()


@pytest.mark.parametrize("row", fields(Settings), ids=lambda row: row.name)
def test_every_row_has_a_sentence_and_a_place_in_the_help(row: object) -> None:
    facts = ROWS[row.name].metadata  # type: ignore[attr-defined]  # every row is a field

    assert facts["help"].endswith(".")
    assert facts["group"] in GROUPS


def test_every_default_is_a_valid_value() -> None:
    assert read({name: row.default for name, row in ROWS.items() if row.default != ()}) == Settings()


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(tmp_path: Path) -> None:
    config = write(tmp_path, "port: 1\nseed: file\nhost: file\n")

    settings = read({"config": config, "port": "3"}, MOCKSERVER_PORT="2", MOCKSERVER_SEED="variable")

    assert (settings.port, settings.seed, settings.host) == (3, "variable", "file")


def test_the_config_file_can_be_named_by_a_variable(tmp_path: Path) -> None:
    assert read(MOCKSERVER_CONFIG=write(tmp_path, "port: 1")).port == 1


def test_the_variable_port_ranks_between_mockserver_port_and_the_file(tmp_path: Path) -> None:
    config = write(tmp_path, "port: 1")

    assert read({"config": config}, PORT="8080").port == 8080
    assert read(PORT="8080", MOCKSERVER_PORT="9090").port == 9090


def test_an_overridden_value_is_not_validated() -> None:
    assert read({"port": "1"}, PORT="http", MOCKSERVER_PORT="none").port == 1


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(MOCKSERVER_PORT="", MOCKSERVER_SEED="", PORT="", MOCKSERVER_CONFIG="") == Settings()


@given(st.fixed_dictionaries({}, optional=TEXTS))
def test_a_text_has_the_same_value_as_flag_variable_and_config_entry(
    tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]
) -> None:
    config = write(tmp_path_factory.getbasetemp(), yaml.safe_dump(texts, allow_unicode=True))

    by_flag = read(texts)

    assert by_flag == read({}, **{variable_of(name): text for name, text in texts.items()})
    assert by_flag == read({"config": config})


def test_a_repeatable_setting_is_repeated_listed_or_separated_as_in_path(tmp_path: Path) -> None:
    config = write(tmp_path, "spec: [a.yaml, b.yaml]")

    assert read({"spec": ["a.yaml", "b.yaml"]}).spec == ("a.yaml", "b.yaml")
    assert read(MOCKSERVER_SPEC=os.pathsep.join(["a.yaml", "b.yaml", ""])).spec == ("a.yaml", "b.yaml")
    assert read({"config": config}).spec == ("a.yaml", "b.yaml")
    assert read({"config": write(tmp_path, "spec: a.yaml")}).spec == ("a.yaml",)


def test_hosts_with_ports_are_separated_by_commas_and_each_is_validated() -> None:
    assert read(MOCKSERVER_CALLBACK_ALLOW="a:80,,b").callback_allow == ("a:80", "b")
    with pytest.raises(SettingsError, match=r"^MOCKSERVER_CALLBACK_ALLOW is 'b:0'; wanted HOST"):
        read(MOCKSERVER_CALLBACK_ALLOW="a:80,b:0")


def test_config_keys_may_be_written_with_hyphens_and_values_unquoted(tmp_path: Path) -> None:
    config = write(tmp_path, "port-file: p\nmax_body: 5\nseed: 007\nclock: 2026-01-01T12:00:00Z\nmagic: off\n")

    settings = read({"config": config})

    assert (settings.port_file, settings.max_body, settings.seed, settings.magic) == ("p", 5, "007", False)
    assert read_clock(settings.clock) == (False, NOON)


def test_an_empty_config_file_has_no_effect(tmp_path: Path) -> None:
    assert read({"config": write(tmp_path, "# later\n")}) == Settings()


@pytest.mark.parametrize(
    ("name", "came", "wanted"),
    [
        ("port", "http", "an integer from 0 to 65535"),
        ("port", "65536", "an integer from 0 to 65535"),
        ("port", "-1", "an integer from 0 to 65535"),
        ("port", "4_024", "an integer from 0 to 65535"),
        ("port", "٤", "an integer from 0 to 65535"),
        ("port", "9" * 5000, "an integer from 0 to 65535"),
        ("max_body", "0", "an integer from 1 to"),
        ("body_timeout", "1.5", "an integer from 1 to"),
        ("journal_size", "0", "an integer from 1 to"),
        ("strict", "maybe", "true or false"),
        ("log_level", "loud", "'debug' or 'info' or 'warning' or 'error'"),
        ("clock", "stopped", "'frozen@INSTANT'"),
        ("progression", "polls:0", "'polls:COUNT' (1 or more)"),
    ],
)
def test_an_invalid_value_is_reported_with_its_place_and_the_expectation(
    name: str, came: str, wanted: str, tmp_path: Path
) -> None:
    config = write(tmp_path, yaml.safe_dump({name: came}))
    shown = came[:50]

    by_flag = complaint({name: came})
    by_variable = complaint({}, **{variable_of(name): came})
    by_config = complaint({"config": config})

    assert by_flag.startswith(f"--{name.replace('_', '-')} is '{shown}")
    assert by_variable.startswith(f"MOCKSERVER_{name.upper()} is '{shown}")
    assert by_config.startswith(f"{config}: {name} is '{shown}")
    assert all(wanted in text and len(text) < 500 for text in (by_flag, by_variable, by_config))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("prot: 1", "'prot' is not a setting (its value is '1'); did you mean port?"),
        ("zzzzzz: 1", "'zzzzzz' is not a setting (its value is '1'); known are host, port, "),
        ("port: [1, 2]", "port is ['1', '2']; wanted an integer"),
        ("strict: {a: b}", "strict is {'a': 'b'}; wanted true or false"),
        ("seed: [a]", "seed is ['a']; wanted one text"),
        ("spec: {a: b}", "spec is {'a': 'b'}; wanted one or more texts"),
        ("spec: [a, [b]]", "spec is ['a', ['b']]; wanted one or more texts"),
        ("port:", "port is ''; wanted an integer"),
        ("- port", "is ['port']; wanted a mapping of setting names to values"),
        ("? [a]\n: b", "cannot be read as a config file"),
        ("port: [", "cannot be read as a config file"),
        ("\x00", "cannot be read as a config file"),
    ],
)
def test_an_invalid_config_file_is_named(text: str, wanted: str, tmp_path: Path) -> None:
    config = write(tmp_path, text)

    message = complaint({"config": config})

    assert message.startswith(config)
    assert wanted in message
    assert "\n" not in message


def test_a_config_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\xfa")

    assert "cannot be read" in complaint({"config": str(tmp_path / "none.yaml")})
    assert "cannot be read" in complaint({"config": str(binary)})


def test_an_unknown_flag_of_a_python_caller_is_named() -> None:
    assert complaint({"prot": 1}) == "unknown flag 'prot'; did you mean port?"


def test_a_python_caller_may_give_values_instead_of_text() -> None:
    settings = read({"port": 0, "strict": True, "fixtures": ("a",), "seed": None})

    assert settings == Settings(port=0, strict=True, fixtures=("a",))
    assert complaint({"port": True}) == "--port is True; wanted an integer from 0 to 65535"


def test_an_unknown_variable_is_warned_about_with_the_nearest_match() -> None:
    settings, warnings = read_settings({}, {"MOCKSERVER_PROT": "1", "OTHER": "x"})

    assert settings == Settings()
    assert warnings == ["unknown variable MOCKSERVER_PROT; did you mean MOCKSERVER_PORT?"]


def test_the_variable_that_marks_a_run_of_tests_is_known() -> None:
    assert read_settings({}, {"MOCKSERVER_RUN": "job-7"}) == (Settings(), [])


def test_a_kubernetes_service_of_our_name_does_not_set_the_port() -> None:
    settings, warnings = read_settings({}, {"MOCKSERVER_PORT": "tcp://10.0.0.1:4024"})

    assert settings == Settings()
    assert warnings == [
        "MOCKSERVER_PORT is 'tcp://10.0.0.1:4024', which Kubernetes sets for a service of that name; ignored"
    ]


OF_KUBERNETES = {
    "MOCKSERVER_SERVICE_HOST": "10.0.0.1",
    "MOCKSERVER_SERVICE_PORT": "4024",
    "MOCKSERVER_SERVICE_PORT_HTTP": "4024",
    "MOCKSERVER_PORT_4024_TCP": "tcp://10.0.0.1:4024",
    "MOCKSERVER_PORT_4024_TCP_PROTO": "tcp",
    "MOCKSERVER_PORT_4024_TCP_PORT": "4024",
    "MOCKSERVER_PORT_4024_TCP_ADDR": "10.0.0.1",
    "MOCKSERVER_ADMIN_SERVICE_HOST": "10.0.0.2",
    "MOCKSERVER_ADMIN_PORT": "udp://10.0.0.2:53",
    "MOCKSERVER_ADMIN_PORT_53_UDP_ADDR": "10.0.0.2",
}


def test_variables_of_kubernetes_are_neither_read_nor_warned_about() -> None:
    settings, warnings = read_settings({}, OF_KUBERNETES)

    assert (settings, warnings) == (Settings(), [])


@pytest.mark.parametrize("link", ["tcp://10.0.0.1:4024", "udp://10.0.0.1:4024", "tcp://[fd00::1]:4024"])
def test_the_address_of_a_service_is_no_port(link: str) -> None:
    settings, warnings = read_settings({}, {**OF_KUBERNETES, "MOCKSERVER_PORT": link})

    assert settings == Settings()
    assert warnings == [f"MOCKSERVER_PORT is {link!r}, which Kubernetes sets for a service of that name; ignored"]


def test_a_variable_unlike_any_setting_gets_no_suggestion() -> None:
    assert read_settings({}, {"MOCKSERVER_BANANA": "1"})[1] == ["unknown variable MOCKSERVER_BANANA"]
    assert read_settings({}, {"MOCKSERVER_LOGLEVEL": "1"})[1] == [
        "unknown variable MOCKSERVER_LOGLEVEL; did you mean MOCKSERVER_LOG_LEVEL?"
    ]


@pytest.mark.parametrize("text", ["info", "INFO", "Info"])
def test_a_choice_may_be_written_in_any_case(text: str) -> None:
    assert read_settings({}, {"MOCKSERVER_LOG_LEVEL": text})[0].log_level == "info"
    assert read_settings({"callbacks": "INBOX"}, {})[0].callbacks == "inbox"


def test_a_secret_in_a_misspelt_entry_of_the_config_file_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("admin-tokn: s3cret-value\n")

    with pytest.raises(SettingsError) as raised:
        read_settings({"config": str(path)}, {})

    assert "did you mean admin_token?" in str(raised.value)
    path.write_text("admin-token: [s3cret-value]\n")
    with pytest.raises(SettingsError) as listed:
        read_settings({"config": str(path)}, {})
    assert "s3cret" not in str(listed.value)


@pytest.mark.parametrize("name", ["password", "admin_tokn", "admin-toke"])
def test_a_value_is_not_repeated_if_its_own_name_or_the_one_that_was_meant_is_that_of_a_secret(
    name: str, tmp_path: Path
) -> None:
    message = complaint({"config": write(tmp_path, f"{name}: s3cret-value\n")})

    assert f"{name!r} is not a setting;" in message
    assert "s3cret" not in message
