"""Every setting, once: this table feeds the flags, the environment variables, the config file and the docs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mockserver.errors import SettingsError

PREFIX = "MOCKSERVER_"


def setting(default: Any, help: str, *, choices: tuple[str, ...] = (), metavar: str = "", flag: str = "") -> Any:  # noqa: A002  argparse's word
    """One row of the table: a default, a sentence, and how the flag looks."""
    return field(default=default, metadata={"help": help, "choices": choices, "metavar": metavar, "flag": flag})


@dataclass(frozen=True)
class Settings:
    """How the server is set up. A row's type says how its text is read: int, bool, tuple (a repeatable flag) or str."""

    host: str = setting("127.0.0.1", "Address to listen on.", metavar="ADDRESS")
    port: int = setting(4024, "Port to listen on; 0 picks a free one. PORT is honoured, too.", metavar="PORT")
    port_file: str = setting("", "Write the port to this file once the server listens.", metavar="FILE")
    seed: str = setting("mockserver", "The string that all ids and fabricated values derive from.", metavar="TEXT")
    fixtures: tuple[str, ...] = setting((), "A folder of fixtures, asked before the bundled ones. Repeatable.", metavar="DIR")
    spec: tuple[str, ...] = setting((), "An OpenAPI 3.x document to serve beside the bundled one. Repeatable.", metavar="FILE")
    strict: bool = setting(False, "Refuse what a real API may forgive (null, unknown keys and arguments); check every reply.")
    clock: str = setting("flowing", "Sandbox time: 'flowing', 'frozen', or an ISO 8601 instant it starts from; 'frozen@INSTANT' starts and stays there.", metavar="CLOCK")
    progression: str = setting("time:2", "What makes a batch age: 'immediate', 'time:SECONDS' or 'polls:COUNT'.", metavar="HOW")
    agentfirst_version: str = setting("2026-04", "Agent First's completion field set: that of April or of July 2026.", choices=("2026-04", "2026-07"))
    empty_prompts: bool = setting(False, "Accept empty prompts (whether the real API does is unknown).")
    page_weight: str = setting("light", "Size of completion pages: 'light' (a few kB) or 'realistic' (200 kB to 1.5 MB).", choices=("light", "realistic"))
    magic: bool = setting(True, "Heed reserved tokens (mock-no-credits, …) and markers ([mock:fail], …).")
    debug_headers: bool = setting(True, "Send X-Mock-* headers, which the vendor would not.")
    admin_token: str = setting("", "Token that /__admin asks for in X-Mock-Admin-Token; needed off loopback.", metavar="TOKEN")
    max_body: int = setting(32 * 1024 * 1024, "Largest request body, in bytes.", metavar="BYTES")
    body_timeout: int = setting(30, "Longest wait for the rest of a request body, in seconds.", metavar="SECONDS")
    journal_size: int = setting(1000, "How many exchanges a sandbox's journal keeps.", metavar="COUNT")
    log_level: str = setting("warning", "What is logged to standard error.", choices=("debug", "info", "warning", "error"))
