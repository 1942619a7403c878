"""Who may open the inspector: the login, its cookie, and the rejection of posts from other sites."""

import secrets
from collections.abc import Mapping
from hashlib import blake2b
from urllib.parse import urlsplit

from mockserver.settings.table import Settings
from mockserver.web.admin.call import AdminRefusal
from mockserver.web.admin_auth import TOKEN_HEADER, AdminAuth

COOKIE = "mockserver_inspector"


class LoginNeeded(Exception):
    """The server has an admin token, and the request has no cookie of a login."""


class InspectorAccess:
    """Admits requests to the inspector.

    With `admin_token` a request needs the cookie that the login form sets, or the header X-Mock-Admin-Token. Without
    one, the rules of the admin API apply: the server is bound to loopback, and so are Host and Origin.
    """

    def __init__(self, settings: Settings) -> None:
        self._auth = AdminAuth(settings)
        token = settings.admin_token or ""
        self.needs_login = bool(token)
        # The cookie does not contain the token, and is the same on every replica.
        self._cookie = blake2b(token.encode(), key=b"mockserver inspector", digest_size=32).hexdigest()

    def admit(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> None:
        """Raises LoginNeeded, or AdminRefusal if the server is closed to this request."""
        if not self.needs_login or TOKEN_HEADER in headers:
            self._auth.admit(headers)
        elif not secrets.compare_digest(cookies.get(COOKIE, "").encode(), self._cookie.encode()):
            raise LoginNeeded

    def login(self, token: str) -> str:
        """The value of the cookie for the right token; raises AdminRefusal for another."""
        self._auth.admit({TOKEN_HEADER: token.encode().decode("latin-1")})
        return self._cookie


def check_same_origin(headers: Mapping[str, str]) -> None:
    """Raises AdminRefusal for a form that another site, or a page of another port, may have sent.

    Browsers send Sec-Fetch-Site, and Origin with every post; a page cannot change either.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        is_own = site == "same-origin"
    else:
        is_own = origin is not None and urlsplit(origin).netloc in {
            headers.get("host", ""),
            headers.get("x-forwarded-host", "").partition(",")[0].strip(),
        } - {""}
    if not is_own:
        raise AdminRefusal(403, "The inspector takes forms of its own pages only. Programs use the admin API.")
