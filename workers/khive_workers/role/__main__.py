"""`python -P -m khive_workers.role`."""

import sys

from khive_workers.role.worker import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
