"""Settings: the table of all of them, and how they are read from flags, variables and a config file."""

from mockserver.settings.table import ROWS, Settings, flag_of, url_of, variable_of

__all__ = ["ROWS", "Settings", "flag_of", "url_of", "variable_of"]
