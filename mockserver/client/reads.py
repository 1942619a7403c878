"""What a test reads from a sandbox: requests, batches, callbacks, verdict, usage."""

from typing import Any

from mockserver.client.poll import poll
from mockserver.client.transport import AdminCaller, JsonObject

SUMMARIES = 100
"""The most summaries of a call that names no limit."""
UNDECIDED = frozenset({"pending", "sending", "retrying"})
"""States of a callback that is still to be delivered."""


class SandboxReads(AdminCaller):
    """The methods of a sandbox's client that read from it."""

    __slots__ = ()

    def requests(self, *, limit: int | None = None, after: int | None = None, **matcher: Any) -> list[JsonObject]:
        """The exchanges that match (`operation`, `method`, `path`, `status`, `reason`, `source`, …), oldest first.

        The first 1,000; with `limit` or `after` a page of them, after the exchange of that number.
        """
        if limit is None and after is None:
            return list(self.ask("POST /requests/find", matcher)["requests"])
        return list(self.ask("GET /requests", limit=limit, after=after, **matcher)["requests"])

    def summaries(
        self, *, limit: int | None = None, before: int | None = None, text: str | None = None, **matcher: Any
    ) -> list[JsonObject]:
        """The exchanges without headers and bodies, newest first; `text` is searched in paths and bodies."""
        wanted = SUMMARIES if limit is None else limit
        found: list[JsonObject] = []
        while True:  # the server examines some at a time
            given = {"limit": wanted - len(found), "before": before, "text": text, **matcher}
            page = self.ask("GET /requests/summaries", **given)
            found += page["requests"]
            before = page["next"]
            if before is None or len(found) >= wanted:
                return found

    def latest_batches(self, *, limit: int | None = None, after: int | None = None) -> list[JsonObject]:
        """The batches of all accounts, newest first, with their timelines. This is not a poll."""
        return list(self.ask("GET /batches/latest", limit=limit, after=after)["batches"])

    def read_batch(self, id_: str, *, limit: int | None = None, after: int | None = None) -> JsonObject:
        """A batch with a page of its items. This is not a poll."""
        return self.ask("GET /batches/{id}", path={"id": id_}, limit=limit, after=after)

    def read_item(self, id_: str, position: int) -> JsonObject:
        """One item of a batch with its whole answer; the first is 0."""
        return self.ask("GET /batches/{id}/items/{position}", path={"id": id_, "position": str(position)})

    def read_file(self, id_: str) -> str:
        """The text of a file of any account."""
        return str(self.ask("GET /files/{id}/content", path={"id": id_}))

    def latest(self, count: int) -> list[JsonObject]:
        """The latest exchanges, oldest first."""
        seen = int(self.ask("GET /requests", limit=0)["seen"])
        return self.requests(limit=count, after=max(0, seen - count))

    def count(self, **matcher: Any) -> int:
        """The number of exchanges that match."""
        return int(self.ask("POST /requests/count", matcher)["count"])

    def happened(self, **matcher: Any) -> bool:
        """Whether as many exchanges match as `exactly`, `at_least` and `at_most` require; by default at least one.

        Also False if dropped exchanges could change the result.
        """
        expected = {"exactly", "at_least", "at_most"} & matcher.keys()
        found = self.ask("POST /requests/count", matcher if expected else {**matcher, "at_least": 1})
        return bool(found["met"])

    def order(self, *matchers: JsonObject) -> JsonObject:
        """Whether such exchanges occurred in this order: `met`, and the index of the first one `missing`."""
        return self.ask("POST /requests/order", {"requests": list(matchers)})

    def unmatched(
        self, kind: str | None = None, *, limit: int | None = None, after: int | None = None
    ) -> list[JsonObject]:
        """Requests that matched no operation, or no fixture, each with the nearest one."""
        return list(self.ask("GET /requests/unmatched", kind=kind, limit=limit, after=after)["requests"])

    def forget_requests(self) -> int:
        """Clear the journal and its counts; returns how many requests it had seen."""
        return int(self.ask("DELETE /requests")["forgotten"])

    def verdict(self, *, scope: str | None = None) -> JsonObject:
        """Checks on the client's behaviour: `findings`, with a `summary`."""
        return self.ask("GET /verdict", scope=scope)

    def coverage(self, *, scope: str | None = None, tag: str | None = None, processes: str | None = None) -> JsonObject:
        """The documented operations and responses that occurred. `processes` is `all` for those of a shared store."""
        return self.ask("GET /coverage", scope=scope, tag=tag, processes=processes)

    def coverage_text(self, format_: str = "table", *, scope: str | None = None, tag: str | None = None) -> str:
        """The same as a `table`, or as XML: `junit`, `cobertura`."""
        return str(self.ask("GET /coverage", format=format_, scope=scope, tag=tag))

    def forget_coverage(self) -> int:
        """Reset the server's coverage; returns how many responses had been counted."""
        return int(self.ask("DELETE /coverage")["forgotten"])

    def contracts(self, consumer: str | None = None, *, scope: str | None = None) -> list[JsonObject]:
        """What was sent, and which parts of the answers were given, as a Pact file (V4) for each API that was called.

        `consumer` is the name of the client in them. Requests that the document does not allow, and answers of stubs
        and faults, are left out.
        """
        return list(self.ask("GET /pact", scope=scope, consumer=consumer)["pacts"])

    def contract(self, consumer: str | None = None, provider: str | None = None) -> JsonObject:
        """The Pact file of one API; `provider` names it if several were called. Raises ValueError if none fits."""
        found = list(self.ask("GET /pact", consumer=consumer, provider=provider)["pacts"])
        if len(found) == 1:
            return dict(found[0])
        names = " and ".join(each["provider"]["name"] for each in found)
        raise ValueError(f"{names} were called; name one as `provider`" if found else "no API was called as documented")

    def callbacks(
        self, state: str | None = None, *, limit: int | None = None, after: int | None = None
    ) -> list[JsonObject]:
        """Delivered and pending callbacks. One may still be `sending`: see wait_for_callback."""
        return list(self.ask("GET /callbacks", state=state, limit=limit, after=after)["callbacks"])

    def wait_for_callback(self, id_: str | None = None, *, timeout: float = 10) -> JsonObject:
        """Waits until the callback of the batch `id_`, or the first one, has finished, and returns it.

        Its `state` is `delivered`, `failed`, `refused` or `kept`. Raises TimeoutError after `timeout` real seconds. The
        batch has to end first: advance the clock, or let the client poll.
        """
        __tracebackhide__ = True
        found: list[JsonObject] = []
        for _ in poll(timeout):
            found = self.callbacks(limit=1000)
            for each in found:
                if each["id"] == (id_ or each["id"]) and each["state"] not in UNDECIDED:
                    return each
        wanted = f"callback of {id_}" if id_ else "callback"
        there = ", ".join(f"{each['id']} is {each['state']}" for each in found[:20]) or "there is none"
        raise TimeoutError(f"no {wanted} came to an end within {timeout:g} s: {there}")

    def forget_callbacks(self) -> int:
        """Remove the callbacks, including those not sent yet; returns their number."""
        return int(self.ask("DELETE /callbacks")["forgotten"])

    def redeliver(self, id_: str) -> JsonObject:
        """Send a finished callback again."""
        return self.ask("POST /callbacks/{id}/redeliver", path={"id": id_})

    def webhooks(self) -> list[JsonObject]:
        """The webhooks of the documents that are served, with `name` and `method`."""
        return list(self.ask("GET /webhooks")["webhooks"])

    def send_webhook(self, name: str, url: str, payload: Any = None) -> JsonObject:
        """Send a webhook to a URL: with this payload, else with the document's example or a generated one."""
        body = {"url": url} if payload is None else {"url": url, "payload": payload}
        return self.ask("POST /webhooks/{name}", body, path={"name": name})

    def export(self, *, journal: bool | None = None) -> JsonObject:
        """Export the sandbox as one JSON document; `journal` includes its exchanges."""
        return self.ask("GET /export", journal=journal)

    def batches(self, *, limit: int | None = None, after: int | None = None) -> list[JsonObject]:
        """The batches of both APIs as they are now, the first 100. This is not a poll: no batch progresses."""
        return list(self.ask("GET /batches", limit=limit, after=after)["batches"])

    def files(self, *, limit: int | None = None, after: int | None = None) -> list[JsonObject]:
        """AgileCloud's files, the first 100."""
        return list(self.ask("GET /files", limit=limit, after=after)["files"])

    def usage(self, *, limit: int | None = None, after: int | None = None) -> JsonObject:
        """By API, usage and costs, and the first 100 meter events, or a page of them."""
        return self.ask("GET /usage", limit=limit, after=after)
