"""Schemathesis against other documents than ours: no answer breaks its document, no valid request is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_settings
from foreign import SAMPLES
from schemathesis_runs import TIMEOUT

from mockserver.server.process import ThreadedServer

CHECKS = (
    "not_a_server_error",
    "response_headers_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
)
"""Rejections are not judged: these documents describe few errors."""


@pytest.mark.parametrize("document", [SAMPLES[0], SAMPLES[1]], ids=lambda path: path.stem)
def test_schemathesis_finds_no_answer_that_breaks_the_document(document: Path, tmp_path: Path) -> None:
    with ThreadedServer(make_settings(spec=(str(document),))) as server:
        run = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "--no-color", "run", str(document), f"--url={server.url}",
                "--header=Authorization: Bearer test", f"--checks={','.join(CHECKS)}", "--phases=examples,coverage",
                "--seed=4024", "--max-examples=3", "--generation-database=none",
            ],
            cwd=tmp_path,
            env=os.environ | {"NO_PROXY": "*", "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )  # fmt: skip

    assert run.returncode == 0, run.stdout[-4000:] + run.stderr
