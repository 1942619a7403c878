"""Callbacks over real sockets: delivered, tried again, refused, late; and a server that ends without waiting."""

import threading
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest
from builders import make_settings
from receiver import Receiver, listening, receiving, refusing_port
from waiting import eventually

from mockserver.server.process import ThreadedServer


def serving(**changes: Any) -> ThreadedServer:
    return ThreadedServer(make_settings(**{"callback_retries": "0.01,0.02", "progression": "time:60", **changes}))


def api_of(server: ThreadedServer) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"Authorization": "Bearer test"}, trust_env=False)


def queue(api: httpx.Client, target: str, *prompts: str) -> str:
    asked = api.post("/ai/batches", json={"prompts": prompts or ["hello"], "callback": target})
    assert asked.status_code == 202, asked.text
    return str(asked.json()["id"])


def advance(api: httpx.Client, seconds: float = 60) -> None:
    assert api.post("/__admin/clock/advance", json={"seconds": seconds}).status_code == 200


def inbox(api: httpx.Client) -> list[Any]:
    return list(api.get("/__admin/callbacks").json()["callbacks"])


def ended(api: httpx.Client) -> Any:
    """The one callback, when it has come to an end."""

    def look() -> Any:
        (callback,) = inbox(api)
        return callback if callback["state"] not in {"pending", "sending", "retrying"} else None

    return eventually(look)


def test_a_receiver_is_called_once_when_the_clock_passes_the_end() -> None:
    with receiving() as receiver, serving() as server, api_of(server) as api:
        id_ = queue(api, f"{receiver.url}/a%20b?c=d e#f")
        assert receiver.is_left_alone()

        advance(api)

        told = receiver.wait()
        assert told.value == api.get("/ai/batches", params={"id": id_}).json()
        assert told.path == "/a%20b?c=d%20e"
        assert told.headers["content-type"] == "application/json"
        assert told.headers["host"] == receiver.url.removeprefix("http://")
        assert told.headers["x-mock-callback-id"] == id_
        delivered = ended(api)
        assert (delivered["state"], delivered["payload"]) == ("delivered", told.value)
        assert [(each["status"], each["error"]) for each in delivered["attempts"]] == [(200, "")]
        advance(api)
        assert receiver.is_left_alone()


def test_the_scheme_of_a_callback_may_be_in_upper_case() -> None:
    with receiving() as receiver, serving() as server, api_of(server) as api:
        id_ = queue(api, receiver.url.replace("http", "HTTP"))

        advance(api)

        assert receiver.wait().headers["x-mock-callback-id"] == id_
        assert ended(api)["state"] == "delivered"


def test_without_debug_headers_callbacks_have_no_headers_of_mockserver() -> None:
    with receiving() as receiver, serving(debug_headers=False) as server, api_of(server) as api:
        queue(api, receiver.url)
        advance(api)

        told = receiver.wait()

        assert [name for name in told.headers if name.startswith("x-mock")] == []
        assert told.path == "/"


def test_receivers_are_called_in_due_order() -> None:
    with receiving() as receiver, serving() as server, api_of(server) as api:
        slow = queue(api, receiver.url, "[mock:slow=30s]")
        others = [queue(api, receiver.url) for _ in range(20)]

        advance(api, 100)

        assert [receiver.wait().value["id"] for _ in range(21)] == [*others, slow]


def test_with_a_flowing_clock_callbacks_need_no_request() -> None:
    with receiving() as receiver, serving(clock="flowing") as server, api_of(server) as api:
        api.post("/__admin/clock/scale", json={"scale": 36_000})
        later = queue(api, receiver.url, "[mock:slow=1h]")
        sooner = queue(api, receiver.url)

        assert [receiver.wait().value["id"] for _ in range(2)] == [sooner, later]


def test_the_timer_of_a_callback_follows_the_clock() -> None:
    with receiving() as receiver, serving(clock="flowing", progression="time:3600") as server, api_of(server) as api:
        id_ = queue(api, receiver.url)
        api.post("/__admin/clock/freeze")
        api.post("/__admin/clock/scale", json={"scale": 360_000})
        assert inbox(api)[0]["state"] == "pending"

        api.post("/__admin/clock/resume")

        assert receiver.wait().value["id"] == id_


def test_a_large_body_that_is_read_in_a_thread_is_called_back_for() -> None:
    with receiving() as receiver, serving(clock="flowing", progression="time:0.05") as server, api_of(server) as api:
        id_ = queue(api, receiver.url, *["guitar " * 290] * 600)

        assert receiver.wait().value["id"] == id_


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_receiver_that_fails_at_first_is_called_in_the_end(status: int) -> None:
    with receiving(status, status, 204) as receiver, serving() as server, api_of(server) as api:
        queue(api, receiver.url)

        advance(api)

        assert [receiver.wait().value["status"] for _ in range(3)] == ["successful"] * 3
        delivered = ended(api)
        assert delivered["state"] == "delivered"
        assert [each["status"] for each in delivered["attempts"]] == [status, status, 204]


def test_a_receiver_that_always_fails_is_given_up_and_can_be_called_again() -> None:
    with receiving(500, 500, 500, 200) as receiver, serving() as server, api_of(server) as api:
        id_ = queue(api, receiver.url)
        advance(api)
        assert (ended(api)["state"], len(ended(api)["attempts"])) == ("failed", 3)

        assert api.post(f"/__admin/callbacks/{id_}/redeliver").json()["state"] == "sending"

        assert (ended(api)["state"], len(ended(api)["attempts"])) == ("delivered", 4)
        told = [receiver.wait().headers["x-mock-callback-id"] for _ in range(4)]
        assert told == [id_] * 4


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_receiver_that_answers_4xx_is_not_called_again(status: int) -> None:
    with receiving(status) as receiver, serving() as server, api_of(server) as api:
        queue(api, receiver.url)
        advance(api)

        failed = ended(api)

        assert (failed["state"], [each["status"] for each in failed["attempts"]]) == ("failed", [status])
        assert failed["attempts"][0]["error"] == f"the receiver answered {status}"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with receiving() as other, receiving(status, location=other.url) as receiver, serving() as server:
        with api_of(server) as api:
            queue(api, receiver.url)
            advance(api)

            failed = ended(api)

        assert (failed["state"], failed["attempts"][0]["error"]) == ("failed", "redirects are not followed")
        assert other.is_left_alone()


def test_without_a_receiver_the_payload_is_shown() -> None:
    with refusing_port() as port, serving() as server, api_of(server) as api:
        queue(api, f"http://localhost:{port}/")
        advance(api)

        failed = ended(api)

        assert (failed["state"], failed["payload"]["status"]) == ("failed", "successful")
        assert ["refused" in each["error"] for each in failed["attempts"]] == [True] * 3


def test_a_receiver_that_never_answers_times_out() -> None:
    with listening() as listener, serving(callback_timeout="0.05", callback_retries="none") as server:
        with api_of(server) as api:
            queue(api, f"http://127.0.0.1:{listener.getsockname()[1]}/")
            advance(api)

            failed = ended(api)

        assert [each["error"] for each in failed["attempts"]] == ["no answer within 0.05 seconds"]


def test_a_receiver_that_answers_too_slowly_times_out() -> None:
    over = threading.Event()

    def drip(wire: Any) -> None:
        with suppress(OSError):  # the sender hangs up
            wire.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.005):
                wire.sendall(b"X")

    with listening() as listener, serving(callback_timeout="0.2", callback_retries="none") as server:
        with api_of(server) as api:
            queue(api, f"http://127.0.0.1:{listener.getsockname()[1]}/")
            advance(api)
            wire, _ = listener.accept()
            with wire:
                dripping = threading.Thread(target=drip, args=(wire,))
                dripping.start()
                failed = ended(api)
                over.set()
                dripping.join()

        assert [each["error"] for each in failed["attempts"]] == ["no answer within 0.2 seconds"]


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n"])
def test_an_answer_that_is_no_http_is_no_delivery(answer: bytes) -> None:
    with listening() as listener, serving(callback_retries="none") as server, api_of(server) as api:
        queue(api, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        advance(api)
        wire, _ = listener.accept()
        with wire:
            wire.recv(65536)
            wire.sendall(answer)

        failed = ended(api)

        assert (failed["state"], failed["attempts"][0]["status"]) == ("failed", None)
        assert failed["attempts"][0]["error"]


def test_an_endless_response_of_a_receiver_is_read_up_to_a_bound() -> None:
    with listening() as listener, serving(callback_retries="none") as server, api_of(server) as api:
        queue(api, f"http://127.0.0.1:{listener.getsockname()[1]}/")
        advance(api)
        wire, _ = listener.accept()
        with wire, pytest.raises(OSError):  # the sender hangs up
            wire.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                wire.sendall(b"more" * 10_000)

        assert ended(api)["state"] == "delivered"


def test_a_slow_receiver_does_not_delay_another_sandbox() -> None:
    with listening() as deaf, receiving() as receiver, serving() as server, api_of(server) as api:
        queue(api, f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        advance(api)

        api.headers["Authorization"] = "Bearer other"
        id_ = queue(api, receiver.url)
        advance(api)

        assert receiver.wait().value["id"] == id_


def test_a_reset_cancels_retries() -> None:
    with receiving(500) as receiver, serving(callback_retries="0.05") as server, api_of(server) as api:
        queue(api, receiver.url)
        advance(api)
        receiver.wait()
        eventually(lambda: inbox(api)[0]["state"] == "retrying")

        api.post("/__admin/reset")
        other = queue(api, f"{receiver.url}/other")
        advance(api)

        assert receiver.wait().value["id"] == other


def test_a_server_ends_while_a_retry_waits_and_while_a_receiver_is_silent() -> None:
    with receiving(500) as receiver, listening() as deaf:
        server = serving(callback_retries="3600", callback_timeout="600").start()
        with api_of(server) as api:
            queue(api, receiver.url)
            advance(api)
            receiver.wait()
            eventually(lambda: inbox(api)[0]["state"] == "retrying")
            queue(api, f"http://127.0.0.1:{deaf.getsockname()[1]}/")
            advance(api)
            wire, _ = deaf.accept()
        before = time.monotonic()

        server.stop()

        assert time.monotonic() - before < 10
        wire.close()


def test_a_receiver_of_many_sandboxes_is_called_for_all(receivers: Receiver) -> None:
    with serving(progression="immediate") as server, api_of(server) as api:
        queued = set()
        for n in range(60):
            api.headers["Authorization"] = f"Bearer token-{n}"
            queued.add(queue(api, receivers.url))

        assert {receivers.wait().value["id"] for _ in range(60)} == queued


@pytest.fixture
def receivers() -> Any:
    with receiving() as receiver:
        yield receiver
