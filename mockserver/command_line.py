"""Subcommands of a command line: their flags, their help, and what they write."""

import os
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from mockserver.text import without_passwords

# A fixed width: to get the terminal's, argparse would import shutil and all archivers at every start.
HELP_FORMATTER = partial(RawDescriptionHelpFormatter, width=110, max_help_position=30)


class Command(ArgumentParser):
    """The parser of a command. Its flags are added when they are needed, since adding those of all takes 4 ms.

    Help that cannot be written is an error.
    """

    flags: Callable[[ArgumentParser], None] | None = None
    """Adds the flags; None when they were added."""

    def add_flags(self) -> None:
        """Add the flags, unless they were added."""
        add, self.flags = self.flags, None
        if add is not None:
            add(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.add_flags()
        return super().parse_known_args(args, namespace)

    def format_help(self) -> str:
        self.add_flags()
        return super().format_help()

    def _print_message(self, message: str, file: Any = None) -> None:
        (write if file is not None and file is sys.stdout else complain)(message)


class UnwritableError(Exception):
    """Standard output cannot be written, e.g. because its disk is full."""


def write(text: str) -> None:
    """Writes to standard output. Raises UnwritableError, or BrokenPipeError if the reader has closed it."""
    if sys.stdout is None:  # the parent process closed it
        return
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnwritableError from error


def flush() -> None:
    """Flushes standard output; raises as `write` does."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnwritableError from error


def drop_output() -> None:
    """Discards unwritten output, about which Python would complain again at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # not backed by a file descriptor
        sys.stdout = None  # as Python sets it without standard output


def complain(text: str) -> None:
    """Writes to standard error if possible."""
    try:
        sys.stderr.write(without_passwords(text))
        sys.stderr.flush()
    except (OSError, AttributeError, ValueError):
        with suppress(OSError, AttributeError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
