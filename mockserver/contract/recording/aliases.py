"""Replaces the ids of a live API by made-up ones, the same wherever an id occurs, so that links still hold."""

import re
from hashlib import blake2b
from typing import Any

from mockserver.fixtures.ids import MAX_LENGTH, UUID, is_generated_id, is_id_name

MAX_IDS = 100_000
UUID_DASHES = 4
LEAST_ID = 10
"""The least characters of an id that is replaced."""
_WORDS = re.compile(r"[A-Za-z0-9_~-]{10,200}")
"""What an id may be a part of: the alias is looked up for each of these, and for each UUID in it."""
_DIGIT = re.compile(r"[0-9]")
_PREFIX = re.compile(r"[A-Za-z]{1,20}(?:[_-][A-Za-z]{1,20}){0,2}[_-](?=.*\d)")
_HEX = frozenset("0123456789abcdef")


class Aliases:
    """The aliases of one recording. An alias depends on the order in which ids are met, so that a second recording of
    the same run has the same ones. The real ids are kept in memory only.
    """

    def __init__(self, taken: int = 0) -> None:
        """`taken` is how many ids an earlier session of the recording had."""
        self._of: dict[str, str] = {}
        self._made: set[str] = set()
        self._ids: set[str] = set()
        """All ids that answers have told, as they are written: aliases, and ids that stay."""
        self._own: set[str] = set()
        """Texts that the client sent before an answer had them: ids that it brings along, which stay."""
        self._need_digits = True
        """Whether all ids that are replaced have a digit, as almost all do, so that most texts need no search."""
        self.count = taken

    def learn(self, value: Any, name: str = "") -> None:
        """Find ids in a JSON value: members named `id`, `…_id` or `…Id`, and UUIDs."""
        if isinstance(value, str):
            if value and len(value) <= MAX_LENGTH:
                if is_id_name(name):
                    self.add(value)
                    self._ids.add(self._of.get(value, value))
                if value.count("-") >= UUID_DASHES:
                    for found in UUID.findall(value):
                        self.add(found)
        elif isinstance(value, dict):
            for key, each in value.items():
                self.learn(each, key)
        elif isinstance(value, list):
            for each in value:
                self.learn(each, name)
        elif isinstance(value, int) and is_id_name(name):
            self._ids.add(str(value))

    def keep(self, value: Any) -> None:
        """Do not replace the texts in a request that no answer has had."""
        if isinstance(value, str):
            if LEAST_ID <= len(value) <= MAX_LENGTH and len(self._own) < MAX_IDS:
                if value not in self._of:
                    self._own.add(value)
                if value.count("-") >= UUID_DASHES:
                    self._own.update([each for each in UUID.findall(value) if each not in self._of])
        elif isinstance(value, dict):
            for each in value.values():
                self.keep(each)
        elif isinstance(value, list):
            for each in value:
                self.keep(each)

    def add(self, id_: str) -> None:
        """Replace this id from now on, if it looks made by a machine."""
        if id_ in self._of or id_ in self._own or id_ in self._made or len(self._of) >= MAX_IDS:
            return
        if is_generated_id(id_):
            self.count += 1
            self._need_digits = self._need_digits and _DIGIT.search(id_) is not None
            alias = self._of[id_] = alias_of(id_, self.count)
            self._made.add(alias)
            self._ids.add(alias)

    def text(self, text: str, found: set[str] | None = None) -> str:
        """A text with aliases for all ids that are known by now; a text that is an id is added to `found`."""
        if self._of and len(text) >= LEAST_ID and not (self._need_digits and _DIGIT.search(text) is None):
            text = _WORDS.sub(self._replaced, text)
        if found is not None and text in self._ids:
            found.add(text)
        return text

    def note_number(self, value: Any, name: str, found: set[str]) -> None:
        """Add the value of the member `name` to `found` if it is an id."""
        if isinstance(value, int) and is_id_name(name) and str(value) in self._ids:
            found.add(str(value))

    def _replaced(self, match: "re.Match[str]") -> str:
        word = match[0]
        alias = self._of.get(word)
        if alias is not None:
            return alias
        if "-" in word:
            word = UUID.sub(lambda found: self._of.get(found[0], found[0]), word)
        return word


NO_ALIASES = Aliases()
"""Replaces nothing."""


def alias_of(id_: str, number: int) -> str:
    """The alias of the n-th id: of the same form, with the same prefix (`batch_`)."""
    prefix = found[0] if (found := _PREFIX.match(id_)) else ""
    rest = id_[len(prefix) :]
    digits = blake2b(f"{number}/{prefix}".encode(), digest_size=32).hexdigest() * 4
    letters = iter(digits)
    is_hex = set(rest.lower()) <= _HEX | set("-_.:~") and not rest.isdigit()
    made = "".join(_like(each, next(letters), is_hex=is_hex) for each in rest)
    return prefix + made


def _like(char: str, digit: str, *, is_hex: bool) -> str:
    if char.isdigit() and not is_hex:
        return str(int(digit, 16) % 10)
    if not char.isalnum():
        return char
    made = digit if is_hex else "abcdefghijklmnop"[int(digit, 16)]
    return made.upper() if char.isupper() else made
