"""Reads settings from flags, environment variables and a config file."""

from collections.abc import Iterator, Mapping
from dataclasses import Field
from typing import TYPE_CHECKING, Any

from mockserver.errors import SettingsError
from mockserver.lazy import lazy_module, lazy_pattern
from mockserver.redaction import REDACTED, is_secret_name
from mockserver.settings.parse import SYNTAXES, invalid_value, is_digits, truncated_repr
from mockserver.settings.table import PREFIX, ROWS, Settings, flag_of, variable_of
from mockserver.text import did_you_mean, nearest

if TYPE_CHECKING:
    import yaml
else:
    yaml = lazy_module("yaml")

_SERVICE_VARIABLE = lazy_pattern(
    r"MOCKSERVER_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?"
    r"|PORT_[0-9]{1,5}_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?|ENV_[A-Z0-9_]+)"
)
_LINK = lazy_pattern(r"(?:tcp|udp|sctp)://")
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def read_settings(flags: Mapping[str, object], environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """Merges the sources: flag, else variable, else config file, else default. Warns about unknown variables.

    `flags` are settings by name, and `config`; None is a flag that was not given. An empty variable counts as unset.
    """
    config = flags.get("config") or environ.get(variable_of("config"))
    given = dict(_in_config(str(config))) if config else {}
    given |= dict(_in_variables(environ))
    given |= {name: (flag_of(name), came) for name, came in flags.items() if name != "config" and came is not None}
    values = {name: read_value(_row(name, "flag"), came, place) for name, (place, came) in given.items()}
    return Settings(**values), list(_warnings(environ))


def read_value(row: "Field[Any]", came: object, place: str) -> Any:
    """A setting's value, from text or from a value of the row's type; `place` is named in errors."""
    if isinstance(row.default, tuple):
        texts = _read_texts(came, place)
        return tuple(_in_syntax(row, text, place) for text in texts)
    if isinstance(row.default, bool):
        return _read_bool(came, place)
    if isinstance(row.default, int):
        return _read_int(came, place, *row.metadata["range"])
    return _read_text(row, came, place)


def _meant(word: str, known: tuple[str, ...]) -> str:
    """A hint for an unknown name: the nearest known one, or all of them."""
    return did_you_mean(word, known) or f"; known are {', '.join(known)}"


def _in_config(path: str) -> Iterator[tuple[str, tuple[str, object]]]:
    for key, came in _load_config(path).items():
        name = key.replace("-", "_")
        if name not in ROWS:
            value = (
                ""
                if is_secret_name(name) or is_secret_name(nearest(name, ROWS))
                else f" (its value is {truncated_repr(came)})"
            )
            raise SettingsError(f"{path}: {truncated_repr(key)} is not a setting{value}{_meant(name, tuple(ROWS))}")
        yield name, (f"{path}: {key}", came)


def _load_config(path: str) -> dict[str, object]:
    """The file's mapping. Scalars stay text, so that a value means the same as in a flag."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  pathlib would only add to the start-up time
            loaded = yaml.load(file, Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot be read as a config file: {' '.join(str(error).split())}") from error
    if loaded in (None, ""):
        return {}
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise SettingsError(f"{path} is {truncated_repr(loaded)}; wanted a mapping of setting names to values")
    return loaded


def _in_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, object]]]:
    if environ.get("PORT"):
        yield "port", ("PORT", environ["PORT"])
    for name, row in ROWS.items():
        came = environ.get(variable_of(name), "")
        if came and not _is_of_kubernetes(variable_of(name), came):
            parts = [part for part in came.split(row.metadata["separator"]) if part]
            yield name, (variable_of(name), parts if isinstance(row.default, tuple) else came)


def _warnings(environ: Mapping[str, str]) -> Iterator[str]:
    known = (*(variable_of(name) for name in ROWS), variable_of("config"), variable_of("run"))
    words = tuple(name.removeprefix(PREFIX) for name in known)
    for name in sorted(environ):
        if name in known and _is_of_kubernetes(name, environ[name]):
            yield f"{name} is {environ[name]!r}, which Kubernetes sets for a service of that name; ignored"
        elif name.startswith(PREFIX) and name not in known and not _is_of_kubernetes(name, environ[name]):
            near = nearest(name.removeprefix(PREFIX), words)
            yield f"unknown variable {name}" + (f"; did you mean {PREFIX}{near}?" if near else "")


def _is_of_kubernetes(name: str, came: str) -> bool:
    """Whether Kubernetes sets this variable in pods for a service called `mockserver`, or `mockserver-x`.

    These are `…_SERVICE_HOST`, `…_SERVICE_PORT`, `…_SERVICE_PORT_NAME`, `…_PORT` and `…_PORT_4024_TCP_ADDR`; Docker's
    links have `…_NAME` and `…_ENV_…`, too.
    """
    return _SERVICE_VARIABLE.fullmatch(name) is not None or (name.endswith("_PORT") and _LINK.match(came) is not None)


def _row(name: str, kind: str) -> "Field[Any]":
    if name not in ROWS:
        raise SettingsError(f"unknown {kind} {name!r}{_meant(name, tuple(ROWS))}")
    return ROWS[name]


def _read_texts(came: object, place: str) -> tuple[str, ...]:
    texts = (came,) if isinstance(came, str) else came
    if isinstance(texts, list | tuple) and all(isinstance(text, str) and text for text in texts):
        return tuple(texts)
    raise invalid_value(place, came, "one or more texts, none of them empty")


def _read_bool(came: object, place: str) -> bool:
    if isinstance(came, bool):
        return came
    if isinstance(came, str) and came.lower() in YES + NO:
        return came.lower() in YES
    raise invalid_value(place, came, "true or false (or 1, 0, yes, no, on, off)")


def _read_int(came: object, place: str, minimum: int, maximum: int) -> int:
    number = int(came) if isinstance(came, str) and is_digits(came) else came
    if isinstance(number, int) and not isinstance(number, bool) and minimum <= number <= maximum:
        return number
    raise invalid_value(place, came, f"an integer from {minimum} to {maximum}")


def _read_text(row: "Field[Any]", came: object, place: str) -> str:
    choices = row.metadata["choices"]
    if not isinstance(came, str):
        raise invalid_value(place, REDACTED if is_secret_name(row.name) else came, "one text")
    if choices and came.lower() in choices:
        came = came.lower()
    elif choices:
        raise invalid_value(place, came, " or ".join(repr(choice) for choice in choices))
    return _in_syntax(row, came, place)


def _in_syntax(row: "Field[Any]", text: str, place: str) -> str:
    syntax = row.metadata["syntax"] or SYNTAXES.get(row.name)
    if syntax is not None:
        syntax(text, place)
    return text
