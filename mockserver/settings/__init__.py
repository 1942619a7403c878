"""Settings: the table of all of them, and how they are read from flags, variables and a config file."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockserver.settings.table import ROWS, Settings, flag_of, url_of, variable_of

__all__ = ["ROWS", "Settings", "flag_of", "url_of", "variable_of"]


def __getattr__(name: str) -> Any:
    """The table is imported when it is first used: it imports providers' declarations, which import this package."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.table"), name)
