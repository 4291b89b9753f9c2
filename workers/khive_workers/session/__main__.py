"""`python -P -m khive_workers.session`."""

import sys

from khive_workers.session.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
