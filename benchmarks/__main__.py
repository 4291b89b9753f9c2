"""Run the benchmarks with the interpreter, and the installation, that runs this."""

from __future__ import annotations

import sys
from pathlib import Path

# The package itself, not its directory: a module of it must never hide one of the library.
sys.path[0] = str(Path(__file__).parents[1])

from benchmarks.run import main  # noqa: E402 - the path comes first

sys.exit(main(sys.argv[1:]))
