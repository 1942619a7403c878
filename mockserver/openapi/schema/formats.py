"""The formats of texts. Both validators use this table, so that they agree."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from mockserver.lazy import lazy_module, lazy_pattern
from mockserver.openapi.regex import is_regular_expression

if TYPE_CHECKING:
    import jsonschema
    import pycountry
else:
    jsonschema = lazy_module("jsonschema")
    pycountry = lazy_module("pycountry")

_BASE64 = lazy_pattern(r"[A-Za-z0-9+/_=\s-]*")
_UUID = lazy_pattern(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Common English names that ISO 639 spells otherwise.
_ALSO_CALLED = {"castilian", "farsi", "flemish", "gaelic", "greek", "haitian creole", "mandarin", "punjabi"}
_URI = lazy_pattern(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s\x00-\x1f<>\"{}|\\^`]+")


def _is_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def _is_uri(text: str) -> bool:
    return _URI.fullmatch(text) is not None


def _is_country(text: str) -> bool:
    return len(text) == 2 and text.isascii() and pycountry.countries.get(alpha_2=text.upper()) is not None


def _is_language(text: str) -> bool:
    """An ISO 639-1 code, or the English name of a language that has one, in any case."""
    return text.lower() in _languages()


@cache
def _languages() -> frozenset[str]:
    coded = [language for language in pycountry.languages if hasattr(language, "alpha_2")]
    spelled = {language.name.partition(" (")[0].lower() for language in coded}
    common = {language.common_name.lower() for language in coded if hasattr(language, "common_name")}
    return frozenset({language.alpha_2 for language in coded} | spelled | common | _ALSO_CALLED)


def _is_standard(name: str) -> Callable[[str], bool]:
    """A format of JSON Schema itself, checked for both validators by jsonschema's format checker."""

    def conforms(text: str) -> bool:
        return bool(jsonschema.FormatChecker().conforms(text, name))

    return conforms


_STANDARD = (
    "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri",
    "iri-reference", "json-pointer", "relative-json-pointer", "time", "uri-reference", "uri-template",
)  # fmt: skip

FORMATS: dict[str, Callable[[str], bool]] = {
    **{name: _is_standard(name) for name in _STANDARD},
    "regex": is_regular_expression,
    "uuid": _is_uuid,
    "uri": _is_uri,
    "byte": lambda text: _BASE64.fullmatch(text) is not None,
    "iso-3166-1-alpha-2": _is_country,
    "language": _is_language,
}
"""The formats. Both validators use this table, so that they agree."""
