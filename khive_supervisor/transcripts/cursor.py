"""By what a file is known to be the one that was read up to a place; pure."""

from __future__ import annotations

import hashlib

#: Bytes at the beginning of a file, and before the place, by which it is known again.
HEAD, TAIL = 4096, 256


def known_by(head: bytes, tail: bytes) -> bytes:
    """Return what is kept of a file's beginning, and of what stands before the place.

    A file that grows keeps both, also where a client writes it anew and puts it in the old one's
    place. One that was rewritten, cut, or is another one has others, and is read from its start.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in (head, tail):
        digest.update(len(part).to_bytes(4, "little") + part)
    return digest.digest()
