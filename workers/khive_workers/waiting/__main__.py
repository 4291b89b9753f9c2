"""`python -P -m khive_workers.waiting`."""

import sys

from khive_workers.waiting.process import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
