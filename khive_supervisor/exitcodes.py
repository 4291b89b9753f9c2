"""Exit codes of every process of the project; documented in docs/operations.md.

Imports nothing, so that any module may use it.
"""

OK = 0
FAILURE = 1
USAGE = 2
BOOT_FAILURE = 3
CONFIG = 4
NOT_RUNNING = 5
ALREADY_RUNNING = 6
STORE_REFUSED = 7
VERSION_MISMATCH = 8
UNHEALTHY = 9
RECYCLE = 10
UNRESPONSIVE = 11
OUTPUT_LOST = 74
TEMPORARY = 75
PERMANENT = 125

#: What each says.
MEANINGS = {
    "OK": "It did what it was asked to.",
    "FAILURE": "Something failed that no other code names; the message says what.",
    "USAGE": "The command line was wrong (click's own code).",
    "BOOT_FAILURE": "A child could not start; its parent does not spin on it.",
    "CONFIG": "The configuration is invalid; every problem was listed.",
    "NOT_RUNNING": "No supervisor is running where one was needed.",
    "ALREADY_RUNNING": "Another supervisor owns this store.",
    "STORE_REFUSED": "The store was refused (version, filesystem, foreign file); it was left "
    "untouched.",
    "VERSION_MISMATCH": "The two sides speak different versions.",
    "UNHEALTHY": "`doctor` found at least one problem, or what was verified is not as it was "
    "written.",
    "RECYCLE": "A worker of a role ends because a handler did not stop in time; another takes "
    "its place.",
    "UNRESPONSIVE": "A supervisor has the store and does not answer; the message names its "
    "process.",
    "OUTPUT_LOST": "What a command printed cannot be written: a full disk, a device that fails.",
    "TEMPORARY": "Trying again later can help (disk full, busy, a budget exceeded).",
    "PERMANENT": "Starting this again cannot help; a parent must not restart it.",
}
