"""What `status` and `start` say of the supervisor, for people."""

from __future__ import annotations

from collections.abc import Sequence

from khive_supervisor.cli.render.answers import Shown
from khive_supervisor.cli.render.output import counted, style, table
from khive_supervisor.cli.render.role_text import roles_text
from khive_supervisor.text.plain_json import JsonObject


def ready_text(status: JsonObject) -> str:
    """Return what `start` says of a supervisor that is ready."""
    return "\n".join(
        (
            f"khive-supervisor {status['version']} is {status['state']} (pid {status['pid']}).",
            f"  store   {status['store']}",
            *(f"          {text}" for text in _about_store(status)),
            f"  socket  {status['socket']}",
            f"  log     {status['log']}",
            *_http_lines(status["http"], "  http    "),
            "Connect a client with `khive-supervisor connect CLIENT`: claude-code, codex, ...",
        )
    )


def status_text(status: JsonObject) -> str:
    """Return what `status` says; to a command of a confined session, less."""
    if "children" not in status:  # to a command of a confined session
        return "\n\n".join(filter(None, (_head(status), _sessions_text(status["sessions"]))))
    return "\n\n".join(
        part
        for part in (
            _head(status),
            _index_line(status["index"], status["builder"]),
            _freshness_line(status["freshness"]),
            _children_table(status["children"]),
            roles_text(status["roles"], status["unserved"]),
            _sessions_text(status["sessions"]),
            _ignored_text(status.get("ignored", [])),
        )
        if part
    )


def _children_table(children: Sequence[JsonObject]) -> str:
    rows = [
        (c["name"], c["state"], c["pid"] or "-", c["restarts"], c["last_exit"] or "-")
        for c in children
    ]
    return table(("process", "state", "pid", "restarts", "last exit"), rows)


def _head(status: JsonObject) -> str:
    colour = {"ready": "green", "degraded": "red"}.get(status["state"], "yellow")
    return "\n".join(
        (
            f"khive-supervisor {status['version']}: {style(status['state'], colour)}",
            f"pid     {status['pid']}, up {duration(status['uptime_seconds'])}",
            f"store   {status['store']}",
            *(f"        {text}" for text in _about_store(status)),
            *_team_lines(status.get("team", {})),
            f"config  {status['config_file'] or 'defaults (no file)'}",
            *([f"log     {status['log']}"] if "log" in status else []),
            *_upgrade_lines(status.get("upgrade", {})),
            *_http_lines(status.get("http", {}), "http    "),
        )
    )


def _team_lines(team: Shown) -> list[str]:
    """Return how this node stands with a team's server; nothing where there is none."""
    if team.get("state", "off") == "off":
        return []
    where = f" to {team['server']}" if team.get("server") else ""
    line = f"team    {team['state']}{where}"
    if "number" in team:
        line += f", as {team['node']}, at change {team['number']}"
        line += f", {team['behind']} behind" if team["behind"] else ""
        nodes = team["peers"]
        if team["state"] == "connected" and isinstance(nodes, list):
            line += f"; nodes: {', '.join(nodes)}"
    lines = [line, *([f"        {team['problem']}"] if team.get("problem") else [])]
    lines += [f"        {text}" for text in _waiting_words(team)]
    kept = team.get("kept")
    if isinstance(kept, list) and kept:
        lines.append(f"        what did not fit was replaced, and is kept: {', '.join(kept)}")
    return lines


def _waiting_words(team: Shown) -> list[str]:
    """Return what waits on this machine for the server, and what was put aside."""
    found = []
    waiting, aside = team.get("waiting"), team.get("put_aside")
    if isinstance(waiting, int) and waiting:
        ago = duration(float(str(team.get("waiting_seconds", 0))))
        what = "waits" if waiting == 1 else "wait"
        found.append(
            f"{counted(waiting, 'write')} {what} here for the server, for up to {ago}: "
            "`khive-supervisor team waiting` lists them"
        )
        found += [str(team["waiting_problem"])] if team.get("waiting_problem") else []
    if isinstance(aside, int) and aside:
        found.append(
            f"{counted(aside, 'write')} could not be stored: "
            "`khive-supervisor team waiting` says why"
        )
    return found


def _upgrade_lines(upgrade: Shown) -> list[str]:
    """Another release that is installed, and why it does not run; nothing while there is none."""
    if upgrade.get("state", "current") == "current":
        return []
    problem = f": {upgrade['problem']}" if upgrade["problem"] else ""
    return [f"upgrade {upgrade['release']} is {upgrade['state']}{problem}"]


def _about_store(status: JsonObject) -> list[str]:
    """What has become of the database's file, if anything."""
    return list(filter(None, (status.get("store_problem"), status.get("store_note"))))


def _http_lines(http: Shown, head: str) -> list[str]:
    """Where HTTP is served, or why it is not; nothing while it is off."""
    if http.get("state", "off") == "off":
        return []
    problem = f" ({http['state']}: {http['problem']})" if http["problem"] else ""
    return [f"{head}{http['url'] or 'not served'}{problem}"]


def _index_line(index: JsonObject, builder: JsonObject) -> str:
    if index["state"] in ("off", "unknown"):
        return f"index   {index['state']}"
    line = f"index   {index['state']}: {counted(index['vectors'], 'vector')} of {index['model']}"
    if index["generation"]:
        line += f", generation {index['generation']} holds {index['items']}"
    if index["waiting_to_be_embedded"]:
        line += f", {index['waiting_to_be_embedded']} entries wait to be embedded"
    if index["problem"]:
        line += f"\n        {index['problem']}"
    if builder["running"]:
        line += f"\n        being built{_progress_words(builder['progress'])}"
    elif builder["failures"]:
        times = counted(builder["failures"], "time")
        line += f"\n        the builder failed {times} ({builder['last_exit']})"
    return line


def _progress_words(progress: Shown | None) -> str:
    """How far the index builder is, in words; it tells them as events with numbers."""
    told = dict(progress or {})
    event = str(told.pop("event", "")).replace("_", " ")
    if "total" in told:
        told = {"of": f"{told.get('done', 0)} of {told['total']}"}
    numbers = [f"{value} {name}" if name == "items" else str(value) for name, value in told.items()]
    return ": " + ", ".join([event, *numbers]) if event else ""


def _freshness_line(freshness: JsonObject) -> str:
    told = counted(freshness["pushes"], "time")
    if freshness["path"] == "inotify":
        line = f"changes of the store are noticed at once (inotify); sessions were told {told}"
    else:
        line = f"changes of the store are looked for (no inotify); sessions were told {told}"
    if freshness["reason"]:
        line += f"\n        {freshness['reason']}"
    if freshness["rebuilds"]:
        line += f"\n        watched anew {counted(freshness['rebuilds'], 'time')}"
        line += f", last because {freshness['last_rebuild_reason']}"
    return line


def _sessions_text(sessions: Sequence[JsonObject]) -> str:
    if not sessions:
        return "No sessions are open."
    return table(
        ("session", "pid", "kind", "client", "namespace", "age", "directory"),
        [
            (
                s["id"],
                s["pid"],
                s["kind"],
                s.get("client", "-"),
                s.get("namespace", "-"),
                duration(s["seconds"]),
                s.get("cwd") or "-",
            )
            for s in sessions
        ],
    )


def _ignored_text(ignored: Sequence[Shown]) -> str:
    """What sessions' projects and environments said and was not taken."""
    if not ignored:
        return ""
    lines = [f"  {one['place']}: {one['key']}: {one['why']}" for one in ignored]
    return "\n".join(["Not taken, as it is not your word:", *lines])


def duration(seconds: float) -> str:
    """Seconds, for people."""
    whole = int(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"
