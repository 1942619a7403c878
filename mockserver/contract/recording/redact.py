"""Removes what must not reach the disk from recordings: credentials, cookies, e-mail addresses, named fields."""

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import orjson

from mockserver.contract.recording.aliases import LEAST_ID, NO_ALIASES, Aliases
from mockserver.fixtures.recordings import REDACTED_EMAIL
from mockserver.redaction import (
    LEAST_SECRET,
    REDACTED,
    is_secret_name,
    may_hold_credentials,
    redacted_text,
    redacted_value,
)

MAX_SECRETS = 1000
"""The most credentials of a session that are searched in later bodies."""
MAX_PLAIN, PLAIN_LENGTH = 4096, 64
"""The most texts that are known to hold nothing to redact, and their greatest length."""
MAX_UNPACKED = 64 * 1024 * 1024
"""The most bytes of an archive's members."""
DROPPED_HEADERS = frozenset(
    {"age", "alt-svc", "cf-cache-status", "cf-ray", "connection", "content-encoding", "content-length", "content-type"}
    | {"date", "keep-alive", "nel", "report-to", "server", "server-timing", "set-cookie", "strict-transport-security"}
    | {"transfer-encoding", "vary", "via", "www-authenticate", "x-mock-source", "x-mock-violations", "x-powered-by"}
)
"""Headers that belong to a connection, a server or a moment, and those with cookies."""
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_LOG_PROBABILITIES = "logprobs"
"""The member in which a `token` is a part of a text."""
_MEMBER_DATE = (1980, 1, 1, 0, 0, 0)


class Redactor:
    """Redacts values for one recording."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names` are further fields and arguments to redact; case does not matter."""
        self._names = frozenset(name.lower() for name in names)
        self._secrets: dict[str, None] = {}
        self._plain: set[str] = set()
        """Short texts in which there is nothing to redact: names of members, values of headers and enumerations, which
        most exchanges have in common.
        """
        either = "|".join(map(re.escape, sorted(self._names)))
        self._member = re.compile(rf'(?i)("(?:{either})"\s{{0,20}}:\s{{0,20}}")(?:[^"\\]|\\.)*+"') if either else None
        self._argument = re.compile(rf"(?i)(\b(?:{either})=)[^&;#\s\"'<>]++") if either else None

    def learn(self, secrets: Iterable[str]) -> None:
        """Redact these credentials wherever they occur from now on. They are kept in memory only."""
        for each in secrets:
            if each not in self._secrets:
                self._secrets[each] = None
                self._plain.clear()
        while len(self._secrets) > MAX_SECRETS:
            del self._secrets[next(iter(self._secrets))]

    def text(self, text: str) -> str:
        """A text without credentials and e-mail addresses."""
        if text in self._plain or (len(text) < LEAST_SECRET and text.isalnum()):
            return text
        redacted = self._redacted(text)
        if redacted == text and len(text) <= PLAIN_LENGTH:
            if len(self._plain) >= MAX_PLAIN:
                self._plain.clear()
            self._plain.add(text)
        return redacted

    def _redacted(self, text: str) -> str:
        if not may_hold_credentials(text) and "@" not in text:
            for secret in self._secrets:
                if secret in text:
                    break
            else:
                return text
        text = redacted_text(text, tuple(self._secrets), is_answer=True)
        if self._member is not None and self._argument is not None:
            text = self._argument.sub(rf"\1{REDACTED}", self._member.sub(rf'\1{REDACTED}"', text))
        return _EMAIL.sub(REDACTED_EMAIL, text) if "@" in text else text

    def value(
        self,
        value: Any,
        name: str = "",
        *,
        in_logprobs: bool = False,
        aliases: Aliases = NO_ALIASES,
        found: set[str] | None = None,
    ) -> Any:
        """A JSON value without credentials, e-mail addresses and named fields, with these aliases in place of ids.

        `name` is that of the member. The known ids in what is left are added to `found`.
        """
        return self._value(value, name, in_logprobs, aliases, found)

    def _value(self, value: Any, name: str, in_logprobs: bool, aliases: Aliases, found: set[str] | None) -> Any:
        if self._names and name.lower() in self._names:
            return _blank(value)
        if isinstance(value, str):
            if is_secret_name(name) and value and not (in_logprobs or name == _LOG_PROBABILITIES):
                return redacted_value(value)
            return aliases.text(self.text(value), found)
        if isinstance(value, dict):
            in_logprobs = in_logprobs or name == _LOG_PROBABILITIES
            plain = self._plain
            return {
                key if len(key) < LEAST_ID and key in plain else aliases.text(self.text(key)): self._value(
                    each, key, in_logprobs, aliases, found
                )
                for key, each in value.items()
            }
        if isinstance(value, list):
            return [self._value(each, name, in_logprobs, aliases, found) for each in value]
        if found is not None:
            aliases.note_number(value, name, found)
        return value

    def argument(self, name: str, value: str) -> str:
        """The value of an argument in a path or a query."""
        is_secret = is_secret_name(name) or name.lower() in {"key", *self._names}
        return REDACTED if is_secret else self.text(value)

    def headers(self, headers: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The headers of an answer that are worth recording."""
        return {
            name: REDACTED if name.lower() in self._names else self.text(value)
            for name, value in headers
            if name.lower() not in DROPPED_HEADERS and not is_secret_name(name)
        }

    def content(self, content: bytes) -> bytes:
        """A body that is no JSON: text, lines of JSON, a ZIP archive, or other bytes."""
        if content[:4] == b"PK\x03\x04":
            with suppress(zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError):
                return self._archive(content)
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return self._bytes(content)
        lines = text.splitlines(keepends=True)
        return "".join(map(self._line, lines)).encode() if _is_jsonl(lines) else self.text(text).encode()

    def _line(self, line: str) -> str:
        if not line.strip():
            return line
        value = orjson.loads(line)
        redacted = self.value(value)
        return line if redacted == value else orjson.dumps(redacted).decode() + line[len(line.rstrip("\r\n")) :]

    def _bytes(self, content: bytes) -> bytes:
        for secret in self._secrets:
            content = content.replace(secret.encode("utf-8", "surrogatepass"), REDACTED.encode())
        return content

    def _archive(self, content: bytes) -> bytes:
        """The archive with redacted members, in the same order."""
        packed = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(packed, "w") as target:
            if sum(each.file_size for each in source.infolist()) > MAX_UNPACKED:
                raise ValueError("too large")
            for each in source.infolist():
                entry = zipfile.ZipInfo(self.text(each.filename), _MEMBER_DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                member = source.read(each)
                target.writestr(entry, self._unpacked(member))
        return packed.getvalue()

    def _unpacked(self, content: bytes) -> bytes:
        try:
            value = orjson.loads(content)
        except orjson.JSONDecodeError:
            return self.content(content) if content[:4] != b"PK\x03\x04" else b""
        redacted = self.value(value)
        return content if redacted == value else orjson.dumps(redacted)


def _is_jsonl(lines: Sequence[str]) -> bool:
    filled = [line for line in lines if line.strip()]
    if not filled or not filled[0].lstrip().startswith("{"):
        return False
    try:
        return all(isinstance(orjson.loads(line), dict) for line in filled)
    except orjson.JSONDecodeError:
        return False


def _blank(value: Any) -> Any:
    """A value of the same type that says nothing."""
    if isinstance(value, dict):
        return {name: _blank(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_blank(each) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    return 0 if isinstance(value, int | float) else REDACTED
