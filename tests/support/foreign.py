"""Engines and requests for documents other than the bundled one."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

import orjson
from builders import make_engine, write_json
from styles import write_query, write_text

from mockserver.engine.engine import Engine
from mockserver.http import Request, Response
from mockserver.openapi.generate.mend import mended
from mockserver.openapi.generate.values import generate_value
from mockserver.openapi.operations import Operation, is_json
from mockserver.openapi.schema import Schema

DOCUMENTS = Path(__file__).parent / "documents"
SAMPLES = (
    DOCUMENTS / "shop.yaml",
    DOCUMENTS / "legacy.yaml",
    DOCUMENTS / "parts",
    DOCUMENTS / "library.yaml",
    DOCUMENTS / "tickets.json",
)


def foreign_engine(document: Path | dict[str, Any], folder: Path | None = None, **changes: Any) -> Engine:
    """An engine that serves a document alone; a document as a value is written into the folder."""
    if isinstance(document, dict):
        assert folder is not None
        document = write_json(folder / "document.json", document)
    return make_engine(spec=(str(document),), **changes)


def send(engine: Engine, method: str, path: str, *, query: Any = "", json: Any = None, **more: Any) -> Response:
    """The response to a request with a key and a token; `more` are headers, with underscores for hyphens."""
    headers = {"authorization": "Bearer test", **{name.replace("_", "-"): value for name, value in more.items()}}
    body = b"" if json is None else orjson.dumps(json)
    if json is not None:
        headers.setdefault("content-type", "application/json")
    text = query if isinstance(query, str) else urlencode(query)
    return engine.handle(Request(method, path, text, headers, body))


def valid_value(schema: Schema, key: bytes) -> Any:
    """A value that the schema accepts."""
    value = generate_value(schema.definition, root=schema.document, key=key, documents_values=True)
    return value if schema.accepts(value) else mended(value, schema, key=key)


def valid_request(operation: Operation, key: bytes) -> Request:
    """A request with all that the operation requires."""
    path, query, headers = operation.path, list[tuple[str, str]](), {"authorization": "Bearer test"}
    for scheme in next((each for each in operation.security if each), ()):
        if scheme.kind == "basic":
            headers["authorization"] = "Basic YW5uOnNlY3JldA=="
        elif scheme.location == "query":
            query.append((scheme.name, "key"))
        elif scheme.location == "header" and scheme.name.lower() != "authorization":
            headers[scheme.name.lower()] = "key"
    for each in operation.parameters:
        if each.location == "path":
            text = write_text(
                each.name, valid_value(each.schema, key), style=each.style or "simple", explode=each.explode
            )
            path = path.replace(f"{{{each.name}}}", unquote(text).replace("/", "-"))
        elif each.location == "query" and each.required:
            query += write_query(
                each.name, valid_value(each.schema, key), style=each.style or "form", explode=each.explode
            )
    body = b""
    content = next((each for name, each in (operation.body or {}).items() if is_json(name)), None)
    if content is not None and content.schema is not None:
        body, headers["content-type"] = orjson.dumps(valid_value(content.schema, key)), content.media_type
    return Request(operation.method, path, "&".join(f"{name}={value}" for name, value in query), headers, body)
