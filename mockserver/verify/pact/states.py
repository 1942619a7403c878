"""Provider states: what must be so at the API before a request can be answered as it was."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mockserver.errors import Reason
from mockserver.fixtures.ids import is_generated_id, is_id_name

VALID_CREDENTIAL, INVALID_CREDENTIAL = "the credential is valid", "the credential is not valid"
TOKEN = "token"  # noqa: S105  the name of a value
"""The name of the value that the state VALID_CREDENTIAL may return: the credential to send."""
STATES: Mapping[str, str] = {
    Reason.NO_CREDITS: "the account has no credits",
    Reason.RATE_LIMITED: "the rate limit is exceeded",
}
"""By the reason of a rejection."""
MAX_IDS = 100_000


class ProviderState(NamedTuple):
    """A state with its parameters. A provider may return other values for them, which replace the recorded ones."""

    name: str
    parameters: Mapping[str, str] = {}

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "params": dict(self.parameters)}


class KnownIds:
    """The ids that the answers of one sandbox have told, with the status of what they name."""

    def __init__(self) -> None:
        self._origins: dict[str, str] = {}
        self._statuses: dict[str, Mapping[str, str]] = {}

    def learn(self, origin: str, value: Any, statuses: Mapping[str, str] = {}) -> None:
        """Find ids in an answer of the operation `origin` (`POST /v1/batches`); `statuses` are members of it."""
        if isinstance(value, dict) and isinstance(value.get("id"), str) and statuses:
            self._statuses[value["id"]] = statuses
        self._learn(origin, value, "")

    def _learn(self, origin: str, value: Any, name: str) -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                self._learn(origin, each, key)
        elif isinstance(value, list):
            for each in value:
                self._learn(origin, each, name)
        elif isinstance(value, str) and len(self._origins) < MAX_IDS and is_id_name(name) and is_generated_id(value):
            self._origins.setdefault(value, origin)

    def knows(self, text: str) -> bool:
        """Whether an answer has told this id."""
        return text in self._origins

    def state(self, name: str, id_: str, statuses: Mapping[str, str] | None = None) -> ProviderState:
        """The state that lets a request use this id as the argument `name`.

        `statuses` are those that the answer shows; None if it shows none, so that the latest known ones count.
        """
        seen = self._statuses.get(id_, {}) if statuses is None else statuses
        said = "".join(f", and {member} is {value}" for member, value in seen.items())
        return ProviderState(f"{name} comes from {self._origins[id_]}{said}", {name: id_, **seen})


def existing(name: str, value: str) -> ProviderState:
    """The state that something with a name of the client's choice exists."""
    return ProviderState(f"{name} exists", {name: value})


def missing(names: Iterable[tuple[str, str]]) -> list[ProviderState]:
    """The states that nothing has these ids."""
    return [ProviderState(f"{name} does not exist", {name: value}) for name, value in names]
