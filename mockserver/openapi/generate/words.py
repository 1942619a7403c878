"""Seeded words, names and numbers, from Faker's lists."""

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, NamedTuple, TypeVar
from uuid import UUID

from mockserver.lazy import lazy_module

if TYPE_CHECKING:
    from faker.providers.address import en_US as address
    from faker.providers.lorem import en_US as lorem
    from faker.providers.person import en_US as person
else:
    address = lazy_module("faker.providers.address.en_US")
    lorem = lazy_module("faker.providers.lorem.en_US")
    person = lazy_module("faker.providers.person.en_US")

Chooser = TypeVar("Chooser")

# Kinds of the blanks: n a noun, a an adjective, v a verb, r an adverb. No articles but "the", so that any word fits.
SENTENCES = (
    ("The %s %s can %s the %s of every %s.", "anvnn"),
    ("Most people %s the %s before they %s the %s.", "vnvn"),
    ("Look for the %s that will %s your %s %s.", "nvan"),
    ("With the %s %s, the %s becomes %s.", "anna"),
    ("You might also %s the %s, since the %s %s is rarely %s.", "vnana"),
    ("When the %s is %s, %s %s matters more than %s.", "naann"),
    ("There is %s %s between the %s and the %s.", "annn"),
    ("This will %s %s the %s, even for the %s %s.", "rvnan"),
    ("Some prefer the %s %s, others %s the %s.", "anvn"),
    ("The %s depends on %s %s, %s and %s.", "nannn"),
)
HOSTS = ("example.com", "example.org", "example.net")
ENDINGS = ("Ltd", "Group", "and Sons", "LLC", "Partners")
# Words that read badly in a demo, and determiners that cannot follow "the".
_AWKWARD = (
    "ago all another any each every few just many more most much numerous ok one other own same several some such "
    "alcohol ass beer bitter blood boob boot cancer cigarette damn dead death die drunk fat funeral gross hell horror "
    "kill lady mad pregnant screw sex sexual shit steal stupid suck ugly virus"
)
UNWANTED = frozenset(_AWKWARD.split())


class WordLists(NamedTuple):
    """The parts of Faker's lists that are used."""

    by_kind: dict[str, tuple[str, ...]]
    sentences: tuple[tuple[str, list[tuple[str, ...]]], ...]
    """Sentence frames, each with the kinds of words for its blanks."""
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    city_endings: tuple[str, ...]


@cache
def word_lists() -> WordLists:
    """The lists, loaded once. Importing Faker is slow, and most servers do not need it before the first response."""
    speech = lorem.Provider.parts_of_speech
    by_kind = {
        "n": _is_wanted(speech["noun"]),
        "a": _is_wanted(speech["adjective"]),
        "v": _is_wanted(speech["verb"]),
        "r": tuple(word for word in _is_wanted(speech["adverb"]) if word.endswith("ly")),
    }
    return WordLists(
        by_kind=by_kind,
        sentences=tuple((frame, [by_kind[kind] for kind in kinds]) for frame, kinds in SENTENCES),
        first_names=tuple(person.Provider.first_names),
        last_names=tuple(person.Provider.last_names),
        city_endings=tuple(address.Provider.city_suffixes),
    )


def _is_wanted(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in dict.fromkeys(words) if word not in UNWANTED)


class WordGenerator:
    """The same key gives the same words in every process and Python version."""

    def __init__(self, key: bytes) -> None:
        self._random = Random(int.from_bytes(blake2b(key, digest_size=32).digest(), "big"))  # noqa: S311  not a secret
        self._draw = self._random.random
        self._bank = word_lists()

    def fraction(self) -> float:
        """A number from 0 up to, but not including, 1."""
        return self._draw()

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        span = high - low + 1
        if span < 1 << 32:
            return low + int(self._draw() * span)
        return low + self._random.getrandbits(span.bit_length() + 64) % span

    def pick(self, choices: Sequence[Chooser]) -> Chooser:
        return choices[int(self._draw() * len(choices))]

    def chance(self, likelihood: float) -> bool:
        return self._draw() < likelihood

    def hexadecimal(self, digits: int) -> str:
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def word(self, kind: str = "n") -> str:
        """A noun, or with `a`, `v`, `r` an adjective, a verb, an adverb."""
        return self.pick(self._bank.by_kind[kind])

    def sentence(self) -> str:
        draw = self._draw
        frame, blanks = self.pick(self._bank.sentences)
        return frame % tuple([words[int(draw() * len(words))] for words in blanks])

    def paragraph(self, sentences: int = 3) -> str:
        return " ".join([self.sentence() for _ in range(sentences)])

    def title(self) -> str:
        return f"{self.word('a')} {self.word()} {self.word()}".capitalize()

    def first_name(self) -> str:
        return self.pick(self._bank.first_names)

    def last_name(self) -> str:
        return self.pick(self._bank.last_names)

    def person(self) -> str:
        return f"{self.first_name()} {self.last_name()}"

    def company(self) -> str:
        return f"{self.last_name()} {self.pick(ENDINGS)}"

    def city(self) -> str:
        return self.last_name() + self.pick(self._bank.city_endings)

    def domain(self) -> str:
        """A domain name that is reserved for examples, so that no real host is ever contacted."""
        return self.pick(HOSTS) if self.chance(0.3) else f"{self.word()}.{self.pick(HOSTS)}"

    def url(self) -> str:
        return f"https://{self.domain()}/{self.word()}/{self.word('a')}-{self.word()}"

    def email(self) -> str:
        return f"{self.first_name()}.{self.last_name()}@{self.domain()}".lower()

    def phone(self) -> str:
        """A North American number of the range reserved for fiction."""
        return f"+1-202-555-01{self.integer(0, 99):02}"

    def moment(self) -> datetime:
        """A second of the year 2026."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.integer(0, 365 * 86400 - 1))

    def seed(self) -> int:
        """A seed for a library's own random numbers."""
        return self._random.getrandbits(128)

    def fitted(self, text: str, low: int, high: int | None) -> str:
        """The text, extended with words if it is shorter than low, cut if it is longer than high."""
        pieces = [text]
        length = len(text)
        while length < low:
            pieces.append(self.word())
            length += len(pieces[-1]) + 1
        text = " ".join(pieces)
        if high is None or len(text) <= high:
            return text
        return text[:high] if not text[:high].endswith(" ") else text[: high - 1] + "."


Maker = Callable[[WordGenerator], str]

FORMATS: dict[str, Maker] = {
    "uuid": lambda words: str(UUID(words.hexadecimal(32), version=4)),
    "uri": WordGenerator.url,
    "url": WordGenerator.url,
    "iri": WordGenerator.url,
    "uri-reference": WordGenerator.url,
    "iri-reference": WordGenerator.url,
    "email": WordGenerator.email,
    "idn-email": WordGenerator.email,
    "hostname": WordGenerator.domain,
    "idn-hostname": WordGenerator.domain,
    "ipv4": lambda words: f"203.0.113.{words.integer(1, 254)}",  # RFC 5737 reserves this network for documentation
    "ipv6": lambda words: f"2001:db8::{words.integer(1, 65535):x}",
    "date": lambda words: f"{words.moment():%Y-%m-%d}",
    "date-time": lambda words: f"{words.moment():%Y-%m-%dT%H:%M:%SZ}",
    "time": lambda words: f"{words.moment():%H:%M:%SZ}",
    "duration": lambda words: f"PT{words.integer(1, 59)}M",
    "byte": lambda words: b64encode(words.sentence().encode()).decode(),
    "json-pointer": lambda words: f"/{words.word()}/{words.word()}",
    "relative-json-pointer": lambda words: f"{words.integer(0, 3)}/{words.word()}",
    "uri-template": lambda words: f"https://{words.domain()}/{{{words.word()}}}",
    "regex": lambda words: f"^{words.word()}$",
    "iso-3166-1-alpha-2": lambda words: words.pick(("AU", "BR", "CA", "DE", "FR", "GB", "IN", "JP", "NO", "US")),
    "language": lambda words: words.pick(("de", "en", "es", "fr", "it", "ja", "nl", "no", "pt", "sv")),
}

# The last word of a property's name suggests its content.
NAMES: dict[str, Maker] = {
    **dict.fromkeys(("uuid", "guid"), FORMATS["uuid"]),
    "country": FORMATS["iso-3166-1-alpha-2"],
    **dict.fromkeys(("language", "locale", "lang"), FORMATS["language"]),
    **dict.fromkeys(("date", "day", "birthday"), FORMATS["date"]),
    **dict.fromkeys(("at", "time", "timestamp"), FORMATS["date-time"]),
    "ip": FORMATS["ipv4"],
    **dict.fromkeys(("url", "uri", "link", "href", "website", "homepage", "callback", "webhook"), WordGenerator.url),
    **dict.fromkeys(("email", "mail"), WordGenerator.email),
    **dict.fromkeys(("domain", "host", "hostname"), WordGenerator.domain),
    **dict.fromkeys(("phone", "mobile", "fax", "telephone"), WordGenerator.phone),
    **dict.fromkeys(("author", "owner", "person", "contact"), WordGenerator.person),
    **dict.fromkeys(("company", "organization", "organisation", "brand", "vendor"), WordGenerator.company),
    **dict.fromkeys(("city", "town", "place"), WordGenerator.city),
    **dict.fromkeys(("title", "subject", "headline", "heading", "label", "name"), WordGenerator.title),
    **dict.fromkeys(("summary", "message", "query", "prompt", "question", "reason", "detail"), WordGenerator.sentence),
    **dict.fromkeys(("description", "text", "content", "body", "comment", "bio", "answer"), WordGenerator.paragraph),
    **{name: lambda words: words.hexadecimal(24) for name in ("id", "key", "token", "hash", "digest", "etag")},
    "street": lambda words: f"{words.integer(1, 99)} {words.last_name()} Street",
    "address": lambda words: f"{words.integer(1, 99)} {words.last_name()} Street, {words.city()}",
}
WHOLE_NAMES: dict[str, Maker] = {
    "first name": WordGenerator.first_name,
    "given name": WordGenerator.first_name,
    "last name": WordGenerator.last_name,
    "family name": WordGenerator.last_name,
    "full name": WordGenerator.person,
    "user name": lambda words: words.first_name().lower(),
    "host name": WordGenerator.domain,
    "company name": WordGenerator.company,
}


def text_for(words: WordGenerator, *, format_: str, name: str) -> str:
    """A text of the format, else one that suits the property's name, else a word."""
    if format_ in FORMATS:
        return FORMATS[format_](words)
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", " ", name).strip().lower()
    maker = WHOLE_NAMES.get(spaced) or NAMES.get(spaced.rpartition(" ")[2], WordGenerator.word)
    return maker(words)
