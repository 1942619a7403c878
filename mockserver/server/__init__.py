"""The process: socket, HTTP protocol, signals; and ThreadedServer, a server in a thread of this process."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockserver.server.process import ThreadedServer

__all__ = ["ThreadedServer"]


def __getattr__(name: str) -> Any:
    """ThreadedServer is imported when it is first used: it imports the engine and the web application."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.process"), name)
