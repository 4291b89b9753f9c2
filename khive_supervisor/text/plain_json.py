"""JSON that is somebody else's: schemas, foreign programs' output, frames not yet understood."""

from __future__ import annotations

from typing import Any

#: An object of which nothing is known before it is looked at. What this project makes and reads
#: back itself has a type of its own.
JsonObject = dict[str, Any]
