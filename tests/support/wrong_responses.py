"""Responses that violate the document, which Schemathesis has to notice."""

from typing import NamedTuple

from schemathesis_runs import Handle, Lie

from mockserver.http import Request, Response


class Told(NamedTuple):
    """A lie, and what Schemathesis has to say to it."""

    lie: Lie
    paths: str
    """The paths on which it is told, as a pattern."""
    operation: str
    failures: set[str]


def ask_nobody_who_they_are(request: Request, handle: Handle) -> Response:
    return handle(with_header(request, "authorization", "Bearer fuzz-ada"))


def take_grace_for_ada(request: Request, handle: Handle) -> Response:
    is_grace = request.headers.get("authorization") == "Bearer fuzz-grace"
    return handle(with_header(request, "authorization", "Bearer fuzz-ada") if is_grace else request)


def say_it_is_late(request: Request, handle: Handle) -> Response:
    return handle(request)._replace(status=418)


def break_down(request: Request, handle: Handle) -> Response:
    return Response(500, "text/plain", b"Unknown error occurred")


def count_prompts_in_words(request: Request, handle: Handle) -> Response:
    response = handle(request)
    return response._replace(body=b'{"data": [], "count": "none"}') if response.status == 200 else response


def call_json_a_page(request: Request, handle: Handle) -> Response:
    response = handle(request)
    return response._replace(media_type="text/html") if response.status == 200 else response


def throttle_until_tomorrow(request: Request, handle: Handle) -> Response:
    response = handle(request)
    throttled = Response(429, "text/plain", b"Rate limit was exceeded", (("Retry-After", "tomorrow"),))
    return throttled if response.status == 200 else response


def know_every_method(request: Request, handle: Handle) -> Response:
    return handle(request._replace(method="GET"))


def allow_what_is_refused(request: Request, handle: Handle) -> Response:
    response = handle(request)
    return response._replace(headers=(("Allow", "DELETE"),)) if request.method == "OPTIONS" else response


def take_any_input(request: Request, handle: Handle) -> Response:
    response = handle(request)
    usage = b'"usage": {"prompt_tokens": 1, "total_tokens": 1}'
    vectors = Response(200, "application/json", b'{"object": "list", "data": [], "model": "m", ' + usage + b"}")
    return vectors if response.status == 400 else response


def dislike_every_city(request: Request, handle: Handle) -> Response:
    response = handle(request)
    return Response(422, "text/plain", b"City must be liked") if "city=" in request.query else response


def stream_what_is_no_chunk(request: Request, handle: Handle) -> Response:
    response = handle(request)
    return response._replace(body=b'data: {"id": 7}\n\n') if response.media_type == "text/event-stream" else response


def with_header(request: Request, name: str, value: str) -> Request:
    return request._replace(headers={**request.headers, name: value})


DIFF = "GET /api/v1/prompts/{slug}/diff"
LIES = (
    Told(ask_nobody_who_they_are, "/user", "GET /user", {"IgnoredAuth", "MissingHeaderNotRejected"}),
    Told(say_it_is_late, "/ai/devices", "GET /ai/devices", {"UndefinedStatusCode"}),
    Told(break_down, "/v1/models/[^/]+", "GET /v1/models/{model}", {"ServerError"}),
    Told(count_prompts_in_words, "/api/v1/prompts", "GET /api/v1/prompts", {"JsonSchemaError"}),
    Told(call_json_a_page, "/v1/batches", "GET /v1/batches", {"UndefinedContentType"}),
    Told(throttle_until_tomorrow, "/api/v1/prompts/[^/]+/diff", DIFF, {"JsonSchemaError"}),
    Told(know_every_method, "/v1/models", "TRACE /v1/models", {"UnsupportedMethodResponse"}),
    Told(allow_what_is_refused, "/ai/completions", "OPTIONS /ai/completions", {"AllowHeaderMismatch"}),
    Told(take_any_input, "/v1/embeddings", "POST /v1/embeddings", {"AcceptedNegativeData"}),
    Told(dislike_every_city, "/ai", "GET /ai", {"RejectedPositiveData"}),
    Told(stream_what_is_no_chunk, "/v1/chat/completions", "POST /v1/chat/completions", {"JsonSchemaError"}),
    Told(take_grace_for_ada, "/ai/batches", "GET /ai/batches", {"ObjectLevelAuthorizationViolation"}),
)
"""One for each operation, so that a single run hears them all."""
FURTHER = ("GET /v1/models", "GET /ai/completions", "POST /ai/batches")
"""Operations without which some of the lies would not be told."""
