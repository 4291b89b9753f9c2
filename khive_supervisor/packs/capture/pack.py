"""The capture pack, and that of its candidates."""

from __future__ import annotations

from khive_supervisor.packs.capture import filling, review
from khive_supervisor.verbs.registry import Pack

PACK = Pack("capture", "What is captured of clients' sessions.", filling.VERBS)
REVIEW = Pack("review", "What was captured and is to be looked at.", tuple(review.VERBS))
