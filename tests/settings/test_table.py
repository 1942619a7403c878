"""The table of settings: defaults and bounds that a change must not move unnoticed, and the names of each row."""

import socket

import pytest

from mockserver.settings.table import ROWS, Settings, flag_of, provider_settings, replica_of, url_of, variable_of

DEFAULTS = {
    "host": "127.0.0.1",
    "port": 4024,
    "workers": 1,
    "store": "memory",
    "store_force": False,
    "ready_when_store": False,
    "drain": 0,
    "replica": "",
    "fixtures": (),
    "spec": (),
    "fetch": False,
    "with_bundled": False,
    "overlay": (),
    "strict_spec": False,
    "watch": False,
    "seed": "mockserver",
    "clock": "flowing",
    "progression": "time:2",
    "strict": False,
    "stateful": False,
    "dynamic": False,
    "unrecorded": "explain",
    "magic": True,
    "debug_headers": True,
    "cors": "local",
    "callbacks": "send",
    "callback_allow": (),
    "callback_retries": "0.5,2,8",
    "callback_timeout": "5",
    "sqs_endpoint": "",
    "max_body": 33_554_432,
    "body_timeout": 30,
    "head_timeout": 10,
    "max_head": 65_536,
    "send_timeout": 60,
    "max_connections": 2000,
    "journal_size": 1000,
    "journal_bytes": 268_435_456,
    "batch_bytes": 268_435_456,
    "max_sandboxes": 10_000,
    "expire_idle": 0,
    "log_level": "warning",
    "log_format": "text",
}


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_the_default_of_a_setting(name: str, default: object) -> None:
    assert getattr(Settings(), name) == default
    assert type(ROWS[name].default) is type(default)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("port", 0, 65_535), ("workers", 1, 64), ("drain", 0, 3600), ("expire_idle", 0, None), ("max_body", 1, None)],
)
def test_the_bounds_of_a_number(name: str, least: int, most: int | None) -> None:
    found = ROWS[name].metadata["range"]

    assert found[0] == least
    assert most is None or found[1] == most


def test_flag_and_variable_of_a_setting() -> None:
    assert (flag_of("max_body"), variable_of("max_body")) == ("--max-body", "MOCKSERVER_MAX_BODY")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),  # noqa: S104  not bound
        ("::", "http://[::1]:80"),
        ("fe80::1", "http://[fe80::1]:80"),
        ("a.example", "http://a.example:80"),
    ],
)
def test_the_url_for_clients_on_this_machine(host: str, url: str) -> None:
    assert url_of(host, 80) == url


def test_a_server_has_the_name_of_its_host_where_others_share_its_store() -> None:
    shared = "redis://127.0.0.1/0"

    assert replica_of(Settings()) == ""
    assert replica_of(Settings(store=shared)) == socket.gethostname()
    assert replica_of(Settings(store=shared, replica="one")) == replica_of(Settings(replica="one")) == "one"


def test_settings_of_a_provider_that_is_not_installed_are_refused() -> None:
    class Absent:
        pass

    with pytest.raises(TypeError, match="Absent is no part of the settings: its package is not installed"):
        provider_settings(Absent, Settings())
