"""A client's JSON before the SDK sees it: made text, and asking for what is served here."""

from __future__ import annotations

import json

from khive_supervisor import wellformed

#: The version whose servers have to take batches. No other has them, and no client sends any but
#: to find out; who asks for it is offered the one before, which its clients know as well.
BATCHED, OFFERED = "2025-03-26", "2024-11-05"
_BATCHED = BATCHED.encode()


def received(content: bytes) -> bytes:
    """One message as JSON that is text; a client that asks for BATCHED asks for OFFERED.

    What is not JSON is returned as it is: whoever reads it says so.
    """
    content = wellformed.json_bytes(content)
    if _BATCHED not in content or b'"initialize"' not in content:
        return content
    try:
        message = json.loads(content)
        if message["method"] != "initialize" or message["params"]["protocolVersion"] != BATCHED:
            return content
    except (ValueError, RecursionError, LookupError, TypeError):
        return content
    message["params"]["protocolVersion"] = OFFERED
    return json.dumps(message).encode()
