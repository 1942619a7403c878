"""What a page of the inspector is given: the request, its sandbox, and the admin API."""

from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mockserver.web.inspector.admin_calls import AdminCallError, AdminCalls
from mockserver.web.inspector.live import Live
from mockserver.web.inspector.render import render
from mockserver.web.paths import ADMIN_PREFIX, INSPECTOR_PREFIX

DEFAULT_SANDBOX = "default"
ROWS_OF_A_PAGE = 50
NO_FORM = FormData()
NOTICES: Mapping[str, str] = {
    "stub": "Installed. The next matching request is answered by it.",
    "removed": "Removed.",
    "scenario": "The scenario is applied.",
    "account": "The account is changed.",
    "cancelled": "The batch is cancelled.",
    "redelivered": "The callback is sent again.",
    "reset": "The sandbox is reset.",
    "imported": "The sandbox has the state of the file.",
}
"""What a page says after a form, by the argument `done`."""


class View(NamedTuple):
    """One request for a page, admitted."""

    request: Request
    live: Live
    sandbox: str
    """The sandbox's key, or its name."""
    needs_login: bool
    form: FormData = NO_FORM
    """The fields of a post; empty for a page."""

    @property
    def calls(self) -> AdminCalls:
        """The admin API."""
        return self.live.calls

    @property
    def base(self) -> str:
        """The path of the admin API, with the prefix of a mounted server."""
        return f"{self.request.scope.get('inspector.prefix', '')}{ADMIN_PREFIX}"

    @property
    def origin(self) -> str:
        """Scheme, authority and prefix of this server, as the browser addresses it."""
        return f"{str(self.request.base_url).rstrip('/')}{self.base.removesuffix(ADMIN_PREFIX)}"

    def argument(self, name: str, default: str = "") -> str:
        """A query argument without surrounding space."""
        return self.request.query_params.get(name, default).strip()

    def field(self, name: str, default: str = "") -> str:
        """A text field of the form without surrounding space."""
        value = self.form.get(name, default)
        return value.strip() if isinstance(value, str) else default

    async def operations(self) -> list[str]:
        """The keys of all operations."""
        return await self.calls.operations()

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET of the admin API for this sandbox."""
        return await self.calls.get(path, self.sandbox, **query)

    async def change(self, method: str, path: str, body: Any = None, *, query: str = "") -> Any:
        """The JSON of a changing call of the admin API for this sandbox."""
        return await self.calls.change(method, path, self.sandbox, body, query=query)

    async def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page of this sandbox; templates know it as `facts`, None where it does not exist yet."""
        try:
            facts = await self.calls.get(f"/sandboxes/{self.sandbox}")
        except AdminCallError:
            facts = None
        turns = self.calls.turns
        await turns.wait(0)
        since = perf_counter()
        page = self.plain_page(template, status=status, facts=facts, **values)
        turns.count(since)
        return page

    def plain_page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page that belongs to no sandbox."""
        shared = {
            "base": self.base,
            "ui": f"{self.base}{INSPECTOR_PREFIX.removeprefix(ADMIN_PREFIX)}",
            "sandbox": self.sandbox,
            "query": {"text": "", "before": "", "after": "", **self.request.query_params},
            "path": self.request.url.path,
            "needs_login": self.needs_login,
            "origin": self.origin,
            "done": NOTICES.get(self.argument("done"), ""),
        }
        return HTMLResponse(render(template, **{**shared, **values}), status)

    def redirect(self, page: str, **query: str) -> Response:
        """To a page of this sandbox, after a form."""
        given = {"sandbox": self.sandbox, **query}
        target = f"{self.base}{INSPECTOR_PREFIX.removeprefix(ADMIN_PREFIX)}{page}?{urlencode(given)}"
        return RedirectResponse(target, 303)


Page = Callable[[View], Awaitable[Response]]
Pages = Mapping[str, Page]
"""By path below the inspector's prefix."""


def quoted(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")
