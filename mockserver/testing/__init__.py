"""Sandboxes and servers for tests, with unittest or any other runner; pytest has its plugin."""

from mockserver.testing.pool import LeasedSandbox, RemotePool, SandboxApp
from mockserver.testing.unittest import (
    SandboxTestCase,
    asgi_app,
    frozen_settings,
    journal_text,
    leased_sandbox,
    running_pool,
    running_server,
)

__all__ = [
    "LeasedSandbox",
    "RemotePool",
    "SandboxApp",
    "SandboxTestCase",
    "asgi_app",
    "frozen_settings",
    "journal_text",
    "leased_sandbox",
    "running_pool",
    "running_server",
]
