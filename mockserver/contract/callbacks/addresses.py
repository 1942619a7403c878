"""The addresses of the proxy that stand for clients' URLs."""

import re
import secrets
from collections.abc import Callable
from urllib.parse import quote

from mockserver.contract.callbacks.places import CallbackPlace, RequestParts, with_url
from mockserver.sandbox.callbacks import Callback
from mockserver.web.admin.callbacks import MAX_URL
from mockserver.web.callbacks.sqs import read_queue

CALLBACKS = "/__callbacks/"
"""The path of the addresses, before their ids."""
MAX_ADDRESSES = 10_000
"""The most addresses that are known; the oldest one is dropped for a new one."""
_MARK = b"__callbacks"
_ID = re.compile(rb"__callbacks(?:/|\\/|%2F)([0-9a-f]{32})")
_URL = re.compile(r"""https?://[^\s"\\<>^`{|}]+""", re.IGNORECASE)


class Address:
    """Stands for the URL of one callback."""

    def __init__(self, base_url: str, target: str, place: CallbackPlace) -> None:
        """`base_url` is that of the proxy, as the API reaches it; `target` is the client's URL."""
        self.id = secrets.token_hex(16)
        self.url = f"{base_url}{CALLBACKS}{self.id}"
        self.target = target
        self.place = place
        self.sandbox = ("", False)
        """The name of the client's sandbox, and whether it is that of a token."""
        self.shown_id = ""
        """The id under which the inbox lists the callback; empty until the API has answered."""
        self.early: list[tuple[Callback, bytes]] = []
        """Calls that came before that answer, each with the digest of its content."""
        self.calls = 0
        self.entries = 0
        """How many different calls there were."""
        self.latest = b""
        """The digest of the latest call's content."""

    @property
    def forms(self) -> tuple[tuple[str, str], ...]:
        """The address as it may be written in an answer, each with the client's URL in the same form."""
        own, given = self.url, self.target
        return (
            (own, given),
            (own.replace("/", "\\/"), given.replace("/", "\\/")),
            (quote(own, safe=""), quote(given, safe="")),
        )


class AddressBook:
    """All addresses that may be called."""

    def __init__(self, sqs_endpoint: str) -> None:
        self._by_id: dict[str, Address] = {}
        self._sqs_endpoint = sqs_endpoint

    def find(self, id_: str) -> Address | None:
        return self._by_id.get(id_)

    def add(self, address: Address) -> Address | None:
        """Know an address from now on; returns the one that is dropped for it."""
        self._by_id[address.id] = address
        if len(self._by_id) <= MAX_ADDRESSES:
            return None
        return self._by_id.pop(next(iter(self._by_id)))

    def replaced(
        self, parts: RequestParts, places: tuple[CallbackPlace, ...], base_url: str
    ) -> tuple[RequestParts, list[Address]]:
        """The request with new addresses in place of clients' URLs, and these addresses, which are not known yet."""
        made: list[Address] = []
        for place in places:
            parts = with_url(parts, place, self._replacing(place, base_url, made))
        return parts, made

    def _replacing(self, place: CallbackPlace, base_url: str, made: list[Address]) -> Callable[[str], str | None]:
        def replace(target: str) -> str | None:
            if not self._is_replaced(target):
                return None
            made.append(Address(base_url, target, place))
            return made[-1].url

        return replace

    def _is_replaced(self, target: str) -> bool:
        """Whether it is a URL that can be called. Queues are no URLs to which requests are sent."""
        if len(target) > MAX_URL or not _URL.fullmatch(target) or read_queue(target, self._sqs_endpoint) is not None:
            return False
        return self.restored(target.encode()) == target.encode()

    def restored(self, content: bytes) -> bytes:
        """Bytes of an answer with clients' URLs in place of addresses. May be called by any thread."""
        if _MARK not in content:
            return content
        for id_ in dict.fromkeys(_ID.findall(content)):
            address = self._by_id.get(id_.decode())
            for own, given in address.forms if address is not None else ():
                content = content.replace(own.encode(), given.encode())
        return content
