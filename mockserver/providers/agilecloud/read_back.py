"""Reads everything that AgileCloud keeps in a sandbox, to see whether an imported one can be read."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from mockserver.api.call import ApiContext
from mockserver.api.provider import Reading
from mockserver.providers.agilecloud.batches.input import rejection_error
from mockserver.providers.agilecloud.batches.job import BatchRecord, jobs_of
from mockserver.providers.agilecloud.batches.operations import batch_json
from mockserver.providers.agilecloud.context import context_models
from mockserver.providers.agilecloud.files import file_json, files_of
from mockserver.providers.agilecloud.models import Models
from mockserver.providers.agilecloud.prompts.operations import prompt_json, version_json
from mockserver.providers.agilecloud.prompts.prompt import Prompt
from mockserver.providers.agilecloud.prompts.repository import prompts_of
from mockserver.providers.agilecloud.usage import ENDS, STARTS, UsageEntry, add_up, report, usage_entries
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.sandbox import Sandbox

JOBS, PROMPTS = "agilecloud.jobs", "agilecloud.prompts"


def read_back(context: ApiContext, sandbox: Sandbox) -> Iterator[Reading]:
    """What clients would be answered: files, batches now and after their end, prompts, and each account's usage."""
    for id_, record in files_of(sandbox).items():
        yield Reading("agilecloud.files", id_, partial(file_json, record), "File")
    models = context_models(context)
    for id_, job in jobs_of(sandbox).items():
        yield from _read_job(id_, job, sandbox, models)
    for key, prompt in prompts_of(sandbox).items():
        yield Reading(PROMPTS, key, partial(_find_prompt, sandbox, prompt))
        yield from _read_prompt(PROMPTS, key, prompt)
    for account, end in sandbox.collection(ENDS, int).items():
        yield Reading(ENDS, account, partial(_read_usage, sandbox, account, end, models))
    yield Reading(ENDS, "", lambda: report(context, sandbox))


def _read_job(id_: str, job: BatchRecord, sandbox: Sandbox, models: Models) -> Iterator[Reading]:
    yield Reading(JOBS, id_, partial(_find_related, sandbox, job, models))
    for now in (sandbox.clock.now(), LATEST):
        yield Reading(JOBS, id_, partial(batch_json, job, now), "Batch")
    if job.rejection is not None:
        yield Reading(JOBS, id_, partial(rejection_error, job.rejection), "BatchError")
    for prompt in job.prompts.values():
        yield from _read_prompt(JOBS, id_, prompt)


def _read_prompt(collection: str, key: str, prompt: Prompt) -> Iterator[Reading]:
    yield Reading(collection, key, partial(prompt_json, prompt), "Prompt")
    for version in prompt.versions:
        yield Reading(collection, key, partial(version_json, prompt, version), "PromptVersion")


def _find_related(sandbox: Sandbox, job: BatchRecord, models: Models) -> None:
    """Finds what a batch refers to."""
    if sandbox.accounts.with_key(job.batch.account) is None:
        raise LookupError("its account is not there")
    for id_ in (job.output_file_id, job.error_file_id):
        if id_ is not None and files_of(sandbox).get(id_) is None:
            raise LookupError(f"it wrote the file {id_[:100]}, which is not there")
    results = job.results
    if results is not None:
        _find_models(results.usage, models)
        model = None if results.model is None else models.find(results.model)
        if results.model is not None and (model is None or model.id != results.model):
            raise LookupError(f"results: it names the model {results.model[:100]}, which this server does not serve")


def _find_models(names: Iterable[str], models: Models) -> None:
    """Finds models by their own names, which are no aliases."""
    for name in names:
        model = models.find(name)
        if model is None or model.name != name:
            raise LookupError(f"it names the model {name[:100]}, which this server does not serve")


def _find_prompt(sandbox: Sandbox, prompt: Prompt) -> None:
    if prompts_of(sandbox).get(f"{prompt.account}\n{prompt.slug}") is not prompt:
        raise LookupError("its account or slug is another")


def _read_usage(sandbox: Sandbox, account: str, end: int, models: Models) -> None:
    entries, start = usage_entries(sandbox, account), sandbox.collection(STARTS, int).get(account) or 0
    if len(entries) != end - start:
        raise LookupError("an entry of it is not there")
    _find_models(dict.fromkeys(each.model for each in entries), models)
    if not all(each.events is None or add_up(each.events).counts == _counts(each) for each in entries):
        raise ValueError("the events of an entry are not those of its sums")


def _counts(entry: UsageEntry) -> tuple[int, int, int, Any]:
    return entry.requests, entry.prompt_tokens, entry.completion_tokens, entry.cost
