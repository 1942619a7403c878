"""Runtime expressions: what they stand for in an exchange, and when they stand for nothing."""

import pytest

from mockserver.http import Request, Response
from mockserver.openapi.wire.runtime_expressions import Occasion, find_target

OCCASION = Occasion(
    Request(
        "POST",
        "/subscriptions/7",
        "queue=a%20b&queue=c&empty=",
        {"host": "127.0.0.1:4024", "x-reply-to": "http://localhost/header"},
        b"",
    ),
    {"id": 7},
    {"url": "http://localhost/hook", "hooks": [{"to": "http://localhost/0"}], "n": 5, "yes": True, "a/b": "slash"},
    Response(
        201,
        "application/json",
        b'{"id": "s1", "self": "http://localhost/s1"}',
        headers=(("Location", "http://localhost/at"),),
    ),
)


@pytest.mark.parametrize(
    ("expression", "target"),
    [
        ("{$request.body#/url}", "http://localhost/hook"),
        ("$request.body#/url", "http://localhost/hook"),
        ("{$request.body#/url}/done?id={$response.body#/id}", "http://localhost/hook/done?id=s1"),
        ("{$request.body#/hooks/0/to}", "http://localhost/0"),
        ("http://localhost/{$request.body#/a~1b}", "http://localhost/slash"),
        ("http://localhost/{$request.body#/n}/{$request.body#/yes}", "http://localhost/5/true"),
        ("http://localhost/{$request.path.id}/{$request.query.queue}", "http://localhost/7/c"),
        ("{$request.header.X-Reply-To}", "http://localhost/header"),
        ("{$response.header.location}", "http://localhost/at"),
        (
            "http://localhost/?of={$url}",
            "http://localhost/?of=http://127.0.0.1:4024/subscriptions/7?queue=a%20b&queue=c&empty=",
        ),
        ("http://localhost/{$method}/{$statusCode}", "http://localhost/POST/201"),
        ("http://localhost/fixed", "http://localhost/fixed"),
        ("http://localhost/{$request.query.empty}", "http://localhost/"),
        ("$request.query.empty", None),
        ("{$request.query.empty}", None),
        ("{$request.header.X-None}", None),
        ("{$response.header.x-none}", None),
        ("{$request.body#/none}", None),
        ("{$request.body#/hooks}", None),
        ("{$request.body#/url}/{$request.query.none}", None),
        ("{$request.cookie.a}", None),
        ("{$response.query.a}", None),
        ("{$nonsense}", None),
        ("", None),
    ],
)
def test_a_runtime_expression_is_a_value_of_the_exchange(expression: str, target: str | None) -> None:
    assert find_target(expression, OCCASION) == target


def test_a_target_is_bounded() -> None:
    longest, longer = (OCCASION._replace(body={"url": "http://".ljust(size, "a")}) for size in (4096, 4097))

    for expression in ("{$request.body#/url}", "$request.body#/url"):
        assert find_target(expression, longest) == "http://".ljust(4096, "a")
        assert find_target(expression, longer) is None
