"""Pact files of journals, one for each API, and of several of them together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mockserver import __version__
from mockserver.api.provider import BoundOperation
from mockserver.redaction import REDACTED, secrets_in
from mockserver.sandbox.journal import Exchange
from mockserver.verify.pact.interactions import Interaction, InteractionReader
from mockserver.workers import checkpoint

CONSUMER = "client"
"""The consumer's name if none is given."""
MAX_INTERACTIONS = 2000
"""The most interactions of one file; further ones are left out."""
MAX_REPEATED = 16
"""The most credentials that are redacted in one interaction; one with more is left out."""
TOO_MANY, REPEATS = "too many interactions", "repeats many credentials"
Pact = dict[str, Any]


def contracts_of(
    exchanges: Iterable[Exchange], services: Sequence[BoundOperation], consumer: str = CONSUMER
) -> list[Pact]:
    """The contracts of one sandbox, in the order in which the APIs were called."""
    reader = InteractionReader({each.operation.key: each for each in services})
    files: dict[str, Pact] = {}
    left_out: dict[str, int] = {}
    secrets: dict[str, None] = {}
    for exchange in exchanges:
        checkpoint()
        request = exchange.request
        secrets |= dict.fromkeys(secrets_in((*request.headers.items(), *exchange.response.headers), request.query))
        found = reader.read(exchange)
        if isinstance(found, Interaction):
            pact = files.setdefault(found.provider, _empty(consumer, found.provider))
            pact["interactions"].append(dict(found.value))
        else:
            left_out[found] = left_out.get(found, 0) + 1
    contracts = [_bounded(each) for each in files.values()]
    for pact in contracts:
        noted = pact["metadata"]["mockserver"]["left_out"] = left_out | pact["metadata"]["mockserver"]["left_out"]
        kept = []
        for each in pact["interactions"]:
            checkpoint()
            repeated = _repeated(each, secrets)
            if len(repeated) <= MAX_REPEATED:
                kept.append(_without(each, repeated) if repeated else each)
            else:
                noted[REPEATS] = noted.get(REPEATS, 0) + 1
        pact["interactions"] = kept
    return contracts


def _repeated(interaction: Any, secrets: Iterable[str]) -> list[str]:
    """The credentials that stand in an interaction, which another request of the sandbox may have had."""
    text = "\0".join(_texts(interaction))
    return [each for each in secrets if each in text]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


def _without(value: Any, secrets: Sequence[str]) -> Any:
    """A JSON value without these credentials."""
    if isinstance(value, dict):
        return {_without(name, secrets): _without(each, secrets) for name, each in value.items()}
    if isinstance(value, list):
        return [_without(each, secrets) for each in value]
    if isinstance(value, str):
        for each in secrets:
            value = value.replace(each, REDACTED) if each in value else value
    return value


def merge_contracts(pacts: Iterable[Pact]) -> list[Pact]:
    """One contract for each pair of consumer and API, with each interaction once."""
    files: dict[tuple[str, str], Pact] = {}
    for each in pacts:
        consumer, provider = each["consumer"]["name"], each["provider"]["name"]
        known = files.setdefault((consumer, provider), _empty(consumer, provider))
        known["interactions"] += each["interactions"]
        totals = known["metadata"]["mockserver"]["left_out"]
        for why, count in each["metadata"]["mockserver"]["left_out"].items():
            totals[why] = totals.get(why, 0) + count
    return [_bounded(each) for each in files.values()]


def _empty(consumer: str, provider: str) -> Pact:
    return {
        "consumer": {"name": consumer},
        "provider": {"name": provider},
        "interactions": [],
        "metadata": {
            "pactSpecification": {"version": "4.0"},
            "mockserver": {"version": __version__, "left_out": {}},
        },
    }


def _bounded(pact: Pact) -> Pact:
    """The file with each interaction once, under a description that no other one has."""
    first = {each["key"]: each for each in reversed(pact["interactions"])}
    kept = [first[key] for key in dict.fromkeys(each["key"] for each in pact["interactions"])]
    counts: dict[str, int] = {}
    rows = []
    for each in kept[:MAX_INTERACTIONS]:
        said = each["description"].partition(" (form ")[0]
        counts[said] = counts.get(said, 0) + 1
        rows.append({**each, "description": said if counts[said] == 1 else f"{said} (form {counts[said]})"})
    notes: dict[str, Any] = pact["metadata"]["mockserver"]
    if len(kept) > MAX_INTERACTIONS:
        notes["left_out"][TOO_MANY] = len(kept) - MAX_INTERACTIONS
    return {**pact, "interactions": rows}


def file_name(pact: Mapping[str, Any]) -> str:
    """The usual name of the file: `consumer-provider.json`."""
    words = f"{pact['consumer']['name']}-{pact['provider']['name']}"
    return "".join(each if each.isalnum() or each in "-_." else "_" for each in words) + ".json"
