"""`python -P -m khive_workers.embedder`."""

import os
import sys

from khive_workers.embedder.process import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Threads may be in the middle of a text: the interpreter's end would wait for them, or crash.
    os._exit(code)
