"""Reads documents and fixtures again when a file changes (`--watch`)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from mockserver.engine.build import build_engine
from mockserver.engine.engine import Engine
from mockserver.errors import MockServerError, SettingsError
from mockserver.settings.table import Settings
from mockserver.web.app import MockServer

try:
    import watchfiles
except ImportError as error:
    wanted = "pip install 'batch-mockserver[watch]', or '.[watch]' in a checkout"
    raise SettingsError(f"--watch needs the extra `watch`: {wanted}") from error

MAX_FOLDERS = 1_000
"""The most folders that are watched."""
QUIET_MS = 100
"""Milliseconds without a further change after which files are read."""

_log = logging.getLogger("mockserver")


@contextmanager
def watching(app: MockServer, settings: Settings) -> Iterator[None]:
    """While the block runs, the app answers with what the files say now.

    What cannot be used is reported in the log, and the earlier state stays in force.
    """
    stop = Event()
    thread = Thread(target=_watch, args=(app, settings, stop), name="mockserver-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(1)


def watched_folders(engine: Engine, settings: Settings) -> list[Path]:
    """The folders whose files may matter: those of all files of the documents, and the fixtures' with all below."""
    found = {file.resolve().parent for file in engine.files}
    for name in settings.fixtures:
        top = Path(name).resolve()
        found |= {top, *(each for each in top.rglob("*") if each.is_dir())}
    return sorted(each for each in found if each.is_dir())[:MAX_FOLDERS]


def _watch(app: MockServer, settings: Settings, stop: Event) -> None:
    is_stale = False
    while not stop.is_set():
        folders = watched_folders(app.engine, settings)
        if not folders:
            _log.warning("--watch: there is neither --spec nor --fixtures, so there is nothing to watch")
            return
        changes = watchfiles.watch(
            *folders, recursive=False, stop_event=stop, step=QUIET_MS, raise_interrupt=False,
            rust_timeout=QUIET_MS * 5, yield_on_timeout=True,
        )  # fmt: skip
        for found in changes:
            # Folders are watched from the first pass on; what changed between two watches is read in it.
            if (found or is_stale) and read_again(app, settings):
                is_stale = watched_folders(app.engine, settings) != folders
                if is_stale:
                    break
            is_stale = False


def read_again(app: MockServer, settings: Settings) -> bool:
    """Read the files, and answer with what they say; returns whether they can be used."""
    try:
        engine = build_engine(settings, before=app.engine)
    except MockServerError as error:
        _log.error("not read again, what was read before stays in force: %s", error)
        return False
    except Exception:
        _log.exception("not read again: a bug in mockserver")
        return False
    app.replace_engine(engine)
    _log.warning("read again: %s", ", ".join([*settings.spec, *settings.fixtures]))
    return True
