"""`python -m khive_supervisor`, the same as the console script."""

from khive_supervisor.entry import main

main()
