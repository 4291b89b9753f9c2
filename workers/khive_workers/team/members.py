"""The members of a team: database roles, and to which namespaces each has a right."""

# ruff: noqa: S608 - names of roles are quoted by the server
from __future__ import annotations

from khive_supervisor import logs
from khive_supervisor.errors import InvalidInput, StoreRefused
from khive_supervisor.team.moves import Member
from khive_supervisor.team.parts import Rights
from khive_workers.team import tables
from khive_workers.team.server import ServerRefuses, TeamServer

log = logs.get("khive.team")

#: What bounds a transaction that does nothing, and the seconds that it gives a member's.
IDLE_SETTING, IDLE = "idle_in_transaction_session_timeout", 60
#: Whether a role has a bound of its own in this database, or in all.
_IS_BOUND = f"""
    SELECT 1 FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole,
        unnest(s.setconfig) AS said
    WHERE r.rolname = %s AND starts_with(said, '{IDLE_SETTING}=') AND s.setdatabase IN
        (0, (SELECT oid FROM pg_database WHERE datname = current_database()))"""


def rights(server: TeamServer) -> Rights:
    """Return what the role of a connection may see; all, where the server knows no members yet."""
    if not tables.have_members(server):
        return Rights()
    return server.look(0).rights


def check_any(found: Rights) -> None:
    """Check that a role is a member of the team; raises StoreRefused."""
    if not found.namespaces:
        raise StoreRefused(
            f"The role {found.member} has no right to any namespace of this team.",
            hint=f"Its owner gives one: khive-supervisor team grant {found.member} NAMESPACE.",
        )


#: Whether anybody may see some namespaces, but not all.
SOME_ALONE = (
    "EXISTS (SELECT FROM khive.rights AS r WHERE namespace <> '*' AND NOT EXISTS "
    "(SELECT FROM khive.rights WHERE member = r.member AND namespace = '*'))"
)


def need_slices(server: TeamServer) -> bool:
    """Return whether anybody may see some namespaces, but not all."""
    if not tables.have_members(server):
        return False
    return bool(server.ask(f"SELECT {SOME_ALONE}")[0][0])


def grant(server: TeamServer, member: str, namespace: str) -> None:
    """Give a role the right to a namespace, and to be a member at all.

    Raises:
        InvalidInput: there is no such role.
        ServerRefuses: this connection's role may not.
    """
    quoted = _quoted(server, member)
    if not quoted:
        raise InvalidInput(
            f"The server has no role {member}.",
            hint=f'Make it first, in psql: CREATE ROLE "{member}" LOGIN; with a password by '
            "\\password.",
        )
    _owners_only(server)
    server.ask(
        f"BEGIN; {tables.MEMBER_MAY.format(quoted)}; "
        "INSERT INTO khive.rights (member, namespace) VALUES (%s, %s) ON CONFLICT DO NOTHING; "
        "COMMIT",
        (member, namespace),
    )
    _bound(server, member, quoted)


def _bound(server: TeamServer, member: str, quoted: str) -> None:
    """Have the server end transactions of a role's that do nothing, unless it has such a bound.

    Nodes bound their own. A client of the member's that is left in the middle of a transaction has
    the turn to write, if that has locked the head, and all of the team waits for it.
    """
    if server.ask(_IS_BOUND, (member,)):
        return
    database = server.ask("SELECT quote_ident(current_database())")[0][0]
    try:
        server.ask(f"ALTER ROLE {quoted} IN DATABASE {database} SET {IDLE_SETTING} = '{IDLE}s'")
    except ServerRefuses as error:  # which only who may change roles may do
        log.info("team.not_bound", member=member, error=error.message)


def revoke(server: TeamServer, member: str, namespace: str) -> int:
    """Take rights from a role: to one namespace, or (`*`) to all; return how many it had.

    With its last one it is no member any more, and its nodes cannot ask the server.
    """
    _owners_only(server)
    gone = server.ask(
        "DELETE FROM khive.rights WHERE member = %s AND (namespace = %s OR %s = '*') RETURNING 1",
        (member, namespace, namespace),
    )
    left = server.ask("SELECT 1 FROM khive.rights WHERE member = %s", (member,))
    if gone and not left and (quoted := _quoted(server, member)):
        server.ask(
            f"BEGIN; REVOKE ALL ON ALL TABLES IN SCHEMA khive FROM {quoted}; "
            f"{tables.OUTSIDER_MAY.format(quoted)}; COMMIT"
        )
    return len(gone)


def members(server: TeamServer) -> list[Member]:
    """Return the members and the nodes that each was last seen with, but for the owner."""
    rows = server.ask(
        "SELECT member, array_agg(namespace ORDER BY namespace), "
        "(SELECT array_agg(n.name::text ORDER BY n.name) FROM khive.nodes AS n "
        " WHERE n.member = r.member) FROM khive.rights AS r GROUP BY member ORDER BY member"
    )
    return [
        Member(name=name, namespaces=list(namespaces), nodes=list(nodes or ()))
        for name, namespaces, nodes in rows
    ]


def owner(server: TeamServer) -> str:
    """Return the role that owns the tables: it sees everything, and gives rights."""
    found = server.ask(
        "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'khive.log'::regclass"
    )
    return str(found[0][0])


def _owners_only(server: TeamServer) -> None:
    name = owner(server)
    if not server.ask("SELECT pg_has_role(current_user, %s, 'MEMBER')", (name,))[0][0]:
        raise ServerRefuses(
            f"Only the role that owns the team's tables, {name}, gives and takes rights.",
            hint=f"Do it on a node whose store.url names {name}.",
        )


def _quoted(server: TeamServer, role: str) -> str:
    """Return a role's name as statements have it; empty if there is none."""
    if role == "public":
        return ""
    found = server.ask("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = %s", (role,))
    return str(found[0][0]) if found else ""
