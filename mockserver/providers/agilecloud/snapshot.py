"""Consistency checks of AgileCloud's collections, e.g. that a file's size is that of its content."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.api.call import ApiContext
from mockserver.http import StoredBytes
from mockserver.providers.agilecloud.batches.input import MAX_LINES, rejection_error
from mockserver.providers.agilecloud.batches.job import BatchRecord
from mockserver.providers.agilecloud.batches.run import LineResults
from mockserver.providers.agilecloud.context import context_models
from mockserver.providers.agilecloud.files import FileRecord, file_json
from mockserver.providers.agilecloud.models import Models
from mockserver.providers.agilecloud.prompts.prompt import AbTest, Prompt, PromptVersion, VersionStatus
from mockserver.providers.agilecloud.rate_limit import Bucket
from mockserver.providers.agilecloud.usage import MAX_ENTRIES, UsageEntry, UsageTotal, add_up
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.snapshot.checks import Inconsistency, are_valid_outcomes, is_json, is_time, is_valid_batch

MOST = 2**40
"""The most tokens, or requests, of an account, so that costs fit into JSON."""
MOST_COST = 2**62
"""The most nano-dollars of an account."""
LONGEST_LIFE = 1e9
"""The longest life of a file in seconds; the document allows less."""


class _KnownIds(NamedTuple):
    """The ids to which records may refer."""

    models: Models
    files: Mapping[str, FileRecord]
    usage: Mapping[str, UsageEntry]
    starts: Mapping[str, int]
    ends: Mapping[str, int]
    world: ApiContext

    def numbers(self, account: str) -> range:
        """The numbers that an account's usage has."""
        return range(self.starts.get(account, 0), self.ends.get(account, 0))

    def has_model(self, id_: str) -> bool:
        """Whether a model has this id."""
        model = self.models.find(id_)
        return model is not None and model.id == id_

    def has_own_name(self, name: str) -> bool:
        """Whether this is a model's own name, not an alias."""
        model = self.models.find(name)
        return model is not None and model.name == name


def snapshot_problems(world: ApiContext, shelves: Mapping[str, Mapping[str, Any]]) -> Iterator[Inconsistency]:
    """Inconsistencies in the collections."""
    files, usage, starts, ends = (
        shelves.get(f"agilecloud.{name}", {}) for name in ("files", "usage", "usage_starts", "usage_ends")
    )
    known = _KnownIds(context_models(world), files, usage, starts, ends, world)
    for shelf, look in _LOOKS.items():
        for key, value in shelves.get(shelf, {}).items():
            yield from (Inconsistency(f"{shelf}.{key}", complaint) for complaint in look(key, value, known))


def _of_file(key: str, record: FileRecord, known: _KnownIds) -> Iterator[str]:
    if record.id != key:
        yield "its id is another"
    yield from _is_unknown_error(file_json(record), "File", known)
    if record.size != record.blob.size and not record.deleted:
        yield f"its size is {record.size}; its blob has {record.blob.size} bytes"
    # Long-lived files expire after the year 9999, the clock's maximum.
    is_dated = is_time(record.created_at) and 0 <= (record.expires_at or 0) <= LATEST + LONGEST_LIFE
    if not is_dated:
        yield "a time of it is before 1970, or past the year 9999"


def _of_job(key: str, job: BatchRecord, known: _KnownIds) -> Iterator[str]:
    if job.batch.id != key:
        yield "its id is another"
    if not (is_valid_batch(job.batch) and job.batch.fates is not None and job.batch.size <= MAX_LINES):
        yield "its timeline does not agree with itself"
    if not _is_end(job.cancelled, job.batch.created) or not _is_end(job.cancel_seen, job.cancelled):
        yield "it was cancelled before its beginning, or past the year 9999"
    if not 0 <= (job.output_expires_after or 0) <= LONGEST_LIFE:
        yield f"its files expire after {job.output_expires_after} seconds"
    if job.metadata is not None:
        yield from _is_unknown_error(dict(job.metadata), "Metadata", known)
    if job.rejection is not None:
        yield from _is_unknown_error(rejection_error(job.rejection), "BatchError", known)
    for id_ in (job.output_file_id, job.error_file_id):
        if id_ is not None and id_ not in known.files:
            yield f"it wrote the file {id_[:100]}, which is not there"
    yield from _of_work(job, known)
    for name, prompt in job.prompts.items():
        complaints = _of_prompt(name, prompt, known) if isinstance(prompt, Prompt) else ["no prompt"]
        yield from (f"prompts.{name[:100]}: {complaint}" for complaint in complaints)


def _is_unknown_error(value: Mapping[str, Any], component: str, known: _KnownIds) -> Iterator[str]:
    """An error that the document does not define."""
    if not is_json(value):
        yield f"{component}: it is no JSON"
    else:
        found = known.world.bundled_component(component).violations(value, ())
        yield from (f"{'.'.join([component, *map(str, each.location)])}: {each.message}" for each in found)


def _is_end(instant: float, begin: float) -> bool:
    """Whether the instant can be the end of something with that beginning; infinite if it has not ended."""
    return instant == math.inf or begin <= instant <= LATEST


def _of_work(job: BatchRecord, known: _KnownIds) -> Iterator[str]:
    """Inconsistencies of a batch's results."""
    worked = job.worked
    if worked is None:
        if job.batch.size != 1:
            yield "it has a size, and no line was read yet"
        return
    if worked.errors:
        for each in worked.errors:
            yield from _is_unknown_error(dict(each), "BatchError", known)
        if worked.size:
            yield f"worked: it has errors, and a size of {worked.size}"
    elif worked.size != job.batch.size:
        yield f"worked: its size is {worked.size}; that of its batch is {job.batch.size}"
    yield from (f"worked: {complaint}" for complaint in _of_counts(worked))
    if not all(map(known.has_own_name, worked.trades)) or not (worked.model is None or known.has_model(worked.model)):
        yield "worked: it names a model that this server does not serve"


def _of_counts(worked: LineResults) -> Iterator[str]:
    if len(worked.good) != worked.size or worked.good.translate(None, b"\0\1"):
        yield f"good does not say 0 or 1 of each of {worked.size} items"
    if not are_valid_outcomes(worked.fates, worked.size):
        yield "its fates are not those of its items"
    if sum(trade.requests for trade in worked.trades.values()) != worked.good.count(1):
        yield "its trades are of more or fewer requests than have succeeded"
    if worked.events and worked.events.keys() != worked.trades.keys():
        yield "its events are of other models than its trades"
    elif not all(_adds_up(events, worked.trades[model]) for model, events in worked.events.items()):
        yield "its events are not those of its trades"
    uses = (use.trade for use in worked.uses if use.trade is not None)
    if not all(_is_trade(trade) for trade in (*worked.trades.values(), *uses)):
        yield "a trade is of less than nothing, or of more than an account may use"


def _adds_up(events: StoredBytes, trade: UsageTotal) -> bool:
    """Whether the events sum up to the usage."""
    try:
        return add_up(events) == trade
    except ValueError:
        return False


def _is_trade(trade: UsageTotal) -> bool:
    counts = trade.requests, trade.prompt_tokens, trade.completion_tokens
    return all(0 <= count <= MOST for count in counts) and 0 <= trade.cost <= MOST_COST


def _of_prompt(key: str, prompt: Prompt, known: _KnownIds) -> Iterator[str]:
    del known
    if f"{prompt.account}\n{prompt.slug}" != key:
        yield "its account or slug is another"
    if not prompt.versions or [each.number for each in prompt.versions] != [*range(1, len(prompt.versions) + 1)]:
        yield "its versions are not numbered from 1"
    if sum(each.status is VersionStatus.PUBLISHED for each in prompt.versions) > 1:
        yield "more than one of its versions is published"
    if not all(map(_is_content, prompt.versions)):
        yield "a version has messages without role or content, or is no JSON"
    dated = [(each.created_at, each.published_at, each.archived_at) for each in prompt.versions]
    times = [prompt.created_at, prompt.updated_at, prompt.archived_at, *(time for each in dated for time in each)]
    if not all(is_time(time or 0) for time in times):
        yield "a time of it is before 1970, or past the year 9999"
    if prompt.ab_test is not None and not _is_test(prompt.ab_test, prompt):
        yield "its test is of versions that are not there, or its counts make no sense"


def _is_content(version: PromptVersion) -> bool:
    messages = version.contents
    are_whole = all(isinstance(each.get(part), str) for each in messages for part in ("role", "content"))
    return are_whole and is_json([dict(version.model_config), *map(dict, messages)])


def _is_test(test: AbTest, prompt: Prompt) -> bool:
    has_versions = prompt.version(test.version_a) is not None and prompt.version(test.version_b) is not None
    counts = [count for uses in test.uses.values() for count in uses._asdict().values()]
    return has_versions and 0 <= test.split <= 1 and is_time(test.started_at) and all(0 <= n <= MOST for n in counts)


def _of_usage(key: str, end: int, known: _KnownIds) -> Iterator[str]:
    numbers = known.numbers(key)
    if not 0 <= numbers.start <= end <= MOST or len(numbers) > MAX_ENTRIES:
        yield f"wanted numbers from 0, and at most {MAX_ENTRIES} of them"
        return
    found = [known.usage.get(f"{key}\n{number}") for number in numbers]
    entries = [each for each in found if each is not None]
    unknown = [name for name in {each.model for each in entries} if not known.has_own_name(name)]
    if len(entries) < len(found):
        yield "an entry of it is not there"
    if unknown:
        yield f"it names the model {min(unknown)[:100]}, which this server does not serve"
    if not all(each.events is None or _adds_up(each.events, UsageTotal(*_used(each))) for each in entries):
        yield "the events of an entry are not those of its sums"
    if not all(is_time(each.at) for each in entries):
        yield "an entry is from before 1970, or past the year 9999"
    columns = [*zip(*map(_used, entries), strict=True)]
    if any(min(column) < 0 for column in columns) or not _is_trade(UsageTotal(*map(sum, columns))):
        yield f"an entry is of less than nothing, or all are of more than {MOST} tokens"


def _used(entry: UsageEntry) -> tuple[int, int, int, int]:
    return entry.requests, entry.prompt_tokens, entry.completion_tokens, entry.cost or 0


def _of_bucket(key: str, bucket: Bucket, known: _KnownIds) -> Iterator[str]:
    del key, known
    is_dated = is_time(bucket.at) and is_time(bucket.since)
    are_counts = bucket.limit >= 0 and all(0 <= each <= MOST for each in (bucket.tokens, bucket.asked, bucket.spent))
    if not (is_dated and are_counts):
        yield "wanted a limit, what is left of it, and since when"


def _of_asked(key: str, count: int, known: _KnownIds) -> Iterator[str]:
    del key, known
    if not 0 < count <= MOST:
        yield "wanted how often a request came"


_LOOKS: Mapping[str, Callable[[str, Any, _KnownIds], Iterator[str]]] = {
    "agilecloud.files": _of_file,
    "agilecloud.jobs": _of_job,
    "agilecloud.prompts": _of_prompt,
    "agilecloud.usage_ends": _of_usage,
    "agilecloud.buckets": _of_bucket,
    "agilecloud.asked": _of_asked,
}
"""The check of each collection's values."""
