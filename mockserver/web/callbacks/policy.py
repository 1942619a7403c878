"""The policy of deliveries, and their possible results."""

from functools import lru_cache
from typing import NamedTuple

from mockserver import __version__
from mockserver.sandbox.callbacks import State
from mockserver.settings.parse import read_endpoint, read_place, read_retries, read_timeout
from mockserver.settings.table import Settings
from mockserver.web.callbacks.addresses import listens_on_loopback


class DeliveryPolicy(NamedTuple):
    """Where callbacks may go, and the timeout and retries."""

    allowed: frozenset[tuple[str, int | None]] = frozenset()
    """Hosts in lower case with a port; None is any port."""
    timeout: float = 5.0
    """Of one attempt, in real seconds."""
    retries: tuple[float, ...] = ()
    """The waits before each further attempt, in real seconds."""
    endpoint: str = ""
    """The endpoint of queues; empty without one."""
    shows_id: bool = True
    """Whether the callback's id is sent, which the vendor does not do."""
    allows_loopback: bool = True
    """Whether loopback is allowed by default: only while the server itself listens on loopback only."""

    def headers(self, id_: str, media_type: str = "application/json") -> dict[str, str]:
        """The headers of a payload over HTTP."""
        named = {"Content-Type": media_type} if media_type else {}
        named["User-Agent"] = f"mockserver/{__version__}"
        return named | ({"X-Mock-Callback-Id": id_} if self.shows_id else {})


class DeliveryResult(NamedTuple):
    """The result of an attempt."""

    state: State
    """RETRYING if another attempt may succeed."""
    status: int | None = None
    error: str = ""


@lru_cache(maxsize=8)
def policy_of(settings: Settings) -> DeliveryPolicy:
    """The policy of these settings."""
    return DeliveryPolicy(
        frozenset(read_place(each) for each in settings.callback_allow),
        read_timeout(settings.callback_timeout),
        read_retries(settings.callback_retries),
        read_endpoint(settings.sqs_endpoint),
        settings.debug_headers,
        listens_on_loopback(settings.host),
    )


def classify_status(status: int, said: str = "") -> DeliveryResult:
    """The state after a response: retries only help if the receiver is overloaded or failing."""
    if 200 <= status < 300:
        return DeliveryResult(State.DELIVERED, status)
    if 300 <= status < 400:
        return DeliveryResult(State.FAILED, status, "redirects are not followed")
    state = State.RETRYING if status == 429 or status >= 500 else State.FAILED
    return DeliveryResult(state, status, said or f"the receiver answered {status}")
