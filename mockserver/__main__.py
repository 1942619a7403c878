"""The command `mockserver`, also as `python -m mockserver`."""

import gc
import sys
from typing import TYPE_CHECKING

from mockserver.lazy import lazy_module

if TYPE_CHECKING:
    from mockserver import cli
else:
    cli = lazy_module("mockserver.cli")


def main() -> int:
    """Runs one subcommand; returns the exit code.

    Imports make many objects, and hardly any that are garbage. So garbage collection rests until they are done. `serve`
    imports more, and lets it begin when the server is built.
    """
    gc.disable()
    run = cli.main
    if sys.argv[1:2] != ["serve"]:
        gc.enable()
    return run()


if __name__ == "__main__":
    sys.exit(main())
