"""How fast the server is: ratios against small references, measured side by side in one run (`python -m bench`)."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The project's top level: where the servers run, and where `openapi.yaml` lies."""
