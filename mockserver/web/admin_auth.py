"""Authorisation of calls to /__admin."""

import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from mockserver.settings.table import Settings
from mockserver.web.admin.call import AdminRefusal
from mockserver.web.callbacks.addresses import is_loopback, is_loopback_name

TOKEN_HEADER = "x-mock-admin-token"  # noqa: S105  a header's name


class AdminAuth:
    """Authorises calls to /__admin.

    With `admin_token`, X-Mock-Admin-Token must match (401). Without one, the server must be bound to loopback, and Host
    and Origin must be loopback (403); this stops DNS rebinding and cross-site requests.
    """

    def __init__(self, settings: Settings) -> None:
        self._token = settings.admin_token
        self._is_near = _is_loopback(settings.host)

    def admit(self, headers: Mapping[str, str]) -> None:
        """Raises AdminRefusal for an unauthorised call; names of headers are in lower case."""
        if not self._token and self._is_near:
            _check_loopback(headers)
        elif not self._token:
            raise AdminRefusal(403, "The server listens beyond loopback without --admin-token, so /__admin is closed.")
        elif not secrets.compare_digest(headers.get(TOKEN_HEADER, "").encode("latin-1"), self._token.encode()):
            raise AdminRefusal(401, "The header X-Mock-Admin-Token does not hold the admin token.")


def _check_loopback(headers: Mapping[str, str]) -> None:
    """Web pages of other origins can send requests to loopback, but browsers add their origin."""
    addresses = {"Host": f"//{headers.get('host', 'localhost')}", "Origin": headers.get("origin")}
    for name, address in addresses.items():
        if address is not None and not _is_loopback_name(address):
            detail = f"Without --admin-token, /__admin answers to loopback only; {name} is {address.lstrip('/')[:100]}."
            raise AdminRefusal(403, detail)


def _is_loopback_name(address: str) -> bool:
    try:
        return _is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    return is_loopback(host) or is_loopback_name(host)
