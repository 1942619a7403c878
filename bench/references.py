"""What our server is measured against: small ASGI apps that do less than it does, each alone under uvicorn."""

import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

from bench import ROOT

# What a reference does not use is not imported: (c) is measured from process start, and its memory counts, too.

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

ANSWER = b'{"id":"a0482596-c2ad-445a-a435-727002156a20","count":3}'
FALLBACK_SCHEMA = {
    "type": "object",
    "required": ["prompts"],
    "properties": {
        "prompts": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "items": {"type": "string", "minLength": 1, "maxLength": 2047},
        },
        "model": {"enum": ["chatgpt", "gemini", "perplexity", "copilot", None]},
        "format": {"enum": ["json", "rendered", None]},
        "expiration": {"type": ["integer", "null"], "minimum": 0, "maximum": 1},
    },
}


def constant_app() -> App:
    """(a) Reads the body to its end, keeps nothing, and always says the same."""

    async def app(_scope: Message, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await answer(send, 202, ANSWER)

    return app


def judging_app(keep: Callable[[bytes], None] | None = None) -> App:
    """(b) As (a), but the body is parsed by orjson and judged by jsonschema-rs against the document's own schema."""
    import orjson  # noqa: PLC0415  only (b) may pay for it

    accepts = open_validator()

    async def app(_scope: Message, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            value = None
        if keep:
            keep(body)
        await (answer(send, 202, ANSWER) if accepts(value) else answer(send, 422, b"{}"))

    return app


def keeping_app() -> App:
    """(e) As (b), and every body is kept: what the machine takes for memory, whoever asks for it."""
    kept: list[bytes] = []
    return judging_app(kept.append)


def starlette_app() -> App:
    """(c) Starlette with one route: GET says that it is there, POST always says the same."""
    from starlette.applications import Starlette  # noqa: PLC0415  only (c) may pay for it
    from starlette.requests import Request  # noqa: PLC0415  as above
    from starlette.responses import Response  # noqa: PLC0415  as above
    from starlette.routing import Route  # noqa: PLC0415  as above

    async def batches(request: Request) -> Response:
        await request.body()
        return Response(ANSWER, 202 if request.method == "POST" else 200, media_type="application/json")

    return Starlette(routes=[Route("/ai/batches", batches, methods=["GET", "POST"])])


APPS: dict[str, Callable[[], App]] = {
    "constant": constant_app,
    "judging": judging_app,
    "keeping": keeping_app,
    "starlette": starlette_app,
}


def server_of(app: App, *, lifespan: bool) -> uvicorn.Server:
    """Uvicorn as lean as it goes, so that no reference is slow for a reason that is not its own."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on" if lifespan else "off",
            proxy_headers=False,
            access_log=False,
            log_level="warning",
        )
    )


def open_socket() -> socket.socket:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    return listening


async def answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive: Receive) -> bytes:
    message = await receive()
    parts = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


def open_validator() -> Callable[[Any], bool]:
    import jsonschema_rs  # noqa: PLC0415  only (b) may pay for it

    schema = find_batch_schema(ROOT / "openapi.yaml") or FALLBACK_SCHEMA
    return jsonschema_rs.Draft202012Validator(schema).is_valid


def find_batch_schema(path: Path) -> dict[str, Any] | None:
    """The schema of `POST /ai/batches`' body with the components it refers to; None where the document has none yet."""
    import yaml  # noqa: PLC0415  only (b) may pay for it

    document: Any = (
        yaml.load(path.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if path.is_file() else None
    )
    try:
        schema = document["paths"]["/ai/batches"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    except (KeyError, TypeError):
        return None
    return {"components": document.get("components", {}), **schema}


def main(name: str, port_file: str) -> None:
    """Serve one reference on a free port, and write the port to a file as our own server does."""
    listening = open_socket()
    server = server_of(APPS[name](), lifespan=name == "starlette")
    Path(port_file).write_text(str(listening.getsockname()[1]))
    server.run(sockets=[listening])


if __name__ == "__main__":
    main(*sys.argv[1:])  # no argparse: its import would be counted as (c)'s start
