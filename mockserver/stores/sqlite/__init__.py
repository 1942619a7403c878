"""A store in one SQLite file: the backend, the file's format, and the work that needs no request."""

from mockserver.stores.sqlite.backend import SqliteBackend

__all__ = ["SqliteBackend"]
