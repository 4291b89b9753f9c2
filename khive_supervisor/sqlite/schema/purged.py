"""What a purge needs of the entries' table."""

from __future__ import annotations

#: `purged_at`: the row is all that is left of an entry that was removed for good, so that its id is
#: never used again. `digest_key`: what the digest of the entry in the audit chain is keyed with;
#: without it, nobody can try what the entry may have said.
PURGED = (
    "ALTER TABLE entries ADD COLUMN purged_at REAL",
    "ALTER TABLE entries ADD COLUMN digest_key BLOB",
)
