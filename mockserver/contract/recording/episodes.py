"""Turns recorded exchanges into entries of a fixture file: answers in their order, and the timelines of jobs.

A job is read several times, with different answers. Its timeline begins with the first answer that tells its id, and
begins again with each later request that may change it (such as a cancellation). What was read in between becomes the
states of the timeline, each with its time; equal answers one after another are one state. Answers that say nothing of
the job (429 and 5xx) are left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

Json = dict[str, Any]


class Episode(NamedTuple):
    """One exchange as it is recorded: redacted, with made-up ids."""

    request: Mapping[str, Any]
    """As in a fixture's entry."""
    is_safe: bool
    """Whether the method only reads."""
    answer: Mapping[str, Any]
    at: float
    """When it was answered, in seconds since the recording began."""
    asked: Sequence[str]
    """The ids in the request."""
    told: Sequence[str]
    """The ids in the answer."""


class _Read(NamedTuple):
    """A read of a job."""

    episode: Episode
    since: str
    began: float


class _Jobs:
    """Which exchanges begin a job, and which read it."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        polled = _polled(episodes)
        self.reads: dict[int, tuple[str, _Read]] = {}
        """By number of the episode, the job that it reads."""
        self.begun: dict[int, list[str]] = {}
        """By number of the episode, the jobs that its answer begins."""
        began: dict[str, tuple[str, float]] = {}
        for n, each in enumerate(episodes):
            job = polled.get(_key(each.request))
            if job is not None:
                since, at = began.get(job, ("", each.at))
                began.setdefault(job, (since, at))
                self.reads[n] = job, _Read(each, since, at)
                continue
            for id_ in {*each.told, *(() if each.is_safe else each.asked)}:
                is_new = id_ not in began
                if id_ in set(polled.values()) and _is_success(each) and (is_new or not each.is_safe):
                    began[id_] = str(each.request["operation"]), each.at
                    self.begun.setdefault(n, []).append(id_)


def entries_of(episodes: Sequence[Episode]) -> list[Json]:
    """The entries of a recording, in the order in which their requests first came."""
    jobs = _Jobs(episodes)
    entries: dict[tuple[bytes, str], Json] = {}
    for n, each in enumerate(episodes):
        read = jobs.reads.get(n)
        key = _key(each.request), read[1].since if read else ""
        if read is not None:
            job, found = read
            entry = entries.setdefault(key, _new_timeline(each, job, found.since))
            _add_state(entry["timeline"], each, found.began)
        else:
            entry = entries.setdefault(key, {"request": dict(each.request), "answers": []})
            _add_answer(entry["answers"], each, jobs.begun.get(n, []))
    return list(entries.values())


def _polled(episodes: Iterable[Episode]) -> dict[bytes, str]:
    """The requests that read a job, each with the job's id: they were sent several times, and got different answers."""
    answers: dict[bytes, list[bytes]] = {}
    jobs: dict[bytes, str] = {}
    told: set[str] = set()
    for each in episodes:
        known = [id_ for id_ in each.asked if id_ in told]
        if each.is_safe and known:
            key = _key(each.request)
            jobs.setdefault(key, known[0])
            if not _is_transient(each):
                answers.setdefault(key, []).append(_shape(each.answer))
        told.update(each.told)
    return {key: job for key, job in jobs.items() if len(set(answers.get(key, ()))) > 1}


def _new_timeline(episode: Episode, job: str, since: str) -> Json:
    entry: Json = {"request": dict(episode.request), "job": job}
    if since:
        entry["since"] = since
    return {**entry, "timeline": []}


def _add_state(timeline: list[Json], episode: Episode, began: float) -> None:
    if _is_transient(episode) and timeline:
        return
    if timeline and _is_transient_answer(timeline[-1]):
        timeline.pop()
    if not timeline or _shape(timeline[-1]) != _shape(episode.answer):
        timeline.append({"after": round(max(episode.at - began, 0.0), 3), **_without_seconds(episode.answer)})


def _add_answer(answers: list[Json], episode: Episode, begun: Sequence[str]) -> None:
    begins = {"begins": sorted(begun)} if begun else {}
    last = answers[-1] if answers else None
    if last is not None and not begun and "begins" not in last and _shape(last) == _shape(episode.answer):
        last["times"] = last.get("times", 1) + 1
    else:
        answers.append({**begins, **episode.answer})


def _without_seconds(answer: Mapping[str, Any]) -> Json:
    return {name: each for name, each in answer.items() if name != "seconds"}


def _shape(answer: Mapping[str, Any]) -> bytes:
    """What two equal answers have in common: neither times, nor headers, which often have an id of the request."""
    return orjson.dumps([answer.get(name) for name in ("status", "media_type", "body", "text", "file")])


def _key(request: Mapping[str, Any]) -> bytes:
    return orjson.dumps(request, option=orjson.OPT_SORT_KEYS)


def _is_success(episode: Episode) -> bool:
    return int(episode.answer["status"]) < 400


def _is_transient(episode: Episode) -> bool:
    return _is_transient_answer(episode.answer)


def _is_transient_answer(answer: Mapping[str, Any]) -> bool:
    status = int(answer["status"])
    return status == 429 or status >= 500
