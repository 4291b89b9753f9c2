"""Run the benchmarks with the interpreter, and the installation, that runs this."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# The package itself, not its directory: a module of it must never hide one of the library.
sys.path[0] = str(Path(__file__).parents[1])

# What is measured in this process has one thread, as sessions have; peers have what they want.
own = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
wanted = own.keys() - os.environ.keys()
os.environ.update({name: own[name] for name in wanted})
import numpy as np  # noqa: E402, F401 - it looks at them when it is loaded

for name in wanted:
    del os.environ[name]

from benchmarks.run import main  # noqa: E402 - the path comes first

sys.exit(main(sys.argv[1:]))
