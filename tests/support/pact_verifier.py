"""Runs Pact's own verifier: it sends the requests of a Pact file to a server, and compares the answers."""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pact import Verifier

StateHandler = Callable[[str, Mapping[str, str]], Mapping[str, str] | None]
"""Brings about a provider state, given its name and parameters; returns values for the request."""


def verify_pact(pact: Mapping[str, Any], url: str, bring_about: StateHandler, folder: Path) -> dict[str, str]:
    """By the description of each interaction, what the verifier says is wrong: nothing (an empty text) or mismatches.

    `folder` is for the file.
    """
    os.environ["PACT_DO_NOT_TRACK"] = "true"  # else the library sends statistics to its makers
    path = folder / "pact.json"
    path.write_text(json.dumps(pact))
    host = str(urlsplit(url).hostname)
    with _state_server(bring_about) as states:
        verifier = Verifier(pact["provider"]["name"], host=host).add_transport(url=url).add_source(path)
        verifier.state_handler(states, teardown=False, body=True)
        with suppress(RuntimeError):  # raised for any mismatch
            verifier.verify()
        results = verifier.results
    rows = results["interactionResults"]
    return {each["description"]: json.dumps(each["mismatch"]) if each["result"] != "OK" else "" for each in rows}


@contextmanager
def _state_server(bring_about: StateHandler) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            values = bring_about(asked.get("state") or "", asked.get("params") or {})
            content = json.dumps(values or {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
