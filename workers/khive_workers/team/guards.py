"""What the server holds members to, whatever statements they make themselves (SQL alone).

A member may write the next change of the log and count it; nothing else of the log, its head or its
purges, and not in the name of another member's node. What one has written who sees some namespaces
only is marked so: nodes apply it with care.

While all members see everything, nobody is held to anything: each of them may write all there is,
and a write pays for none of this. `*all` is written by such members alone (row-level security).
"""

# ruff: noqa: S608 - statements of this module alone
from __future__ import annotations

#: A number beyond all.
NEVER = (1 << 63) - 1
#: Makes all of it; only the owner of the tables may.
GUARDS = f"""
BEGIN;
-- Temporary tables are looked for last: a member could have one called as a table of the catalogue.
-- Whose rights are asked for by somebody else is none of theirs.
CREATE OR REPLACE FUNCTION khive.rights_of(who name) RETURNS text[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN NOT pg_has_role(session_user, who, 'MEMBER') THEN ARRAY[]::text[]
        WHEN pg_has_role(who, (SELECT relowner FROM pg_class WHERE oid = 'khive.log'::regclass),
                         'MEMBER') THEN ARRAY['*']
        ELSE ARRAY(
            SELECT DISTINCT namespace FROM khive.rights AS r LEFT JOIN pg_roles AS p
                ON p.rolname = r.member
            WHERE r.member = 'public' OR pg_has_role(who, p.oid, 'MEMBER')
            ORDER BY namespace)
    END $$;
ALTER FUNCTION khive.sees_all(name) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION khive.sees_any(name) SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION khive.divide() SET search_path = pg_catalog, pg_temp;
-- Who owns the tables may repair them; that is asked only where others may not.
CREATE FUNCTION khive.owns(who name) RETURNS boolean
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_has_role(
        who, (SELECT relowner FROM pg_class WHERE oid = 'khive.log'::regclass), 'MEMBER') $$;
-- The newest schema that a node knows whose member sees everything.
CREATE FUNCTION khive.schema_of_all() RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT max(n.schema) FROM khive.nodes AS n JOIN pg_roles AS m ON m.rolname = n.member
    WHERE pg_has_role(m.oid, (SELECT relowner FROM pg_class WHERE oid = 'khive.log'::regclass),
                      'MEMBER')
        OR EXISTS (
            SELECT FROM khive.rights AS r LEFT JOIN pg_roles AS p ON p.rolname = r.member
            WHERE r.namespace = '*' AND (r.member = 'public' OR pg_has_role(m.oid, p.oid, 'MEMBER'))
        ) $$;
ALTER TABLE khive.log ADD COLUMN partial boolean NOT NULL DEFAULT false;
CREATE FUNCTION khive.next_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF NEW.number <> (SELECT number FROM khive.head FOR UPDATE) + 1
            AND NOT khive.owns(current_user) THEN
            RAISE insufficient_privilege USING
                MESSAGE = 'change ' || NEW.number || ' is not the next one of the log';
        END IF;
        NEW.partial := NEW.part = '' AND NOT khive.sees_all(NEW.member);
        IF NEW.partial AND NEW.schema > khive.schema_of_all() THEN
            RAISE insufficient_privilege USING
                MESSAGE = 'schema ' || NEW.schema || ' is newer than that of who sees all';
        END IF;
        IF NEW.partial AND EXISTS (
            SELECT FROM khive.nodes WHERE name = NEW.node AND member NOT IN ('', NEW.member)
        ) THEN
            RAISE insufficient_privilege USING
                MESSAGE = 'the node ' || NEW.node || ' is of another member';
        END IF;
        RETURN NEW;
    END $$;
CREATE TRIGGER next_change BEFORE INSERT ON khive.log
    FOR EACH ROW WHEN (NEW.part <> '*all') EXECUTE FUNCTION khive.next_change();
CREATE FUNCTION khive.change_counted() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF NEW.number > (SELECT number FROM khive.head) AND NOT khive.owns(current_user) THEN
            RAISE insufficient_privilege USING
                MESSAGE = 'change ' || NEW.number || ' was not counted';
        END IF;
        RETURN NULL;
    END $$;
CREATE CONSTRAINT TRIGGER change_counted AFTER INSERT ON khive.log
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.part <> '*all')
    EXECUTE FUNCTION khive.change_counted();
CREATE FUNCTION khive.count_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF (NEW.number <> OLD.number + 1 OR NOT EXISTS (
            SELECT FROM khive.log
            WHERE number = NEW.number AND part IN ('', '*all') AND member = current_user
        )) AND NOT khive.owns(current_user) THEN
            RAISE insufficient_privilege USING
                MESSAGE = 'the head is counted by one, with the change that is counted';
        END IF;
        RETURN NEW;
    END $$;
CREATE TRIGGER count_change BEFORE UPDATE OF number ON khive.head
    FOR EACH ROW WHEN (OLD.divided_since < {NEVER}) EXECUTE FUNCTION khive.count_change();
ALTER TABLE khive.purges ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON khive.purges FOR SELECT USING (true);
CREATE POLICY told ON khive.purges FOR INSERT WITH CHECK (
    member = current_user AND EXISTS (
        SELECT FROM khive.log AS l
        WHERE l.number = purges.number AND l.member = current_user));
COMMIT;
"""
