"""Takes the screenshots of docs/images/ with Chromium, if it is there: `python docs/screenshots.py`.

The images are committed, so that the pages have them without a browser. They show a server with a frozen clock.
"""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings

IMAGES = Path(__file__).with_name("images")
DESKTOP, PHONE = {"width": 900, "height": 540}, {"width": 375, "height": 540}
CHROMIUM = shutil.which("chromium")
HEADERS = {"Authorization": "Bearer anything", "X-Mock-Sandbox": "checkout-test"}
SHOTS: tuple[tuple[str, str, dict[str, int], str], ...] = (
    ("requests", "/requests", DESKTOP, "light"),
    ("request", "/requests/2", DESKTOP, "light"),
    ("batch", "/batches/{batch}", DESKTOP, "dark"),
    ("next", "/next", DESKTOP, "light"),
    ("coverage", "/coverage", DESKTOP, "dark"),
    ("phone", "/requests", PHONE, "light"),
)
"""File, path below /__admin/ui, size and colour scheme of each screenshot."""


def main() -> int:
    if CHROMIUM is None or find_spec("playwright") is None or find_spec("httpx") is None:
        print("docs/images/ stays as it is: Chromium or playwright is missing.", file=sys.stderr)
        return 0
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  see above

    IMAGES.mkdir(exist_ok=True)
    settings = Settings(port=0, clock="frozen@2026-04-12T00:00:00", progression="time:60")
    with ThreadedServer(settings) as server, sync_playwright() as playwright:
        batch = _use(server.url)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, path, size, scheme in SHOTS:
            given: dict[str, Any] = {"viewport": size, "color_scheme": scheme}
            page = browser.new_page(**given)
            page.goto(f"{server.url}/__admin/ui{path.format(batch=batch)}?sandbox=checkout-test")
            page.screenshot(path=IMAGES / f"inspector-{name}.png")
            page.close()
        browser.close()
    return 0


def _use(url: str) -> str:
    """The id of a batch, after a few requests."""
    prompts = ["Where can I buy a vintage guitar?", "best basketball shoes for 2026", "[mock:fail] a prompt that fails"]
    batch = str(_ask(url, "POST", "/ai/batches", {"prompts": prompts})["id"])
    _ask(url, "POST", "/ai/batches", {"prompts": ["fine", 7], "model": "gpt"})
    _ask(url, "POST", "/__admin/clock/advance", {"seconds": 40})
    _ask(url, "GET", f"/ai/batches?id={batch}")
    _ask(url, "POST", "/ai/batchez", {"prompts": []})
    _ask(url, "POST", "/__admin/next", {"operation": "getUser", "status": 500, "times": 3})
    _ask(url, "GET", "/user")
    return batch


def _ask(url: str, method: str, path: str, body: Any = None) -> Any:
    import httpx  # noqa: PLC0415  see main

    answer = httpx.request(method, url + path, json=body, headers=HEADERS)
    return answer.json() if answer.is_success else {}


if __name__ == "__main__":
    raise SystemExit(main())
