"""What is read of an ASGI scope, and the paths that the server answers itself."""

from typing import Any

import pytest
from builders import make_client

from mockserver.web import paths, scopes
from mockserver.web.callbacks.addresses import is_local, is_loopback, is_loopback_name, listens_on_loopback
from mockserver.web.callbacks.policy import DeliveryPolicy, classify_status
from mockserver.web.scopes import parse_fields, read_request, route_path


def make_scope(path: str = "/a", root: str = "", **more: Any) -> Any:
    return {
        "method": "GET", "path": path, "query_string": b"x=\xfc", "scheme": "http", "server": ("::1", 80),
        "root_path": root, "headers": [], **more,
    }  # fmt: skip


def test_header_names_are_in_lower_case_and_the_last_value_counts() -> None:
    for _ in range(2):  # the second time with what was kept
        assert parse_fields([(b"X-Scope-A", b"1"), (b"x-scope-a", b"2"), (b"X-B", b"gr\xfcn")]) == {
            "x-scope-a": "2", "x-b": "gr\u00fcn"
        }  # fmt: skip


def test_a_bounded_number_of_short_texts_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (scopes.KEPT_TEXTS, scopes.KEPT_LENGTH) == (1024, 100)
    monkeypatch.setattr(scopes, "KEPT_TEXTS", 2)
    for name in ("_names", "_texts"):
        monkeypatch.setattr(scopes, name, {})
    sizes = []
    for n in range(5):
        assert scopes.decode_text(b"%d" % n) == str(n)
        sizes.append(len(scopes._texts))

    scopes._texts.clear()
    assert [scopes.decode_text(b"x" * size) for size in (100, 101)] == ["x" * 100, "x" * 101]
    assert sizes == [1, 2, 1, 2, 1]
    assert list(scopes._texts) == [b"x" * 100]


@pytest.mark.parametrize(
    ("path", "root", "route"),
    [
        ("/a", "", "/a"),
        ("/llm/a", "/llm", "/a"),
        ("/llm", "/llm", "/"),
        ("/llm/", "/llm", "/"),
        ("/llms/a", "/llm", "/llms/a"),
        ("/other/a", "/llm", "/other/a"),
    ],
)
def test_a_path_is_that_below_the_mount_point(path: str, root: str, route: str) -> None:
    request = read_request(make_scope(path, root), {}, b"")

    assert route_path(make_scope(path, root)) == request.path == route
    assert request.prefix == (root if route != path else "")


def test_a_request_has_its_origin_and_its_query_as_it_was_sent() -> None:
    request = read_request(make_scope(), {"a": "b"}, b"body")

    assert (request.method, request.query, request.headers, request.body) == ("GET", "x=\u00fc", {"a": "b"}, b"body")
    assert request.origin == "http://[::1]:80"
    assert read_request(make_scope(server=None), {}, b"").origin == "http://127.0.0.1:4024"


def test_answers_of_the_servers_own_paths() -> None:
    assert {path: (answer.status, answer.body) for path, answer in paths.HEALTH.items()} == {
        "/health": (200, b'{"status":"ok"}'),
        "/ready": (200, b'{"status":"ready"}'),
    }
    assert (paths.NOT_READY.status, paths.NOT_READY.headers) == (503, (("Retry-After", "1"),))
    assert (paths.STOPPING.status, paths.STOPPING.body) == (503, b'{"status":"stopping"}')
    assert paths.NO_CONTENT.headers == (("Cache-Control", "max-age=86400"),)
    assert len(paths.BROWSER_PATHS) == 25


@pytest.mark.parametrize(
    "path",
    [
        "/favicon.ico",
        "/apple-touch-icon.png",
        "/apple-touch-icon-57x57.png",
        "/apple-touch-icon-180x180-precomposed.png",
    ],
)
def test_what_browsers_ask_for_on_their_own_is_in_no_journal(path: str) -> None:
    with make_client() as client:
        assert client.get(path).status_code == 204
        assert client.get("/__admin/requests").json()["seen"] == 0


@pytest.mark.parametrize(
    ("status", "state", "error"),
    [
        (199, "failed", "the receiver answered 199"),
        (200, "delivered", ""),
        (299, "delivered", ""),
        (300, "failed", "redirects are not followed"),
        (399, "failed", "redirects are not followed"),
        (400, "failed", "the receiver answered 400"),
        (428, "failed", "the receiver answered 428"),
        (429, "retrying", "the receiver answered 429"),
        (430, "failed", "the receiver answered 430"),
        (499, "failed", "the receiver answered 499"),
        (500, "retrying", "the receiver answered 500"),
        (503, "retrying", "the receiver answered 503"),
    ],
)
def test_a_receiver_that_is_overloaded_or_failing_is_tried_again(status: int, state: str, error: str) -> None:
    result = classify_status(status)

    assert (result.state, result.status, result.error) == (state, status, error)
    if error.startswith("the receiver"):
        assert classify_status(status, "why").error == "why"


def test_the_defaults_of_deliveries() -> None:
    policy = DeliveryPolicy()

    assert tuple(policy) == (frozenset(), 5.0, (), "", True, True)
    assert policy.headers("id").keys() == {"Content-Type", "User-Agent", "X-Mock-Callback-Id"}
    assert policy._replace(shows_id=False).headers("id", "").keys() == {"User-Agent"}


@pytest.mark.parametrize(
    ("host", "loopback", "local"),
    [
        ("127.0.0.1", True, True),
        ("127.255.255.254", True, True),
        ("128.0.0.1", False, False),
        ("::1", True, True),
        ("::1%lo", True, True),
        ("::ffff:127.0.0.1", True, True),
        ("::ffff:192.0.2.1", False, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("localhost", False, False),
        ("", False, False),
    ],
)
def test_addresses_of_this_machine(host: str, loopback: bool, local: bool) -> None:
    assert (is_loopback(host), is_local(host)) == (loopback, local)


@pytest.mark.parametrize(
    ("host", "is_name"),
    [("localhost", True), ("a.localhost", True), ("localhost.example", False), ("xlocalhost", False)],
)
def test_names_of_this_machine(host: str, is_name: bool) -> None:
    assert is_loopback_name(host) is is_name


@pytest.mark.parametrize(
    ("addresses", "is_closed"),
    [
        (["127.0.0.1", "::1"], True),
        (["127.0.0.1", "192.0.2.1"], False),
        ([], False),
        (OSError("unknown"), False),
        (UnicodeError("odd"), False),
    ],
)
def test_a_name_whose_addresses_are_all_loopback_is_reachable_from_here_only(
    monkeypatch: pytest.MonkeyPatch, addresses: Any, is_closed: bool
) -> None:
    def resolve(*_: Any, **__: Any) -> Any:
        if isinstance(addresses, Exception):
            raise addresses
        return [(None, None, None, "", (each, 0)) for each in addresses]

    monkeypatch.setattr("socket.getaddrinfo", resolve)

    assert listens_on_loopback("mock.example") is is_closed
    assert listens_on_loopback("localhost")
    assert listens_on_loopback("127.0.0.1")
