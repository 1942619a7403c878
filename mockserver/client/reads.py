"""What a test reads from a sandbox: requests and answers, what was queued, what the client did badly, what it cost."""

from typing import Any

from mockserver.client.poll import poll
from mockserver.client.transport import AdminCaller, JsonObject

UNDECIDED = frozenset({"pending", "sending", "retrying"})
"""States of a callback that is still to be delivered."""


class SandboxReads(AdminCaller):
    """The part of a sandbox's client that looks back."""

    __slots__ = ()

    def requests(self, *, limit: int | None = None, after: int | None = None, **matcher: Any) -> list[JsonObject]:
        """The exchanges that match (`operation`, `method`, `path`, `status`, `reason`, `source`, …), oldest first.

        The first 1,000; with `limit` or `after` a page of them, behind the exchange of that number.
        """
        if limit is None and after is None:
            return list(self.ask("POST /requests/find", matcher)["requests"])
        return list(self.ask("GET /requests", limit=limit, after=after, **matcher)["requests"])

    def latest(self, count: int) -> list[JsonObject]:
        """The latest exchanges, oldest first."""
        seen = int(self.ask("GET /requests", limit=0)["seen"])
        return self.requests(limit=count, after=max(0, seen - count))

    def count(self, **matcher: Any) -> int:
        """How many exchanges match."""
        return int(self.ask("POST /requests/count", matcher)["count"])

    def happened(self, **matcher: Any) -> bool:
        """Whether as many exchanges match as `exactly`, `at_least` and `at_most` say; at least one without them.

        False, too, where the journal forgot requests that might decide it.
        """
        expected = {"exactly", "at_least", "at_most"} & matcher.keys()
        found = self.ask("POST /requests/count", matcher if expected else {**matcher, "at_least": 1})
        return bool(found["met"])

    def order(self, *matchers: JsonObject) -> JsonObject:
        """Whether such exchanges happened one after another: `met`, and what is `missing`."""
        return self.ask("POST /requests/order", {"requests": list(matchers)})

    def unmatched(
        self, kind: str | None = None, *, limit: int | None = None, after: int | None = None
    ) -> list[JsonObject]:
        """Requests that met no operation, or no fixture, each with what came nearest."""
        return list(self.ask("GET /requests/unmatched", kind=kind, limit=limit, after=after)["requests"])

    def forget_requests(self) -> int:
        """Empty the journal, and count anew. How many requests it had seen."""
        return int(self.ask("DELETE /requests")["forgotten"])

    def verdict(self, *, scope: str | None = None) -> JsonObject:
        """What the client did badly: `findings`, with a `summary`."""
        return self.ask("GET /verdict", scope=scope)

    def coverage(self, *, scope: str | None = None, tag: str | None = None) -> JsonObject:
        """Which documented operations and responses were met."""
        return self.ask("GET /coverage", scope=scope, tag=tag)

    def coverage_text(self, format_: str = "table", *, scope: str | None = None, tag: str | None = None) -> str:
        """The same as a `table`, or as XML: `junit`, `cobertura`."""
        return str(self.ask("GET /coverage", format=format_, scope=scope, tag=tag))

    def forget_coverage(self) -> int:
        """Let the server's coverage begin anew. How many answers had counted."""
        return int(self.ask("DELETE /coverage")["forgotten"])

    def callbacks(
        self, state: str | None = None, *, limit: int | None = None, after: int | None = None
    ) -> list[JsonObject]:
        """What was, or would have been, delivered. One may still be on its way: see wait_for_callback."""
        return list(self.ask("GET /callbacks", state=state, limit=limit, after=after)["callbacks"])

    def wait_for_callback(self, id_: str | None = None, *, timeout: float = 10) -> JsonObject:
        """The callback of the batch `id_`, or the first there is, once it has come to an end; looks again until then.

        Its `state` is `delivered`, `failed`, `refused` or `kept`. Raises TimeoutError after so many seconds of the
        wall. A batch's end has to come first: advance the clock, or let the client look.
        """
        __tracebackhide__ = True
        found: list[JsonObject] = []
        for _ in poll(timeout):
            found = self.callbacks(limit=1000)
            for each in found:
                if each["id"] == (id_ or each["id"]) and each["state"] not in UNDECIDED:
                    return each
        wanted = f"callback of {id_}" if id_ else "callback"
        there = ", ".join(f"{each['id']} is {each['state']}" for each in found[:20]) or "nobody asked for one"
        raise TimeoutError(f"no {wanted} came to an end within {timeout:g} s: {there}")

    def forget_callbacks(self) -> int:
        """Forget the callbacks; what was not sent yet never will be. How many they were."""
        return int(self.ask("DELETE /callbacks")["forgotten"])

    def redeliver(self, id_: str) -> JsonObject:
        """Send a callback again that has come to an end."""
        return self.ask("POST /callbacks/{id}/redeliver", path={"id": id_})

    def export(self, *, journal: bool | None = None) -> JsonObject:
        """The whole sandbox as one JSON document; with `journal` its exchanges, too."""
        return self.ask("GET /export", journal=journal)

    def batches(self, *, limit: int | None = None, after: int | None = None) -> list[JsonObject]:
        """The batches of both APIs as they are now, the first 100; looking does not age them."""
        return list(self.ask("GET /batches", limit=limit, after=after)["batches"])

    def files(self, *, limit: int | None = None, after: int | None = None) -> list[JsonObject]:
        """AgileCloud's files, the first 100."""
        return list(self.ask("GET /files", limit=limit, after=after)["files"])

    def usage(self, *, limit: int | None = None, after: int | None = None) -> JsonObject:
        """By API, what was used and what it would have cost, and the first 100 meter events, or a page of them."""
        return self.ask("GET /usage", limit=limit, after=after)
