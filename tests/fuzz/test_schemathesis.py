"""Schemathesis against a running server: what the document promises is what the server does, and no more."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from schemathesis_runs import ADA, SETTINGS, Target, fuzzed, schemathesis
from wrong_responses import FURTHER, LIES, Told

from mockserver.providers.agilecloud.batches.job import jobs_of
from mockserver.settings.table import Settings

PHASES = ("examples", "coverage", "fuzzing", "stateful")

AGENT_FIRST = {
    "queueBatch": {202, 401, 403, 422},
    "getBatchStatus": {200, 401, 403, 422},
    "getCompletion": {200, 401, 403, 422},
    "askModel": {200, 202, 401, 403, 422},
    "listDevices": {200, 401, 403},
    "getUser": {200, 401, 403},
    "getArchive": {200, 404, 422},
}
AGILECLOUD = {
    "createFile": {200, 400, 401},
    "listFiles": {200, 400, 401},
    "retrieveFile": {200, 401, 404},
    "deleteFile": {200, 401},
    "downloadFile": {200, 206, 401},
    "createBatch": {200, 400, 401},
    "listBatches": {200, 400, 401},
    "retrieveBatch": {200, 401, 404},
    "cancelBatch": {200, 401},
    "createChatCompletion": {200, 400, 401},
    "createEmbedding": {200, 400, 401},
    "listModels": {200, 401},
    "retrieveModel": {200, 401},
    "createPrompt": {201, 400, 401, 409},
    "listPrompts": {200, 401},
    "getPrompt": {200, 401},
    "updatePrompt": {200, 400, 401},
    "archivePrompt": {204, 401},
    "createPromptVersion": {201, 400, 401},
    "listPromptVersions": {200, 401},
    "publishPromptVersion": {200, 400, 401},
    "diffPromptVersions": {200, 400, 401},
    "renderPrompt": {200, 400, 401},
    "startAbTest": {200, 400, 401},
    "getAbResults": {200, 401},
}
"""Operations with the statuses that a run has to meet: one that meets only refusals would say little."""


@pytest.mark.parametrize(
    ("tag", "documented", "examples"), [("Agent First", AGENT_FIRST, 16), ("AgileCloud", AGILECLOUD, 8)]
)
def test_schemathesis_finds_nothing_that_the_document_does_not_promise(
    tag: str, documented: Mapping[str, set[int]], examples: int, tmp_path: Path
) -> None:
    with fuzzed(SETTINGS) as target:
        options = f"--include-tag={tag}", f"--max-examples={examples}", "--seed=11"
        report, output = schemathesis(target, tmp_path, *options)

    assert report["exit_code"] == 0, output
    assert {name: phase["status"] for name, phase in report["phases"].items()} == dict.fromkeys(PHASES, "success")
    assert report["operations"]["tested"] == len(documented) == len(tagged(target, tag))
    assert report["test_cases"]["generated"] > 8 * examples
    assert target.met >= {(operation, status) for operation in documented for status in documented[operation]}
    assert len(own_batches_read(target)) > examples / 8


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        # Strict is another document, too: it knows no nulls and no further fields.
        pytest.param(
            replace(SETTINGS, strict=True), ("--phases=examples,coverage,fuzzing", "--max-examples=5"), id="strict"
        ),
        # Only the completions are other ones.
        pytest.param(
            replace(SETTINGS, agentfirst_version="2026-07"),  # type: ignore[call-arg]  # a row of a provider
            ("--include-operation-id-regex=^(askModel|getCompletion)$", "--max-examples=20"),
            id="July 2026",
        ),
    ],
)
def test_schemathesis_finds_nothing_in_other_settings_either(
    settings: Settings, options: tuple[str, ...], tmp_path: Path
) -> None:
    with fuzzed(settings) as target:
        report, output = schemathesis(target, tmp_path, *options)

    assert report["exit_code"] == 0, output
    assert report["operations"]["tested"] == report["operations"]["selected"]
    assert report["test_cases"]["generated"] > 100
    assert ("askModel", 200) in target.met


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, set[str]]:
    """What Schemathesis says to all of the lies, by operation."""
    with fuzzed(SETTINGS, {told.paths: told.lie for told in LIES}) as target:
        only = [f"--include-name={name}" for name in (*(told.operation for told in LIES), *FURTHER)]
        report, output = schemathesis(target, tmp_path_factory.mktemp("lies"), *only, "--max-examples=5", "--no-shrink")
    assert report["exit_code"] == 1, output
    found: dict[str, set[str]] = {}
    for failure in report["failures"]:
        for operation in failure["operations"]:
            found.setdefault(operation, set()).add(failure["type"])
    return found


@pytest.mark.parametrize("told", LIES, ids=lambda told: told.lie.__name__)
def test_schemathesis_notices_a_wrong_response(told: Told, complaints: Mapping[str, set[str]]) -> None:
    assert complaints.get(told.operation, set()) >= told.failures, complaints


def tagged(target: Target, tag: str) -> list[str]:
    return [service.operation.key for service in target.server.engine.services if service.operation.tag == tag]


def own_batches_read(target: Target) -> set[str]:
    """The batches that Schemathesis started and then went on to follow."""
    sandbox = target.server.engine.sandboxes.open(ADA["x-mock-sandbox"])
    batches = [*sandbox.batches.scan(), *(job.batch for job in jobs_of(sandbox).scan())]
    return {batch.id for batch in batches if batch.reads} - {*target.ids["queued"], *target.ids["batches"]}
