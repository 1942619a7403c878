"""Credentials of requests: what a document's security schemes ask for, and what a request holds of it."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.http import Request
from mockserver.percent import parse_qsl

REALM = "mockserver"
MAX_ARGUMENTS = 1000
AUTHORIZATION = "Authorization"


class SecurityScheme(NamedTuple):
    """One way to send a credential."""

    kind: str
    """`apikey`, or the scheme of the Authorization header in lower case: `bearer`, `basic`, `digest`."""
    name: str = AUTHORIZATION
    location: str = "header"
    """`header`, `query` or `cookie`."""

    def read(self, request: Request) -> str | None:
        """The credential; None when there is none, empty when its place holds something else.

        For `basic` it is `user:password`, or the user alone where the password is empty.
        """
        if self.kind == "bearer":
            return read_token(request)
        if self.kind == "apikey":
            return _API_KEYS[self.location](request, self.name)
        header = request.headers.get("authorization")
        if header is None:
            return None
        scheme, _, rest = header.strip().partition(" ")
        if scheme.lower() != self.kind:
            return ""
        return _read_basic(rest.strip()) if self.kind == "basic" else rest.strip()

    @property
    def place(self) -> tuple[str, str]:
        """Where the credential is, as the location of a violation."""
        return self.location, self.name

    @property
    def noun(self) -> str:
        """What its place holds, in a sentence."""
        return {"bearer": "bearer token", "apikey": "key"}.get(self.kind, f"{self.kind.capitalize()} credential")

    def format_challenge(self, *, is_invalid: bool) -> str:
        """What WWW-Authenticate says of it. For API keys there is no registered scheme."""
        if self.kind == "apikey":
            return f'ApiKey realm="{REALM}", in="{self.location}", name="{self.name}"'
        more = ', error="invalid_token"' if is_invalid and self.kind == "bearer" else ""
        return f'{self.kind.capitalize()} realm="{REALM}"{more}'


Requirement = tuple[SecurityScheme, ...]
"""Schemes that are needed together; without any, no credential is needed."""
BEARER = SecurityScheme("bearer")


def read_scheme(definition: Mapping[str, Any]) -> SecurityScheme | None:
    """The scheme of a definition in a document; None for an unsupported one (mutual TLS)."""
    kind = definition.get("type")
    if kind in {"oauth2", "openIdConnect"}:
        return BEARER
    if kind == "http":
        return SecurityScheme(str(definition.get("scheme", "")).lower())
    if kind == "apiKey" and definition.get("in") in _API_KEYS:
        return SecurityScheme("apikey", str(definition.get("name", "")), definition["in"])
    return None


def read_token(request: Request) -> str | None:
    """The bearer token; None when there is no Authorization header, empty when it holds no bearer token."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    if header[:7] == "Bearer ":  # as nearly everybody writes it
        return header[7:].strip()
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def read_credential(security: Sequence[Requirement], request: Request) -> str | None:
    """The credential that names account and sandbox, of the first requirement that the request fulfils.

    Of schemes that are needed together it is a bearer token, else the first. None when there is no credential, empty
    when no requirement is fulfilled.
    """
    has_any = False
    for requirement in security:
        found = [(scheme, scheme.read(request)) for scheme in requirement]
        if found and all(value for _, value in found):
            return next((value for scheme, value in found if scheme.kind == "bearer"), found[0][1])
        has_any = has_any or any(value is not None for _, value in found)
    return "" if has_any else None


def missing_scheme(security: Sequence[Requirement], request: Request) -> SecurityScheme:
    """The first scheme that a request lacks a credential of."""
    schemes = [scheme for requirement in security for scheme in requirement]
    return next((scheme for scheme in schemes if not scheme.read(request)), schemes[0])


def format_challenges(security: Sequence[Requirement], *, is_invalid: bool) -> str:
    """The value of WWW-Authenticate: a challenge for each scheme."""
    schemes = dict.fromkeys(scheme for requirement in security for scheme in requirement)
    return ", ".join(scheme.format_challenge(is_invalid=is_invalid) for scheme in schemes)


def _read_basic(encoded: str) -> str:
    try:
        user, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except (Base64Error, ValueError):
        return ""
    return f"{user}:{password}" if password else user


def _in_header(request: Request, name: str) -> str | None:
    value = request.headers.get(name.lower())
    return None if value is None else value.strip()


def _in_query(request: Request, name: str) -> str | None:
    if name not in request.query and "%" not in request.query:
        return None
    try:
        pairs = parse_qsl(request.query, max_num_fields=MAX_ARGUMENTS)
    except ValueError:  # more arguments than are ever read: the request is refused later
        return None
    return next((value for key, value in pairs if key == name), None)


def _in_cookie(request: Request, name: str) -> str | None:
    return next((value for key, value in _cookies(request.headers.get("cookie", "")) if key == name), None)


def _cookies(header: str) -> Iterator[tuple[str, str]]:
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        yield name, value.strip('"')


_API_KEYS = {"header": _in_header, "query": _in_query, "cookie": _in_cookie}
