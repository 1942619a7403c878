"""A document by URL: read with its files from its own host only, in bounds, and never from the machine's own files."""

import gc
import threading
from collections.abc import Iterator
from http.client import HTTPResponse
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from builders import make_document, make_operation, make_settings, write_json

from mockserver.engine.build import build_engine
from mockserver.errors import SpecError
from mockserver.openapi.loading import fetch
from mockserver.openapi.loading.read import read_any


class Site:
    """A folder that is served on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        site = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *given: Any) -> None:
                super().__init__(*given, directory=str(folder))

            def do_GET(self) -> None:
                site.asked.append(self.path)
                if self.path == "/moved":
                    self.send_response(302)
                    self.send_header("Location", "/api/openapi.json")
                    self.end_headers()
                else:
                    super().do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def put(self, path: str, value: Any) -> str:
        write_json(self.folder / path, value)
        return f"{self.url}/{path}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    it = Site(tmp_path / "site")
    thread = threading.Thread(target=it.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield it
    it.server.shutdown()
    it.server.server_close()


def referring(reference: str) -> dict[str, Any]:
    return make_document({"/a": {"get": make_operation("a", schema={"$ref": reference})}})


def told(url: str) -> str:
    return " ".join(map(str, read_any(url).problems))


def test_a_document_is_read_with_the_files_beside_it(site: Site) -> None:
    site.put("api/parts/thing.json", {"Thing": {"properties": {"next": {"$ref": "../more/other.json"}}}})
    site.put("api/more/other.json", {"type": "string"})
    url = site.put("api/openapi.json", referring("parts/thing.json#/Thing"))

    read = read_any(url)

    assert (read.problems, read.name) == ((), url)
    assert read.document["components"]["schemas"]["other"] == {"type": "string"}
    assert sorted(site.asked) == ["/api/more/other.json", "/api/openapi.json", "/api/parts/thing.json"]


def test_a_redirect_is_followed(site: Site) -> None:
    site.put("api/openapi.json", make_document({}))

    assert read_any(f"{site.url}/moved").document["openapi"]


def test_only_the_documents_own_host_is_asked(site: Site, tmp_path: Path) -> None:
    with_other = Site(tmp_path / "other")
    try:
        url = site.put("api/openapi.json", referring(f"{with_other.url}/thing.json"))

        assert "thing.json" in told(url)
        assert with_other.asked == []
    finally:
        with_other.server.server_close()


@pytest.mark.parametrize("climbs", ["../../../../../..", "", "file://"])
def test_a_document_by_url_reads_no_file_of_this_machine(site: Site, tmp_path: Path, climbs: str) -> None:
    secret = write_json(tmp_path / "secret.json", {"title": "of this machine"})
    url = site.put("api/openapi.json", referring(f"{climbs}{secret}"))

    read = read_any(url)

    assert "of this machine" not in str(read.document)
    assert "not below the document's address" in " ".join(map(str, read.problems))


def test_what_cannot_be_read_says_why(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match="404"):
        read_any(f"{site.url}/none.json")
    with pytest.raises(SpecError, match="cannot be read"):
        read_any("http://127.0.0.1:1/openapi.json")
    monkeypatch.setattr(fetch, "MAX_BYTES", 10)
    with pytest.raises(SpecError, match="more than 10 bytes"):
        read_any(site.put("large.json", make_document({})))


def test_a_document_may_have_as_many_bytes_as_the_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    fits, exceeds = (site.put(name, make_document({})) for name in ("fits.json", "exceeds.json"))
    size = (site.folder / "fits.json").stat().st_size

    monkeypatch.setattr(fetch, "MAX_BYTES", size)
    read_any(fits)
    monkeypatch.setattr(fetch, "MAX_BYTES", size - 1)
    with pytest.raises(SpecError, match=f"more than {size - 1} bytes"):
        read_any(exceeds)


def test_a_file_that_is_not_there_leaves_no_connection_open(site: Site) -> None:
    gc.disable()
    try:
        read_any(site.put("openapi.json", referring("none.json")))

        assert "/none.json" in site.asked
        assert [each for each in gc.get_objects() if type(each) is HTTPResponse and not each.isclosed()] == []
    finally:
        gc.enable()


def test_files_that_refer_to_each_other_without_end_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "MAX_FILES", 5)
    for n in range(8):
        site.put(f"api/{n}.json", {"properties": {"next": {"$ref": f"{n + 1}.json"}}})
    url = site.put("api/openapi.json", referring("0.json"))

    assert "4.json" in told(url)
    assert len(site.asked) == 5


def test_a_url_is_only_read_when_a_flag_asks_for_it(site: Site) -> None:
    url = site.put("api/openapi.json", make_document({"/a": {"get": make_operation("a")}}))
    with pytest.raises(SpecError, match="--fetch"):
        build_engine(make_settings(spec=(url,)))
    assert site.asked == []

    engine = build_engine(make_settings(spec=(url,), fetch=True))

    assert [(each.operation.key, each.operation.document) for each in engine.services] == [("a", url)]
