"""The table of settings: defaults of texts, the names of each row, and the server's name among replicas."""

import socket

import pytest

from mockserver.settings.table import Settings, flag_of, provider_settings, replica_of, variable_of

TEXTS = {
    "host": "127.0.0.1",
    "store": "memory",
    "replica": "",
    "port_file": "",
    "admin_token": "",
    "seed": "mockserver",
    "clock": "flowing",
    "progression": "time:2",
    "unrecorded": "explain",
    "cors": "local",
    "callbacks": "send",
    "callback_retries": "0.5,2,8",
    "callback_timeout": "5",
    "sqs_endpoint": "",
    "log_level": "warning",
    "log_format": "text",
}


@pytest.mark.parametrize(("name", "default"), TEXTS.items())
def test_the_default_of_a_text(name: str, default: str) -> None:
    assert getattr(Settings(), name) == default


def test_flag_and_variable_of_a_setting() -> None:
    assert (flag_of("max_body"), variable_of("max_body")) == ("--max-body", "MOCKSERVER_MAX_BODY")


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
