"""The pages that nobody writes: MkDocs takes them from the code when it builds, and they are never files."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from mockserver.cli import EXIT_CODES, _parser
from mockserver.loading import load_engine
from mockserver.provider import Service
from mockserver.settings import GROUPS, ROWS, Settings, flag_of, variable_of
from mockserver.state.batches import read_fate
from mockserver.state.faults import listed_faults
from mockserver.state.ledger import PLENTY, reserved, reserved_status
from mockserver.web.admin import ADMIN_PREFIX
from mockserver.web.calls import Verb
from mockserver.web.verbs import VERBS

README = Path(__file__).parents[1] / "README.md"
TOKENS = ("anything-else", "mock-no-credits", "mock-credits-12-of-mine", "mock-revoked", "mock-status-500")
MARKERS = ("no marker", "[mock:fail]", "[mock:fail=503]", "[mock:slow=30s]", "[mock:slow=250ms]", "[mock:hang]")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """MkDocs calls this once it has found the pages that are files."""
    for path, write in PAGES.items():
        files.append(File.generated(config, path, content=write()))
    return files
