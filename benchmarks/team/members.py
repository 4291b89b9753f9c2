"""What a member without a right to a namespace finds of it: asked in every way that there is."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation
from benchmarks.core.processes import processes_of, wait_until
from benchmarks.core.report import Row
from benchmarks.team.nodes import Postgres, postgres
from benchmarks.team.shared import connected, driver_is_missing
from khive_supervisor.errors import KhiveError
from khive_supervisor.packs import loading
from khive_supervisor.verbs.registry import Verb

#: What is asked for, and what stands beside it in everything that is hidden, and nowhere else.
ASKED, HIDDEN = "quetzalcoatl", "zanzibar"
_BOTH = f"{ASKED} {HIDDEN}"
#: Ids and names that the hidden namespace may have, and what else arguments can be.
_STRINGS = (ASKED, "m1", "t1", "closed")
_OTHERS: dict[str, tuple[object, ...]] = {
    "integer": (1,),
    "number": (1.0,),
    "boolean": (True,),
    "array": (["m1", "m2", "k3"], ["t1"]),
    "object": ({},),
}
#: Verbs that wait for what comes; what they say, others say, too.
_LEFT_OUT = frozenset({"agents.wait", "agents.follow"})


def measure(context: Context) -> list[Row]:
    """The row of what is hidden."""
    if missing := driver_is_missing():
        return missing
    del context
    with (
        tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name,
        postgres() as server,
        ExitStack() as stack,
    ):
        owner, member = _team(server, Path(name), stack)
        _fill(owner)
        asked, found = _ask_verbs(member)
        metrics = _metrics(member)
        told, rows = _ask_server(server)
        member.stop()
        sizes, files = _files(member.home)
        there = HIDDEN.encode() in b"".join(_contents(owner.home))
    found += [place for place, text in (("metrics", metrics), ("the server", told)) if _has(text)]
    return [_row(asked, found + files, sizes, rows, there)]


def _row(asked: int, found: list[str], sizes: int, rows: int, there: bool) -> Row:
    return Row(
        what="what a member without a right to a namespace finds of it, by every verb (resources "
        "are read by these), in metrics, in all files of the machine, and by SQL at the server",
        target="nothing",
        khive="nothing" if not found else f"FOUND in {', '.join(found[:5])}",
        met=not found and there,
        notes=(
            f"{asked} calls of verbs, {sizes / 1e6:.1f} MB of files, {rows} rows of the server.",
            f"A node that may see it {'has it' if there else 'HAS IT NOT'} in its files.",
        ),
        data={"calls": asked, "found": found},
    )


def _team(server: Postgres, directory: Path, stack: ExitStack) -> tuple[Installation, Installation]:
    """Give two nodes with supervisors: the owner's, and that of who sees `open` alone."""
    with connected(server.url) as connection:
        connection.execute("CREATE ROLE khive LOGIN; CREATE ROLE bob LOGIN")
        connection.execute("GRANT CREATE ON DATABASE postgres TO khive")
    made = []
    for role in ("khive", "bob"):
        home = directory / role
        home.mkdir()
        one = Installation(home)
        stack.callback(_end, one)
        url = server.url.replace("//postgres@", f"//{role}@")
        one.write_configuration(
            f'[store]\nurl = "{url}"\n[embedder]\nkind = "none"\n[http]\nenabled = true\nport = 0\n'
            '[session]\nnamespace = "open"\n'
        )
        one.start()
        made.append(one)
        if role == "khive":
            one.run("team", "grant", "bob", "open")
    return made[0], made[1]


def _end(one: Installation) -> None:
    if processes_of(one.home):
        one.stop()


def _fill(owner: Installation) -> None:
    """Store something of most kinds in `closed`, each with what is looked for; then in `open`."""
    step = {"name": "one", "role": "r", "payload": _BOTH}
    calls: list[tuple[str, dict[str, object]]] = [
        ("memory.remember", {"content": _BOTH, "title": HIDDEN, "tags": [HIDDEN], "kind": HIDDEN}),
        ("memory.remember", {"content": f"{_BOTH} again", "source": f"/home/{HIDDEN}"}),
        ("knowledge.learn", {"entries": [{"content": f"{_BOTH} in a document"}]}),
        ("agents.assign", {"role": "r", "payload": _BOTH, "idempotency_key": HIDDEN}),
        ("workflow.run", {"definition": {"name": "n", "steps": [step]}}),
    ]
    with owner.verbs() as verbs:
        for verb, args in calls:
            try:
                verbs.request(verb, {**args, "namespace": "closed"})
            except KhiveError as error:  # roles are none here: their tasks are refused
                if not verb.startswith(("agents.", "workflow.")):
                    raise RuntimeError(f"{verb}: {error.message}") from None
        verbs.request("graph.link", {"from": "m1", "kind": "about", "to": "m2"})
        verbs.request("memory.remember", {"content": f"What {ASKED} is here."})


def _ask_verbs(member: Installation) -> tuple[int, list[str]]:
    """Ask all verbs for what is hidden; return how many calls, and which found something."""
    count, found = 0, []
    with member.verbs() as verbs:

        def arrived() -> bool:
            answer = verbs.request("memory.recall", {"query": ASKED})
            return ASKED in json.dumps(answer["results"])

        wait_until(arrived, "what is open has come")
        for verb in loading.load():
            for args in _calls(verb):
                try:
                    answer: Any = verbs.request(verb.name, args)
                except KhiveError as error:
                    answer = error.as_dict()
                count += 1
                if _has(json.dumps(answer)):
                    found.append(f"{verb.name} {args}")
    return count, found


def _calls(verb: Verb) -> Iterator[dict[str, object]]:
    """Give what a verb is called with: each of its arguments in turn, whatever it can be."""
    if verb.name in _LEFT_OUT:
        return
    base = {name: _values(verb.properties[name])[0] for name in verb.required}
    yield base
    for name, schema in verb.properties.items():
        for value in _values(schema):
            yield {**base, name: value}


def _values(schema: Any) -> tuple[object, ...]:
    given = schema.get("enum") or _OTHERS.get(str(schema.get("type", "string")), _STRINGS)
    return tuple(given)


def _has(text: str) -> bool:
    return HIDDEN in text.lower()


def _metrics(member: Installation) -> str:
    """Return what Prometheus is told."""
    info = json.loads(member.run("http", "info", "--json").stdout)
    token = member.run("http", "token").stdout.strip()
    url = str(info["url"]).rstrip("/").removesuffix("/mcp") + "/metrics"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(answer.read().decode())


def _ask_server(server: Postgres) -> tuple[str, int]:
    """Return all that the member's role reads in the server's tables, and how many rows."""
    told, rows = [], 0
    with connected(server.url.replace("//postgres@", "//bob@")) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'khive' ORDER BY 1"
        ).fetchall()
        for (table,) in tables:
            columns = connection.execute(f'SELECT * FROM khive."{table}"').fetchall()
            rows += len(columns)
            told += [repr(bytes(v) if isinstance(v, memoryview) else v) for r in columns for v in r]
    return "\n".join(told), rows


def _contents(home: Path) -> Iterator[bytes]:
    for path in home.rglob("*"):
        if path.is_file():
            yield path.read_bytes()


def _files(home: Path) -> tuple[int, list[str]]:
    """Return the bytes of all files of a machine, and which have something of what is hidden."""
    size, found = 0, []
    for path in home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            size += len(data)
            if HIDDEN.encode() in data.lower():
                found.append(str(path.relative_to(home)))
    return size, found
