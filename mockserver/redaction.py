"""Redacts credentials in everything that is shown, logged and exported."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

from mockserver.lazy import lazy_pattern

REDACTED = "[redacted]"
LEAST_SECRET, LEAST_WORD = 8, 16
"""The least characters of a credential that is searched in other texts: with digits or punctuation, and without."""
MAX_NAME = 100
"""The most characters of a name that may be that of a credential."""
MAX_PATH = 200
PIECE = 65_536
"""Characters of a long text that are searched at once, so that other threads can run in between."""

_WORD = lazy_pattern(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_SECRET_WORDS = frozenset(
    {"auth", "authorization", "authentication", "bearer", "cookie", "credential", "credentials", "jwt", "passphrase"}
    | {"passwd", "password", "pwd", "secret", "secrets", "session", "sessionid", "sid", "sig", "signature", "token"}
    | {"accesskey", "accesstoken", "apikey", "authtoken", "secretkey"}
)
_KEY_OWNERS = frozenset(
    {"access", "admin", "api", "app", "auth", "client", "functions", "master", "private", "secret", "subscription"}
)
_SCHEMES = frozenset(["apikey", "basic", "bearer", "digest", "key", "negotiate", "token"])
_ACCOUNT = lazy_pattern(r"\[redacted [0-9a-f]{32}\]")
_ARGUMENT = lazy_pattern(r"([?&;]|^)([^=&;?#\s\"'<>]{1,100})=([^&;#\s\"'<>\\]++)")
_USER_INFO = lazy_pattern(r"(?<=://)[^/?#\s\"'<>@\\]{1,2000}+@")
_SPOKEN = lazy_pattern(r"\b(bearer|basic)(\s{1,5})(?=[A-Za-z.~+/-]*[0-9_=])([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
_MEMBER = lazy_pattern(r'"([\w.-]{1,100})"(\s{0,20}:\s{0,20})"((?:[^"\\]|\\.)++)"')
_NAMED_IN_PATH = lazy_pattern(r"(?s)(/__admin/(?:accounts|sandboxes)/).+?(?=/ledger\Z|\Z)")
_PLAIN = "/!$&'()*+,:;=@~{}[]%"
"""Characters that are not escaped in a path, in addition to letters, digits and `-._`."""
MAX_KNOWN = 200
"""The most characters of a token whose digest is kept for its next request."""
_declared: set[str] = set()
"""Names that documents of this process declare; they are only ever added."""
_TEXT_IN_ANSWERS = frozenset({"token", "session", "signature"})
"""Fields of a response that hold no credential: in `logprobs` they have the text of each token."""


@lru_cache(maxsize=256)  # every request asks for its token's, and the digest takes a microsecond
def account_key(token: str) -> str:
    """The digest that identifies an account in place of its token: 32 hexadecimal digits."""
    return _known_key(token) if len(token) <= MAX_KNOWN else _account_key(token)


def _account_key(token: str) -> str:
    return blake2b(token.encode("utf-8", "surrogatepass"), digest_size=16, person=b"mocks-account").hexdigest()


_known_key = lru_cache(maxsize=1024)(_account_key)


def declare_secrets(names: Iterable[str]) -> None:
    """Have headers and arguments of these names redacted, too: a document says that they carry a credential."""
    _declared.update(name.lower() for name in names)


def is_secret_name(name: str) -> bool:
    """Whether a header, an argument or a field with this name holds a credential: `x-api-key`, `accessToken`."""
    return len(name) <= MAX_NAME and _is_secret_name(name)


@lru_cache(maxsize=1024)
def _is_secret_name(name: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    has_owner = any(word == "key" and owner in _KEY_OWNERS for owner, word in pairwise(words))
    return has_owner or bool(_SECRET_WORDS & {*words, "".join(words)})


def redacted_value(value: str) -> str:
    """The replacement of a credential. For a bearer token it contains the account's key."""
    scheme, _, rest = value.partition(" ")
    rest = rest.strip()
    if not rest or scheme.lower() not in _SCHEMES:
        return value if _ACCOUNT.fullmatch(value) else REDACTED
    if _ACCOUNT.fullmatch(rest):
        return f"{scheme} {rest}"
    return f"{scheme} [redacted {account_key(rest)}]" if scheme.lower() == "bearer" else f"{scheme} {REDACTED}"


def redacted_header(name: str, value: str, secrets: Iterable[str] = ()) -> str:
    """A header's value as it is shown."""
    return redacted_value(value) if _is_secret_header(name) else redacted_text(value, secrets)


def _is_secret_header(name: str) -> bool:
    return is_secret_name(name) or name.lower() in _declared


def redacted_text(text: str, secrets: Iterable[str] = (), *, is_answer: bool = False) -> str:
    """A text without known credentials (`secrets`) and those that are recognised by their context.

    These are arguments of URLs, user names and passwords in URLs, bearer tokens, and fields of JSON objects.
    """
    for secret in secrets:
        if secret in text:
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])", REDACTED, text)
    return "".join([_redacted_piece(piece, is_answer=is_answer) for piece in _pieces(text)])


def may_hold_credentials(text: str) -> bool:
    """Whether `redacted_text` may change this text without known credentials."""
    return "=" in text or '"' in text or "://" in text or _may_name_scheme(text)


def _may_name_scheme(text: str) -> bool:
    lowered = text.lower()
    return "bearer" in lowered or "basic" in lowered


def redacted_json(value: Any, secrets: Sequence[str] = (), *, name: str = "") -> Any:
    """A JSON value in which fields with credentials are redacted; `*` is a wildcard and stays."""
    if isinstance(value, Mapping):
        return {key: redacted_json(each, secrets, name=key) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_json(each, secrets, name=name) for each in value]
    if not isinstance(value, str):
        return value
    return redacted_value(value) if is_secret_name(name) and value != "*" else redacted_text(value, secrets)


def shown_path(path: str, secrets: Iterable[str] = ()) -> str:
    """A path on one line of printable ASCII, at most MAX_PATH characters, without tokens in paths of the admin API."""
    path = _NAMED_IN_PATH.sub(r"\1...", redacted_text(path, secrets))
    return quote(path[:MAX_PATH], safe=_PLAIN) + ("..." if len(path) > MAX_PATH else "")


def secrets_in(headers: Iterable[tuple[str, str]], query: str) -> list[str]:
    """The credentials in a message, in every encoding in which they may appear elsewhere; longest first."""
    found: set[str] = set()
    for name, value in headers:
        if _is_secret_header(name):
            scheme, _, rest = value.partition(" ")
            found.add(rest.strip() if scheme.lower() in _SCHEMES else value)
            if "cookie" in name.lower():
                found |= {part.partition("=")[2].strip() for part in value.split(";")}
    if "=" in query:
        found |= {each[3] for each in _ARGUMENT.finditer(query) if _is_secret_argument(each[2])}
    encoded = {form for each in found for form in _encodings(each)}
    return sorted(filter(is_worth_a_search, encoded), key=len, reverse=True)


@lru_cache(maxsize=64)  # most requests have the same credential
def _encodings(secret: str) -> frozenset[str]:
    """A credential as it may be written elsewhere: as it is, decoded, and encoded for URLs."""
    plain = {secret, unquote_plus(secret)}
    return frozenset({*plain, *(quote(each, safe="") for each in plain), *(quote_plus(each) for each in plain)})


def is_worth_a_search(secret: str) -> bool:
    """Whether a credential is long enough to be searched in other texts, and not redacted already."""
    return len(secret) >= (LEAST_WORD if secret.isalpha() else LEAST_SECRET) and "[redacted" not in secret


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces of bounded length, cut after commas and line breaks if there are any."""
    start = 0
    while len(text) - start > PIECE:
        end = 1 + max(text.rfind(",", start, start + PIECE), text.rfind("\n", start, start + PIECE))
        end = end if end > start else start + PIECE
        yield text[start:end]
        start = end
    yield text[start:] if start else text


def _redacted_piece(text: str, *, is_answer: bool) -> str:
    if "://" in text:
        text = _USER_INFO.sub(f"{REDACTED}@", text)
    if "=" in text:
        text = _ARGUMENT.sub(_redacted_argument, text)
    if _may_name_scheme(text):
        text = _SPOKEN.sub(_redacted_credential, text)
    if '"' in text:
        text = _MEMBER.sub(_redacted_answer if is_answer else _redacted_member, text)
    return text


def _is_secret_argument(name: str) -> bool:
    name = unquote_plus(name)
    return name.lower() == "key" or name.lower() in _declared or is_secret_name(name)


def _redacted_argument(found: re.Match[str]) -> str:
    lead, name, _ = found.groups()
    return f"{lead}{name}={REDACTED}" if _is_secret_argument(name) else found[0]


def _redacted_credential(found: re.Match[str]) -> str:
    return redacted_value(f"{found[1]} {found[3]}")


def _redacted_member(found: re.Match[str]) -> str:
    name, colon, value = found.groups()
    return f'"{name}"{colon}"{redacted_value(value)}"' if is_secret_name(name) else found[0]


def _redacted_answer(found: re.Match[str]) -> str:
    return found[0] if found[1] in _TEXT_IN_ANSWERS else _redacted_member(found)
