"""Exit codes of every process of the project; documented in docs/operations.md.

Imports nothing, so that any module may use it.
"""

OK = 0
#: Something failed that no other code names; the message says what.
FAILURE = 1
#: The command line was wrong (click's own code).
USAGE = 2
#: A child could not start; its parent does not spin on it.
BOOT_FAILURE = 3
#: The configuration is invalid; every problem was listed.
CONFIG = 4
#: No supervisor is running where one was needed.
NOT_RUNNING = 5
#: Another supervisor owns this store.
ALREADY_RUNNING = 6
#: The store was refused (version, filesystem, foreign file); it was left untouched.
STORE_REFUSED = 7
#: The two sides speak different versions.
VERSION_MISMATCH = 8
#: `doctor` found at least one problem, or what was verified is not as it was written.
UNHEALTHY = 9
#: A worker of a role ends because a handler did not stop in time; another takes its place.
RECYCLE = 10
#: A supervisor has the store and does not answer; the message names its process.
UNRESPONSIVE = 11
#: What a command printed cannot be written: a full disk, a device that fails.
OUTPUT_LOST = 74
#: Trying again later can help (disk full, busy, a budget exceeded).
TEMPORARY = 75
#: Starting this again cannot help; a parent must not restart it.
PERMANENT = 125
