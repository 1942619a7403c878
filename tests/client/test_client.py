"""The client against a server on a socket: every admin verb has a method, and a refusal says what was wrong."""

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from receiver import receiving

from mockserver.client.client import AdminError, Client, SandboxClient
from mockserver.client.transport import Answer, HttpTransport
from mockserver.errors import Reason
from mockserver.http import Request, Response
from mockserver.redaction import account_key
from mockserver.sandbox.journal import Exchange
from mockserver.testing.pool import LocalPool
from mockserver.testing.unittest import frozen_settings, running_pool
from mockserver.web.admin.routes import ROUTES
from mockserver.web.admin.views import exchange_summary

ROOT = Path(__file__).parents[2]
PROMPT = {"prompts": ["Who repairs guitars?"]}


def stub_id(it: SandboxClient) -> str:
    return str(it.next("queueBatch", status=402)["id"])


def set_(it: SandboxClient, name: str, value: Any) -> None:
    setattr(it, name, value)


# What asks each verb. A new verb needs a method of the client, and a line here.
WALK: Mapping[str, Callable[[SandboxClient], Any]] = {
    "GET /version": lambda it: it.client.version(),
    "GET /openapi.json": lambda it: it.client.openapi(),
    "POST /reset": lambda it: it.reset(),
    "POST /reset/{part}": lambda it: it.reset("journal"),
    "GET /sandboxes": lambda it: it.client.sandboxes(),
    "POST /sandboxes": lambda it: it.client.create_sandbox("made", clock="frozen@2026-01-01", progression="time:2"),
    "DELETE /sandboxes/{name}": lambda it: it.delete(),
    "GET /export": lambda it: it.export(journal=True),
    "POST /import": lambda it: it.import_(it.export()),
    "GET /requests": lambda it: it.requests(limit=1),
    "DELETE /requests": lambda it: it.forget_requests(),
    "POST /requests/count": lambda it: it.count(method="POST"),
    "POST /requests/find": lambda it: it.requests(method="POST"),
    "POST /requests/order": lambda it: it.order({"method": "POST"}),
    "GET /requests/unmatched": lambda it: it.unmatched("operation", limit=3),
    "GET /verdict": lambda it: it.verdict(scope="sandbox"),
    "GET /coverage": lambda it: it.coverage(),
    "DELETE /coverage": lambda it: it.forget_coverage(),
    "GET /pact": lambda it: it.contracts("app"),
    "GET /clock": lambda it: it.clock.now,
    "PUT /clock": lambda it: it.clock.set(datetime(2090, 1, 1, tzinfo=UTC)),
    "POST /clock/advance": lambda it: it.clock.advance(hours=24),
    "POST /clock/freeze": lambda it: it.clock.freeze(),
    "POST /clock/resume": lambda it: it.clock.resume(),
    "POST /clock/scale": lambda it: it.clock.scale(60),
    "GET /progression": lambda it: it.progression,
    "PUT /progression": lambda it: set_(it, "progression", "immediate"),
    "GET /accounts": lambda it: it.accounts,
    "GET /accounts/{token}": lambda it: it.credits,
    "PUT /accounts/{token}": lambda it: set_(it, "credits", 7),
    "GET /accounts/{token}/ledger": lambda it: it.ledger(limit=2),
    "GET /usage": lambda it: it.usage(),
    "GET /batches": lambda it: it.batches(),
    "GET /files": lambda it: it.files(),
    "POST /next": lambda it: it.next("queueBatch", status=402, times=2),
    "GET /stubs": lambda it: it.stubs(),
    "DELETE /stubs": lambda it: it.drop_stubs(),
    "DELETE /stubs/{id}": lambda it: it.drop_stub(stub_id(it)),
    "GET /faults": lambda it: it.faults,
    "PUT /faults": lambda it: set_(it, "faults", [{"fault": {"type": "empty"}}]),
    "DELETE /faults": lambda it: it.drop_faults(),
    "GET /scenarios": lambda it: it.scenarios(),
    "GET /scenarios/{name}": lambda it: it.read_scenario("happy-path"),
    "POST /scenarios/{name}": lambda it: it.scenario("happy-path", reset=True),
    "GET /conditions": lambda it: it.conditions,
    "PUT /conditions": lambda it: set_(it, "conditions", {}),
    "DELETE /conditions": lambda it: delattr(it, "conditions"),
    "GET /callbacks": lambda it: it.callbacks(limit=2),
    "DELETE /callbacks": lambda it: it.forget_callbacks(),
    "POST /callbacks/{id}/redeliver": lambda it: it.redeliver("nothing"),
    "GET /webhooks": lambda it: it.webhooks(),
    "POST /webhooks/{name}": lambda it: it.send_webhook("nothing", "http://localhost/"),
    "GET /sandboxes/{name}": lambda it: it.facts(),
    "GET /requests/summaries": lambda it: it.summaries(limit=2, text="batches", operation="queueBatch"),
    "GET /batches/latest": lambda it: it.latest_batches(limit=2),
    "GET /batches/{id}": lambda it: it.read_batch("nothing"),
    "GET /batches/{id}/items/{position}": lambda it: it.read_item("nothing", 0),
    "POST /batches/{id}/cancel": lambda it: it.cancel_batch("nothing"),
    "GET /files/{id}/content": lambda it: it.read_file("nothing"),
}
# Verbs whose subject has to be there first; that it is asked for at all is shown by the refusal.
REFUSED = {
    "POST /callbacks/{id}/redeliver": 404,
    "POST /webhooks/{name}": 404,
    "GET /batches/{id}": 404,
    "GET /batches/{id}/items/{position}": 404,
    "POST /batches/{id}/cancel": 404,
    "GET /files/{id}/content": 404,
}
HERE = {f"{verb.method} {verb.path}" for verb in ROUTES}


class Spy(HttpTransport):
    """A way over the socket that remembers what was asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[str] = []

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.asked.append(f"{method} {target.partition('?')[0].removeprefix('/__admin')}")
        return super().ask(method, target, headers, body)


@pytest.fixture(scope="module")
def host() -> Iterator[LocalPool]:
    with running_pool(frozen_settings(clock="frozen@2026-04-12T00:00:00")) as host:
        yield host


@pytest.fixture
def client(host: LocalPool) -> Iterator[Client]:
    with Client(host.url) as client:
        yield client


@pytest.fixture
def mine(client: Client, request: pytest.FixtureRequest) -> Iterator[SandboxClient]:
    """A sandbox that has seen one batch."""
    sandbox = client.create_sandbox(re.sub(r"\W+", "-", request.node.name))
    asked = httpx.post(
        f"{sandbox.base_url}/ai/batches", json=PROMPT, headers={"Authorization": f"Bearer {sandbox.token}"}
    )
    assert asked.status_code == 202
    yield sandbox
    if any(row["name"] == sandbox.name for row in client.sandboxes(limit=1000)):
        sandbox.delete()


@pytest.mark.parametrize("verb", sorted(HERE))
def test_every_admin_route_has_a_client_method(host: LocalPool, mine: SandboxClient, verb: str) -> None:
    assert verb in WALK, f"no method of the client asks {verb}, or no line here says which"
    spy = Spy(host.url)
    sandbox = Client(host.url, transport=spy).sandbox(mine.name)

    try:
        WALK[verb](sandbox)
    except AdminError as error:
        assert error.status == REFUSED.get(verb), error
    finally:
        spy.close()

    method, _, path = verb.partition(" ")
    pattern = re.escape(method) + " " + re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))
    assert any(re.fullmatch(pattern, asked) for asked in spy.asked), spy.asked


def test_the_table_of_client_methods_names_existing_routes_only() -> None:
    assert WALK.keys() - HERE == set()


def test_the_token_alone_selects_the_sandbox(mine: SandboxClient) -> None:
    (seen,) = mine.requests()

    assert (seen["operation"], seen["response"]["status"]) == ("queueBatch", 202)
    assert "x-mock-sandbox" not in seen["request"]["headers"]


def test_the_headers_select_the_sandbox(mine: SandboxClient) -> None:
    httpx.get(f"{mine.base_url}/user", headers={**mine.headers, "Authorization": "Bearer somebody-else"})

    assert mine.count(path="/user") == 1


def test_addresses_are_those_of_the_two_apis(client: Client) -> None:
    sandbox = client.sandbox("a")

    assert (sandbox.base_url, sandbox.openai_base_url) == (client.url, f"{client.url}/v1")
    assert sandbox.token == "a"


def test_clock_methods_return_the_new_time(mine: SandboxClient) -> None:
    before = mine.clock.now

    assert before == datetime(2026, 4, 12, tzinfo=UTC)
    assert mine.clock.advance(hours=24, minutes=1) == before + timedelta(days=1, minutes=1)
    assert mine.clock.advance() == before + timedelta(days=1, minutes=1)
    assert mine.clock.set("2026-05-01") == datetime(2026, 5, 1, tzinfo=UTC)
    mine.clock.resume()
    assert not mine.clock.is_frozen
    assert mine.clock.scale(60) >= datetime(2026, 5, 1, tzinfo=UTC)
    assert mine.clock.read()["scale"] == 60
    mine.clock.freeze()
    assert mine.clock.is_frozen


@pytest.mark.parametrize("progression", ["immediate", "time:2.5", "polls:3"])
def test_a_progression_reads_as_it_was_written(mine: SandboxClient, progression: str) -> None:
    mine.progression = progression

    assert mine.progression == progression


def test_credits_are_a_number_that_can_be_assigned(mine: SandboxClient) -> None:
    mine.credits = 0

    assert mine.credits == 0
    asked = httpx.post(f"{mine.base_url}/ai/batches", json=PROMPT, headers=mine.headers)
    assert asked.status_code == 402
    assert [account["key"] for account in mine.accounts] == [account_key(mine.token)]
    assert mine.set_account("other", revoked=True)["revoked"]
    assert mine.ledger()["entries"][-1]["entry"] == "set"


def test_listing_batches_does_not_advance_them(mine: SandboxClient) -> None:
    looks = [mine.batches() for _ in range(4)]

    assert looks[0][0]["status"] == "retrieving"
    assert looks[0][0]["account"] == account_key(mine.token)
    assert looks[-1] == looks[0]


def test_files_and_batches_of_both_apis_are_listed(mine: SandboxClient) -> None:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    line = json.dumps({"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}).encode()
    with httpx.Client(base_url=mine.openai_base_url, headers=mine.headers) as api:
        file = api.post("/files", files={"file": ("in.jsonl", line)}, data={"purpose": "batch"}).json()
        wanted = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        batch = api.post("/batches", json=wanted).json()
        before = {row["id"]: row["status"] for row in mine.batches()}
        for _ in range(2):
            api.get(f"/batches/{batch['id']}")
        after = {row["id"]: row["status"] for row in mine.batches()}
        api.delete(f"/files/{file['id']}")

    assert before[batch["id"]] == "validating"
    assert after[batch["id"]] == "completed"
    assert [row["purpose"] for row in mine.files()] == ["batch_output"]
    assert len(mine.batches(limit=1, after=1)) == 1


def test_a_sandbox_starts_with_its_initial_state(client: Client) -> None:
    facts = [{"token": "rich", "credits": 5}]
    with_clock = client.create_sandbox("begun", clock="frozen@2030-01-01", progression="time:9", accounts=facts)

    assert with_clock.clock.now == datetime(2030, 1, 1, tzinfo=UTC)
    assert with_clock.progression == "time:9"
    assert with_clock.account("rich")["credits"] == 5
    assert with_clock.delete() == {"deleted": "begun", "unexpected": []}


def test_a_sandbox_with_ids_of_produces_the_ids_of_that_name(client: Client) -> None:
    ids = []
    for sandbox in (client.create_sandbox("steady"), client.create_sandbox("steady-2", ids_of="steady")):
        asked = httpx.post(f"{client.url}/ai/batches", json={"prompts": ["one"]}, headers=sandbox.headers)
        ids.append(asked.json()["id"])
        sandbox.delete()

    assert ids[0] == ids[1]


def test_a_misspelt_reason_is_an_error_and_does_not_count_as_zero(mine: SandboxClient) -> None:
    for look in (mine.count, mine.happened, mine.requests):
        with pytest.raises(AdminError, match=r"422: reason is 'no-credit'; .* Did you mean no-credits\?"):
            look(reason="no-credit")


def test_a_sandbox_created_without_a_name_gets_one(client: Client) -> None:
    first, second = client.create_sandbox(), client.create_sandbox()

    assert first.name != second.name


def test_deleting_a_sandbox_returns_its_unexpected_requests(mine: SandboxClient) -> None:
    httpx.post(f"{mine.base_url}/ai/batches", json={"prompts": "one"}, headers=mine.headers)
    httpx.get(f"{mine.base_url}/ai/batch", headers=mine.headers)
    httpx.delete(f"{mine.base_url}/ai/batches", headers=mine.headers)
    httpx.get(
        f"{mine.base_url}/ai/batches", params={"id": "00000000-0000-0000-0000-000000000000"}, headers=mine.headers
    )

    told = mine.delete()["unexpected"]

    assert [(row["status"], row["reason"]) for row in told] == [
        (422, "invalid"),
        (404, "no-such-path"),
        (405, "method-not-allowed"),
    ]
    assert told[0]["violations"][0]["location"] == ["body", "prompts"]


def test_deleting_a_sandbox_returns_at_most_a_hundred_unexpected_requests(mine: SandboxClient) -> None:
    with httpx.Client(base_url=mine.base_url, headers=mine.headers) as api:
        for n in range(101):
            api.get(f"/ai/nothing/{n}")

    told = mine.delete()["unexpected"]

    assert [row["path"] for row in told] == [f"/ai/nothing/{n}" for n in range(100)]


@pytest.mark.parametrize("look", [SandboxClient.batches, SandboxClient.files, SandboxClient.requests])
def test_a_page_has_a_thousand_rows_at_most(mine: SandboxClient, look: Callable[..., Any]) -> None:
    assert look(mine, limit=1000) is not None
    with pytest.raises(
        AdminError, match=r"^GET /__admin/[a-z/]+: 400: limit is '1001'; wanted a whole number up to 1000"
    ):
        look(mine, limit=1001)


def test_the_latest_requests_come_oldest_first(mine: SandboxClient) -> None:
    for n in range(5):
        httpx.get(f"{mine.base_url}/user", params={"n": n}, headers=mine.headers)

    assert [each["request"]["query"] for each in mine.latest(2)] == ["n=3", "n=4"]
    assert len(mine.latest(100)) == 6


def test_an_exported_sandbox_is_imported_elsewhere(mine: SandboxClient, client: Client) -> None:
    other = client.sandbox("elsewhere")

    other.import_(mine.export())

    assert [row["id"] for row in other.batches()] == [row["id"] for row in mine.batches()]
    other.delete()


def test_a_reset_sandbox_is_like_a_new_one(mine: SandboxClient) -> None:
    mine.reset("state")
    assert (mine.batches(), mine.count()) == ([], 1)

    mine.reset()
    assert mine.count() == 0


def test_an_admin_error_says_what_was_received_and_what_was_expected(mine: SandboxClient) -> None:
    with pytest.raises(AdminError) as caught:
        mine.ask("POST /clock/advance", {"hours": -1, "fortnights": 1})

    error = caught.value
    assert error.status == 422
    assert {tuple(each["location"]) for each in error.violations} >= {("body", "hours")}
    assert "POST /__admin/clock/advance: 422" in str(error)
    assert "body.hours" in str(error)


def test_an_admin_error_repeats_no_message(mine: SandboxClient) -> None:
    with pytest.raises(AdminError) as caught:
        mine.next("getUser", status=418)

    assert str(caught.value).count("the status is 418") == 1
    assert len(caught.value.violations) == 1


def test_passing_a_stub_as_operation_is_a_type_error(mine: SandboxClient) -> None:
    stub: Any = {"operation": "getUser", "status": 500}

    with pytest.raises(TypeError, match=r"next\(\*\*stub\)"):
        mine.next(stub)


def test_assigning_to_a_misspelt_attribute_is_an_error(mine: SandboxClient) -> None:
    with pytest.raises(AttributeError, match="credit"):
        setattr(mine, "credit", 0)  # noqa: B010  mypy would not let it pass


def test_a_call_that_does_not_exist_is_an_error(mine: SandboxClient) -> None:
    with pytest.raises(AdminError, match="404: No admin call has the path /__admin/nothing"):
        mine.ask("GET /nothing")


def test_without_the_admin_token_every_call_is_rejected() -> None:
    with running_pool(frozen_settings(admin_token="open-sesame")) as host:
        assert host.client.version()["name"] == "mockserver"
        with Client(host.url) as stranger, pytest.raises(AdminError, match="401"):
            stranger.version()


def test_a_refused_connection_is_an_admin_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with Client(f"http://127.0.0.1:{free.getsockname()[1]}") as client, pytest.raises(AdminError) as caught:
            client.version()

    assert caught.value.status == 0


@pytest.mark.parametrize("url", ["", "127.0.0.1:4024", "ftp://host", "http://"])
def test_an_invalid_url_is_rejected_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="wanted http://HOST:PORT"):
        Client(url)


@pytest.mark.parametrize("name", ["", "two words", "line\nbreak", "ü", "x" * 201])
def test_a_name_that_no_header_can_carry_is_refused(client: Client, name: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        client.sandbox(name)


def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    with running_pool() as host:
        transport = HttpTransport(host.url)
        client = Client(host.url, transport=transport)
        client.version()
        assert transport._connection.sock is not None
        transport._connection.sock.shutdown(socket.SHUT_RDWR)

        assert client.version()["name"] == "mockserver"
        client.close()


def test_the_client_needs_the_standard_library_alone() -> None:
    script = (
        "import sys; before = set(sys.modules)\nimport mockserver.client.client\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )

    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert said.split() == ["mockserver"]


def test_threads_share_a_client(mine: SandboxClient) -> None:
    start = threading.Barrier(8)

    def look(n: int) -> int:
        start.wait()
        return [mine.count(), mine.count(method="PUT")][n % 2]

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(look, range(8)))

    assert counts == [1, 0] * 4


def test_fail_makes_the_next_requests_fail(mine: SandboxClient) -> None:
    mine.fail("getUser", status=503, times=2, retry_after=7)
    mine.fail("getUser", fault="empty", after=2)

    answers = [httpx.get(f"{mine.base_url}/user", headers=mine.headers) for _ in range(2)]

    assert [(each.status_code, each.headers["retry-after"]) for each in answers] == [(503, "7")] * 2
    assert len(mine.stubs()) == 1
    mine.drop_stubs()
    assert httpx.get(f"{mine.base_url}/user", headers=mine.headers).status_code == 200


def queue_with_callback(it: SandboxClient, target: str) -> str:
    asked = httpx.post(f"{it.base_url}/ai/batches", json={**PROMPT, "callback": target}, headers=it.headers)
    return str(asked.json()["id"])


def test_a_callback_is_waited_for_until_it_is_delivered(mine: SandboxClient) -> None:
    mine.progression = "time:60"
    with receiving() as receiver:
        ids = [queue_with_callback(mine, receiver.url) for _ in range(2)]
        mine.clock.advance(seconds=60)

        last, first = mine.wait_for_callback(ids[1]), mine.wait_for_callback()

    assert [(each["id"], each["state"]) for each in (first, last)] == [(id_, "delivered") for id_ in ids]
    assert last["payload"]["status"] == "successful"


def test_a_callback_beyond_loopback_is_refused_and_shows_its_payload(
    mine: SandboxClient,
) -> None:
    mine.progression = "immediate"
    id_ = queue_with_callback(mine, "https://example.com/done")

    told = mine.wait_for_callback(id_)

    assert told["state"] == "refused"
    assert told["payload"]["id"] == id_


def test_waiting_for_a_missing_callback_raises_and_lists_those_there_are(mine: SandboxClient) -> None:
    with pytest.raises(TimeoutError, match=r"no callback came to an end within 0 s: there is none"):
        mine.wait_for_callback(timeout=0)
    mine.progression = "time:60"
    id_ = queue_with_callback(mine, "http://127.0.0.1:9/done")

    with pytest.raises(TimeoutError, match=f"no callback of other came to an end within 0 s: {id_} is pending"):
        mine.wait_for_callback("other", timeout=0)


def test_an_invalid_timeout_is_rejected(mine: SandboxClient) -> None:
    with pytest.raises(ValueError, match="the timeout is -1; wanted 0 to 600 seconds"):
        mine.wait_for_callback(timeout=-1)


def test_advance_takes_weeks_and_names_its_units_for_others(mine: SandboxClient) -> None:
    before = mine.clock.now
    advance: Any = mine.clock.advance

    assert mine.clock.advance(weeks=1, days=1) == before + timedelta(days=8)
    with pytest.raises(TypeError, match=r"advance\(months=1\): wanted seconds, minutes, hours, days and weeks"):
        advance(months=1)
    with pytest.raises(TypeError, match=r"advance\(3600\): wanted .* such as advance\(hours=24\)"):
        advance(3600)


def test_a_misspelt_member_gets_the_nearest_name(mine: SandboxClient) -> None:
    with pytest.raises(AttributeError, match=r"^a sandbox has no 'batchs'; did you mean 'batches'\?$"):
        getattr(mine, "batchs")  # noqa: B009  mypy would not let it pass
    with pytest.raises(AttributeError, match=r"^a sandbox has no 'progresion'; did you mean 'progression'\?$"):
        setattr(mine, "progresion", "polls:1")  # noqa: B010  as above
    with pytest.raises(AttributeError, match=r"^a sandbox has no 'zzz'$"):
        getattr(mine, "zzz")  # noqa: B009  as above


@pytest.mark.parametrize(
    ("pick", "name", "message"),
    [
        (lambda it: it.client, "sandboxs", "a client has no 'sandboxs'; did you mean 'sandboxes'?"),
        (lambda it: it.clock, "advence", "a clock has no 'advence'; did you mean 'advance'?"),
        (lambda it: it, "credit", "a sandbox has no 'credit'; did you mean 'credits'?"),
        (lambda it: it, "_secret", "a sandbox has no '_secret'"),
    ],
)
def test_a_misspelt_attribute_is_an_error_with_the_nearest_name(
    mine: SandboxClient, pick: Callable[[SandboxClient], object], name: str, message: str
) -> None:
    with pytest.raises(AttributeError) as read:
        getattr(pick(mine), name)
    with pytest.raises(AttributeError) as assigned:
        setattr(pick(mine), name, 7)

    assert (str(read.value), str(assigned.value)) == (message, message)
    assert read.value.name == assigned.value.name == name


def test_properties_that_are_only_read_cannot_be_assigned(mine: SandboxClient) -> None:
    with pytest.raises(AttributeError, match="no setter"):
        setattr(mine, "token", "another")  # noqa: B010  mypy would not let it pass
    with pytest.raises(AttributeError, match="no setter"):
        setattr(mine.clock, "now", 0)  # noqa: B010  as above


@pytest.mark.parametrize(("count", "shown", "end"), [(20, 20, "wrong 19"), (21, 20, "and 1 more")])
def test_an_error_shows_twenty_violations_and_holds_all(count: int, shown: int, end: str) -> None:
    violations = [{"location": ["body", n], "message": f"wrong {n}"} for n in range(count)]

    error = AdminError("PUT /__admin/faults", 422, "Refused.", violations)

    assert str(error).count("wrong") == shown
    assert str(error).endswith(end)
    assert len(error.violations) == count


def test_the_repr_of_a_sandbox_names_it_and_its_server(mine: SandboxClient) -> None:
    assert repr(mine) == f"<sandbox {mine.name!r} of {mine.client.url}>"
    assert repr(mine.clock) == f"<clock of {mine!r}>"
    assert repr(mine.client) == f"<client of {mine.client.url}>"


def test_an_unmatched_request_is_listed_with_the_detail_of_its_response(mine: SandboxClient) -> None:
    httpx.get(f"{mine.base_url}/ai/batch", headers=mine.headers)
    httpx.head(f"{mine.base_url}/ai/batch", headers=mine.headers)
    httpx.post(f"{mine.base_url}/ai/batches", json={"prompts": "one"}, headers=mine.headers)

    told = [row["detail"] for row in mine.delete()["unexpected"]]

    assert told[0] == "No operation has the path /ai/batch. Did you mean /ai/batches?"
    assert told[1] == told[0], "the journal keeps what GET would have had"
    assert told[2] == "", "its violations say it"


@pytest.mark.parametrize("body", [b"", b'{"detail"', b"[]"])
def test_a_detail_that_cannot_be_read_is_left_out(body: bytes) -> None:
    lost = Exchange(1, 0.0, "", Request("GET", "/ai/batch"), Response(404, "", body), Reason.NO_SUCH_PATH, ())

    assert exchange_summary(lost)["detail"] == ""


def test_two_tokens_in_one_sandbox_see_only_their_own_objects(mine: SandboxClient) -> None:
    before = mine.batches()  # the tests of this file share the sandbox
    with httpx.Client(base_url=mine.base_url) as api:
        ours = api.post("/ai/batches", json=PROMPT, headers=mine.headers).json()["id"]
        theirs = api.post("/ai/batches", json=PROMPT, headers=mine.headers_for("bob")).json()["id"]
        seen = [
            api.get("/ai/batches", params={"id": id_}, headers=mine.headers_for("bob")).status_code
            for id_ in (ours, theirs)
        ]

    assert seen == [422, 200]
    assert [batch["id"] for batch in mine.batches()] == [*(batch["id"] for batch in before), ours, theirs]
    assert len(mine.accounts) == 2
