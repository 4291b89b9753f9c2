"""`python -P -m khive_workers.replicator`: see `process`."""

from __future__ import annotations

import sys

from khive_workers.replicator.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
