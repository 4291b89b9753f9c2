"""What whoever connects may do, decided when the supervisor passes it on to a worker."""

from __future__ import annotations

import secrets
from typing import Any

from khive_supervisor.access import lineage
from khive_supervisor.access.grant import AGENT, OPERATOR, Grant
from khive_supervisor.supervision.control import Arrival
from khive_supervisor.supervision.rendezvous import peer_pid

#: The kind of a hello that is a client's session; the other one is a command's.
ATTACH = "attach"


class Grants:
    """Decides for each arrival; used only from the supervisor's loop."""

    async def passed_on(self, arrival: Arrival) -> dict[str, Any]:
        """The part of a worker's request that says who it serves, and what that one may do."""
        pid = peer_pid(arrival.conn)
        session = secrets.token_hex(4)
        if arrival.kind == ATTACH and pid:
            session = lineage.session_name(pid) or session
        grant = self._grant(arrival, session)
        return {"session": session, "grant": grant.as_dict()}

    def _grant(self, arrival: Arrival, session: str) -> Grant:
        if arrival.kind != ATTACH:
            return OPERATOR
        return Grant(AGENT.audience, owners=(session,))
