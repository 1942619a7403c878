"""Reads a document in any version as OpenAPI 3.1, with everything that it refers to in other files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mockserver.errors import WARNING, MockServerError, Problem, SpecError
from mockserver.lazy import lazy_module
from mockserver.openapi.files import find_lines, is_url, read_document
from mockserver.openapi.loading.bundle import bundle, has_other_files
from mockserver.openapi.loading.repair import repair
from mockserver.openapi.loading.swagger import as_openapi, is_swagger, original_location
from mockserver.openapi.loading.upgrade import as_openapi_31
from mockserver.openapi.mistakes import Mistake
from mockserver.text import format_location

if TYPE_CHECKING:
    from mockserver.openapi.loading import fetch
else:
    fetch = lazy_module("mockserver.openapi.loading.fetch")

MAIN_FILES = ("openapi.yaml", "openapi.yml", "openapi.json", "swagger.yaml", "swagger.yml", "swagger.json")
"""The file that is read of a folder: the first of these, or the only document in it."""
MAX_LINED = 200
"""The most mistakes of a document whose lines are looked up."""


class ReadDocument(NamedTuple):
    """A document as OpenAPI 3.1."""

    document: Any
    path: Path
    problems: tuple[Problem, ...] = ()
    """References to other files that lead nowhere, and what was read otherwise than it stands there."""
    is_swagger: bool = False
    is_repaired: bool = False
    """Whether no mistakes are left."""
    files: tuple[Path, ...] = ()
    """All files of the document."""
    name: str = ""
    """The path, or the URL that was copied to it."""


def main_file(path: Path) -> Path:
    """The document of a folder; any other path is itself. Raises SpecError for a folder without a document."""
    if not path.is_dir():
        return path
    named = next((path / name for name in MAIN_FILES if (path / name).is_file()), None)
    if named is not None:
        return named
    files = sorted(each for each in path.iterdir() if each.suffix in {".yaml", ".yml", ".json"} and each.is_file())
    documents = [each for each in files if _is_document(each)]
    if len(documents) != 1:
        raise SpecError(f"the folder has {len(documents) or 'no'} OpenAPI documents; name one file", str(path))
    return documents[0]


def read_any(place: Path | str) -> ReadDocument:
    """The document of a file, a folder or a URL, with its mistakes; raises SpecError if it cannot be read."""
    within, name = None, ""
    if isinstance(place, str) and is_url(place):
        name = place
        place, within = fetch.copy_document(place)
    path = main_file(Path(place))
    notes: list[Problem] = []
    document = read_document(path, SpecError, notes)
    problems = [each._replace(severity=WARNING) for each in notes]
    files: tuple[Path, ...] = (path,)
    if isinstance(document, dict) and has_other_files(document):
        document, found, files = bundle(document, path, within=within)
        problems += [each._replace(severity=WARNING) for each in found]
    was_swagger = is_swagger(document)
    if was_swagger:
        document = as_openapi(document)
    if isinstance(document, dict) and str(document.get("openapi", "")).startswith("3.0"):
        document = as_openapi_31(document)
    return ReadDocument(document, path, tuple(problems), was_swagger, files=files, name=name or str(path))


def read_repaired(place: Path | str) -> ReadDocument:
    """The document without its mistakes, which are warnings; raises SpecError for what is no OpenAPI document."""
    read = read_any(place)
    version = read.document.get("openapi") if isinstance(read.document, dict) else None
    if not (isinstance(version, str) and version.startswith("3.")):
        return read
    document, mistakes = repair(read.document)
    problems = (*read.problems, *(mistake_problems(read, mistakes) if mistakes else ()))
    return read._replace(document=document, problems=problems, is_repaired=True)


def mistake_problems(read: ReadDocument, mistakes: list[Mistake], *, severity: str = WARNING) -> list[Problem]:
    """The mistakes of a document, each with its line and location."""
    places = [original_location(each.location) if read.is_swagger else each.location for each in mistakes]
    lines = find_lines(read.path, places[:MAX_LINED])
    lines += [None] * (len(mistakes) - len(lines))
    return [
        Problem(
            f"{read.name or read.path}:{line or 1}", f"{format_location(place) or 'the file'}: {each.message}", severity
        )
        for each, place, line in zip(mistakes, places, lines, strict=True)
    ]


def _is_document(path: Path) -> bool:
    try:
        found = read_document(path, SpecError)
    except MockServerError:
        return False
    return isinstance(found, dict) and ("openapi" in found or "swagger" in found)
