"""Schemathesis against other documents than ours: no answer breaks its document, no valid request is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_settings
from foreign import SAMPLES
from schemathesis_runs import ENVIRONMENT, TIMEOUT

from mockserver.openapi.loading.read import main_file
from mockserver.server.process import ThreadedServer

CHECKS = (
    "not_a_server_error",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
)
"""Rejections are not judged: these documents describe few errors."""
LEFT_OUT = {"parts": ["--exclude-method=POST"]}
"""What Schemathesis does not read: an operation that is only a reference to another file."""


@pytest.mark.parametrize("document", [*map(main_file, SAMPLES)], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_schemathesis_finds_no_answer_that_breaks_the_document(document: Path, tmp_path: Path) -> None:
    with ThreadedServer(make_settings(spec=(str(document),))) as server:
        run = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "--no-color", "run", str(document), f"--url={server.url}",
                "--header=Authorization: Bearer test", "--header=X-Library-Key: test",
                *LEFT_OUT.get(document.parent.name, []),
                f"--checks={','.join(CHECKS)}", "--phases=examples,coverage,fuzzing",
                "--seed=4024", "--max-examples=10", "--generation-database=none",
            ],
            cwd=tmp_path,
            env=os.environ | ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )  # fmt: skip

    assert run.returncode == 0, run.stdout[-4000:] + run.stderr
