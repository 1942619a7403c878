"""AgileCloud: an OpenAI-compatible API with batches, files and prompt templates."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockserver.providers.agilecloud.hooks import api

__all__ = ["api"]


def __getattr__(name: str) -> Any:
    """The provider is imported when it is first asked for: reading settings needs the module `settings` only."""
    if name != "api":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.hooks").api
