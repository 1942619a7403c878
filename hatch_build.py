"""Converts the bundled YAML to JSON when a wheel is built, so that no start of an installed mockserver parses YAML."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConvertYaml(BuildHookInterface[Any]):
    """Adds a JSON file to the wheel for each YAML file that it carries. An editable install converts on first use."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the files to a folder that is packed with the rest, and removed in `finalize`."""
        if version == "editable":
            return
        root = Path(self.root)
        sys.path.insert(0, self.root)
        from mockserver.openapi.files import convert_document, converted_name  # noqa: PLC0415  it lies in `root`

        self.folder = TemporaryDirectory()
        for path in (root / "openapi.yaml", *sorted((root / "fixtures").rglob("*.yaml"))):
            name = converted_name(path.read_bytes())
            written = Path(self.folder.name) / name
            written.write_bytes(convert_document(path))
            build_data["force_include"][str(written)] = f"mockserver/_data/converted/{name}"

    def finalize(self, version: str, *_: Any) -> None:
        """Remove the folder."""
        if version != "editable":
            self.folder.cleanup()
