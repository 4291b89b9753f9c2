"""`python -P -m khive_workers.notifier`."""

import os
import sys

from khive_workers.notifier.process import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    # A thread may be waiting for the store: the interpreter's end would wait for it.
    os._exit(code)
