"""`python -P -m khive_workers.http`."""

import os
import sys

from khive_workers.http.server import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Threads may be in the middle of a verb: the interpreter's end would wait for them.
    os._exit(code)
