"""The tables of a team's store in PostgreSQL, and who may make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from khive_supervisor.errors import StoreUnavailable
from khive_workers.team import guards
from khive_workers.team.server import ServerRefuses, TeamServer

#: The key of the advisory lock of whoever makes the tables, or the first base.
_MAKING = 7_310_552_001

#: `head`: one row, whose lock is the turn to write; `team` names the store. `log`: every change, a
#: row for each of its parts. `base`: a whole replica at some number,
#: for nodes that join; it counts when it is `ready`. `nodes`: how far each node has come.
_TABLES = """
CREATE SCHEMA IF NOT EXISTS khive;
CREATE TABLE IF NOT EXISTS khive.head (
    one    integer PRIMARY KEY CHECK (one = 1),
    number bigint NOT NULL,
    team   uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO khive.head (one, number) VALUES (1, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS khive.log (
    number  bigint NOT NULL,
    part    text NOT NULL DEFAULT '',
    node    text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    schema  integer NOT NULL,
    nonce   uuid NOT NULL UNIQUE,
    changes bytea NOT NULL,
    PRIMARY KEY (number, part)
);
CREATE TABLE IF NOT EXISTS khive.base (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number  bigint NOT NULL,
    nonce   bytea NOT NULL,
    schema  integer NOT NULL,
    bytes   bigint NOT NULL,
    sha256  bytea NOT NULL,
    entries bigint NOT NULL,
    node    text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ready   boolean NOT NULL DEFAULT false
);
CREATE TABLE IF NOT EXISTS khive.base_parts (
    base bigint NOT NULL REFERENCES khive.base ON DELETE CASCADE,
    part integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (base, part)
);
ALTER TABLE khive.base_parts ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS khive.nodes (
    name    text PRIMARY KEY,
    number  bigint NOT NULL,
    schema  integer NOT NULL,
    release text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""


@dataclass(frozen=True, slots=True)
class _Later:
    """What came later than the first tables: how to see that it is there, and how it is made."""

    name: str
    there: str
    made_by: str


#: `heads`: the end of each node's audit chain, as it said on each day, at a change of the log.
_HEADS = """
CREATE TABLE IF NOT EXISTS khive.heads (
    origin text NOT NULL,
    day    date NOT NULL DEFAULT current_date,
    seq    bigint NOT NULL,
    hash   bytea NOT NULL,
    number bigint NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (origin, day)
);
ALTER TABLE khive.heads ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON khive.heads FOR SELECT USING (true);
CREATE POLICY published ON khive.heads FOR ALL USING (
    (SELECT khive.sees_all(current_user))
    OR origin IN (SELECT name FROM khive.nodes WHERE member = current_user));
"""
#: `divided_since`: the change after which all are in parts by namespace: the last one when a role
#: was first given a right to some namespaces only. The head's row has it, so that who holds that
#: row knows of each right that was given before.
_DIVIDED = f"""
BEGIN;
ALTER TABLE khive.head ADD COLUMN divided_since bigint NOT NULL DEFAULT {guards.NEVER};
UPDATE khive.head SET divided_since = number
    WHERE EXISTS (SELECT FROM khive.rights WHERE namespace <> '*');
CREATE FUNCTION khive.divide() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
    BEGIN
        UPDATE khive.head SET divided_since = number WHERE divided_since = {guards.NEVER};
        RETURN NULL;
    END $$;
CREATE TRIGGER divide AFTER INSERT OR UPDATE ON khive.rights
    FOR EACH ROW WHEN (NEW.namespace <> '*') EXECUTE FUNCTION khive.divide();
COMMIT;
"""  # noqa: S608 - a number of ours
#: Whether the server holds members to what they may write.
_GUARDED = "to_regprocedure('khive.next_change()') IS NOT NULL"
_LATER = (
    _Later("khive.heads", "to_regclass('khive.heads') IS NOT NULL", _HEADS),
    _Later(
        "khive.head.divided_since",
        "EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'khive.head'::regclass "
        "AND attname = 'divided_since' AND NOT attisdropped)",
        _DIVIDED,
    ),
    _Later("khive.next_change", _GUARDED, guards.GUARDS),
)

#: What members and purges are for. `rights`: which database role may see which namespace, `*`
#: being all. `slices`: a base in parts by namespace, for those who do not see all. `member`: as
#: which role something was written; the server fills it in, and nobody else can. A role that could
#: read everything when these were made goes on to. `purges`: which changes were one, `purged`: up
#: to which of them a node has nothing left.
_MEMBERS = """
BEGIN;
ALTER TABLE khive.log ADD COLUMN IF NOT EXISTS marks text NOT NULL DEFAULT '';
ALTER TABLE khive.log ADD COLUMN IF NOT EXISTS member name NOT NULL DEFAULT '';
ALTER TABLE khive.log ALTER COLUMN member SET DEFAULT current_user;
ALTER TABLE khive.log DROP CONSTRAINT IF EXISTS log_nonce_key;
CREATE UNIQUE INDEX IF NOT EXISTS log_nonce ON khive.log (nonce, part);
ALTER TABLE khive.nodes ADD COLUMN IF NOT EXISTS member name NOT NULL DEFAULT '';
ALTER TABLE khive.nodes ALTER COLUMN member SET DEFAULT current_user;
CREATE TABLE khive.rights (
    member    name NOT NULL,
    namespace text NOT NULL,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (member, namespace)
);
INSERT INTO khive.rights (member, namespace)
    SELECT DISTINCT coalesce(r.rolname, 'public'), '*'
    FROM pg_class AS c, aclexplode(c.relacl) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
    WHERE c.oid = 'khive.log'::regclass AND a.grantee <> c.relowner AND a.privilege_type = 'SELECT';
ALTER TABLE khive.nodes ADD COLUMN IF NOT EXISTS purged bigint NOT NULL DEFAULT 0;
CREATE TABLE khive.purges (
    number bigint PRIMARY KEY,
    node   text NOT NULL,
    member name NOT NULL DEFAULT current_user,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE khive.slices (
    base      bigint NOT NULL REFERENCES khive.base ON DELETE CASCADE,
    namespace text NOT NULL,
    part      integer NOT NULL,
    parts     integer NOT NULL,
    data      bytea NOT NULL,
    PRIMARY KEY (base, namespace, part)
);
ALTER TABLE khive.slices ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE FUNCTION khive.rights_of(who name) RETURNS text[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT CASE
        WHEN pg_has_role(who, (SELECT relowner FROM pg_class WHERE oid = 'khive.log'::regclass),
                         'MEMBER') THEN ARRAY['*']
        ELSE ARRAY(
            SELECT DISTINCT namespace FROM khive.rights AS r LEFT JOIN pg_roles AS p
                ON p.rolname = r.member
            WHERE r.member = 'public' OR pg_has_role(who, p.oid, 'MEMBER')
            ORDER BY namespace)
    END $$;
CREATE FUNCTION khive.sees_all(who name) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT '*' = ANY (khive.rights_of(who)) $$;
CREATE FUNCTION khive.sees_any(who name) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT cardinality(khive.rights_of(who)) > 0 $$;
ALTER TABLE khive.log ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON khive.log FOR SELECT USING (
    (SELECT khive.sees_all(current_user))
    OR schema >= 14 AND (SELECT khive.sees_any(current_user)) AND (
        part = '' OR part = ANY ((SELECT khive.rights_of(current_user))::text[])
        OR part = '*whole' AND member = current_user));
CREATE POLICY written ON khive.log FOR INSERT WITH CHECK (
    member = current_user AND (
        (SELECT khive.sees_all(current_user))
        OR schema >= 14 AND (SELECT khive.sees_any(current_user)) AND (
            part IN ('', '*whole')
            OR part = ANY ((SELECT khive.rights_of(current_user))::text[]))));
CREATE POLICY cut ON khive.log FOR DELETE USING ((SELECT khive.sees_all(current_user)));
ALTER TABLE khive.nodes ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON khive.nodes FOR SELECT USING (true);
CREATE POLICY told ON khive.nodes FOR ALL
    USING (member IN ('', current_user) OR (SELECT khive.sees_all(current_user)))
    WITH CHECK (member IN ('', current_user));
ALTER TABLE khive.base ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON khive.base FOR SELECT USING (true);
CREATE POLICY made ON khive.base FOR ALL USING ((SELECT khive.sees_all(current_user)));
ALTER TABLE khive.base_parts ENABLE ROW LEVEL SECURITY;
CREATE POLICY whole ON khive.base_parts FOR ALL USING ((SELECT khive.sees_all(current_user)));
ALTER TABLE khive.slices ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON khive.slices FOR SELECT USING (
    namespace = '' AND (SELECT khive.sees_any(current_user))
    OR namespace = ANY ((SELECT khive.rights_of(current_user))::text[]));
CREATE POLICY made ON khive.slices FOR ALL USING ((SELECT khive.sees_all(current_user)));
ALTER TABLE khive.rights ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON khive.rights FOR SELECT USING (
    member = current_user OR (SELECT khive.sees_all(current_user)));
COMMIT;
"""

#: What a role gets with its first right: everything that a node does, and nothing else; each with
#: the question whether it is so. The first one's question is of the schema's number.
_PERMISSIONS = (
    (
        "GRANT USAGE ON SCHEMA khive TO {0}",
        "has_schema_privilege(current_user, {oid}, 'USAGE')",
    ),
    (
        "GRANT SELECT ON ALL TABLES IN SCHEMA khive TO {0}",
        (
            "(SELECT bool_and(has_table_privilege(oid, 'SELECT')) FROM pg_class "
            "WHERE relnamespace = 'khive'::regnamespace AND relkind = 'r')"
        ),
    ),
    (
        "GRANT INSERT (number, part, node, schema, nonce, changes, marks) ON khive.log TO {0}",
        "has_column_privilege('khive.log', 'changes', 'INSERT')",
    ),
    (
        "GRANT UPDATE (number) ON khive.head TO {0}",
        "has_column_privilege('khive.head', 'number', 'UPDATE')",
    ),
    # A table that is not there yet is made by who owns the others.
    (
        "GRANT INSERT (number, node) ON khive.purges TO {0}",
        (
            "to_regclass('khive.purges') IS NULL "
            "OR has_column_privilege('khive.purges', 'number', 'INSERT')"
        ),
    ),
    (
        "GRANT INSERT, UPDATE ON khive.heads TO {0}",
        (
            "to_regclass('khive.heads') IS NULL OR (has_table_privilege('khive.heads', 'INSERT') "
            "AND has_table_privilege('khive.heads', 'UPDATE'))"
        ),
    ),
    (
        "GRANT INSERT, UPDATE, DELETE ON khive.nodes TO {0}",
        (
            "has_table_privilege('khive.nodes', 'INSERT') "
            "AND has_table_privilege('khive.nodes', 'UPDATE') "
            "AND has_table_privilege('khive.nodes', 'DELETE')"
        ),
    ),
)
MEMBER_MAY = "; ".join(grant for grant, _ in _PERMISSIONS)
_MAY_MAKE = "has_database_privilege(current_database(), 'CREATE')"
#: What one without any right keeps, so that its nodes learn that nothing is theirs any more.
OUTSIDER_MAY = "GRANT SELECT ON khive.rights, khive.nodes, khive.head, khive.base, khive.log TO {0}"


def missing_grants(server: TeamServer) -> list[str]:
    """Return the statements that would give this connection's role what a node needs."""
    rows = server.ask("SELECT oid FROM pg_namespace WHERE nspname = 'khive'")
    if not rows:
        ask = f"SELECT {_MAY_MAKE}, quote_ident(current_database()), quote_ident(current_user)"
        may, database, role = server.ask(ask)[0]
        return [] if may else [f"GRANT CREATE ON DATABASE {database} TO {role}"]
    usage, *others = (asked.format(oid=int(rows[0][0])) for _, asked in _PERMISSIONS)
    allowed, role = server.ask(f"SELECT {usage}, quote_ident(current_user)")[0]
    grants = [grant.format(role) for grant, _ in _PERMISSIONS]
    if not allowed:  # without it, nothing there can be asked about
        return grants
    found = server.ask(f"SELECT {', '.join(others)}")[0]
    return [grant for yes, grant in zip(found, grants[1:], strict=True) if not yes]


def exist(server: TeamServer) -> bool:
    """Return whether the server has the tables; raises what the server does."""
    return server.ask("SELECT to_regclass('khive.nodes')")[0][0] is not None


def have_members(server: TeamServer) -> bool:
    """Return whether the tables are those of a release that knows members."""
    if not server.has_members:  # asked each second, and never taken back
        found = server.ask("SELECT to_regclass('khive.rights')")[0][0]
        server.has_members = found is not None
    return server.has_members


def have_guards(server: TeamServer) -> bool:
    """Return whether the server marks what was written by who sees some namespaces only."""
    if not server.has_guards:
        server.has_guards = bool(server.ask(f"SELECT {_GUARDED}")[0][0])
    return server.has_guards


@contextmanager
def making(server: TeamServer) -> Iterator[None]:
    """Be the only one that makes tables or a first base; the tables are there within.

    Raises:
        ServerRefuses: there are none, and this user may not make them.
    """
    server.ask(f"SELECT pg_advisory_lock({_MAKING})")
    if not exist(server):
        _make(server, _TABLES)
    if not have_members(server):
        _make(server, _MEMBERS)
    complete(server)
    yield
    server.ask(f"SELECT pg_advisory_unlock({_MAKING})")


def complete(server: TeamServer) -> list[str]:
    """Make what an earlier release has not made; return what is missing all the same.

    Only who owns the schema may: an operator has that one connect once, or runs `doctor`'s words.
    """
    missing = [one for one in _LATER if not server.ask(f"SELECT {one.there}")[0][0]]
    for one in list(missing):
        try:
            server.ask(one.made_by)
        except ServerRefuses:
            continue
        missing.remove(one)
    return [one.name for one in missing]


def connect(url: str, name: str) -> TeamServer:
    """Return a connection to a server whose tables are those of this release.

    Raises:
        ServerAway, ServerRefuses: as `TeamServer.connect`; or the tables cannot be changed now.
    """
    server = TeamServer.connect(url, name)
    try:
        if exist(server) and not have_members(server):
            with making(server):
                pass
        have_guards(server)
    except StoreUnavailable:
        server.close()
        raise
    return server


def _make(server: TeamServer, statements: str) -> None:
    try:
        server.ask(statements)
    except ServerRefuses as error:
        raise ServerRefuses(
            f"The tables of a team's store could not be made: {error.message}",
            hint="Its first node, and the first one of a new release, needs the role that owns "
            "them; to make them, it has to have CREATE on the database.",
        ) from None
