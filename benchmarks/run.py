"""The command line: what is measured, with what, and where the results go."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.attach import attach, eager, idle, memory, one_supervisor, rest, start
from benchmarks.audit import audit, audit_cost, verify_speed
from benchmarks.capture import decided, followed, git_history, ruled
from benchmarks.channels import delivery
from benchmarks.cli import commands
from benchmarks.core import check
from benchmarks.core.context import Context, Filled
from benchmarks.core.material import gather
from benchmarks.core.peers import peers
from benchmarks.core.prepare import prepare
from benchmarks.core.report import Row, machine, print_machine, print_table, save, say
from benchmarks.curation import export
from benchmarks.desk import beside_dashboard, hour, page
from benchmarks.faults import arguments, hostile, hostile_git, hostile_jj, hung, kill_matrix
from benchmarks.graph import links
from benchmarks.hooks import hooks, silent
from benchmarks.http import http_abuse, http_search
from benchmarks.profiles import ack, feedback, learning, profile_recall, stale
from benchmarks.projects import projects
from benchmarks.reload import reload, reload_kill, reload_peers, reload_time, upgrade
from benchmarks.roles import (
    assign,
    budget,
    queue,
    role_memory,
    router,
    selection,
    selection_alike,
    similar,
    workflows,
)
from benchmarks.scale import before, sizes
from benchmarks.search import (
    answer_size,
    coding,
    exact_names,
    learn,
    learn_again,
    quality,
    recall,
    said_when,
    search,
    silence,
)
from benchmarks.secrets import secrets
from benchmarks.team import (
    away,
    draining,
    hundred,
    local,
    members,
    moved,
    newest,
    once,
    shared,
    tasks,
    waiting,
)
from benchmarks.truth import amended_chats, contradictions, noted, staleness

ROOT = Path(__file__).parents[1]
#: Entries of the whole run, and of a quick one.
ENTRIES, QUICK_ENTRIES = 100_000, 5_000

MEASUREMENTS: dict[str, Callable[[Context], list[Row]]] = {
    "attach": attach.measure,
    "memory": memory.measure,
    "search": search.measure,
    "recall": recall.measure,
    "learn": learn.measure,
    "fresh": learn.measure_freshness,
    "rest": rest.measure,
    "start": start.measure,
    "stale": stale.measure,
    "feedback": feedback.measure,
    "eager": eager.measure,
    "check": check.measure,
    "idle100": idle.measure,
    "ack": ack.measure,
    "profile-recall": profile_recall.measure,
    "learning": learning.measure,
}
#: Those that need no corpus: roles and their tasks, HTTP, files.
ROLES: dict[str, Callable[[Context], list[Row]]] = {
    "learn-again": learn_again.measure,
    "reload": reload.measure,
    "reload-kill": reload_kill.measure,
    "reload-time": reload_time.measure,
    "reload-peers": reload_peers.measure,
    "budget": budget.measure,
    "queue": queue.measure,
    "assign": assign.measure,
    "selection": selection.measure,
    "selection-alike": selection_alike.measure,
    "similar": similar.measure,
    "router": router.measure,
    "role-memory": role_memory.measure,
    "arguments": arguments.measure,
    "workflows": workflows.measure,
    "audit": audit.measure,
    "audit-cost": audit_cost.measure,
    "audit-verify": verify_speed.measure,
    "links": links.measure,
    "channels": delivery.measure,
    "http": http_search.measure,
    "http-abuse": http_abuse.measure,
    "page": page.measure,
    "page-hour": hour.measure,
    "page-beside": beside_dashboard.measure,
    "one-supervisor": one_supervisor.measure,
    "kills": kill_matrix.measure_kills,
    "kill-matrix": kill_matrix.measure,
    "hung": hung.measure,
    "upgrade": upgrade.measure,
    "hostile": hostile.measure,
    "hostile-git": hostile_git.measure,
    "hostile-jj": hostile_jj.measure,
    "names": exact_names.measure,
    "quality": quality.measure,
    "silence": silence.measure,
    "answer-size": answer_size.measure,
    "coding": coding.measure,
    "coding-history": git_history.measure,
    "dates": said_when.measure,
    "capture": followed.measure,
    "captured": decided.measure,
    "capture-rules": ruled.measure,
    "commands": commands.measure,
    "secrets": secrets.measure,
    "export": export.measure,
    "projects": projects.measure,
    "truth": contradictions.measure,
    "noted": noted.measure,
    "amended-chats": amended_chats.measure,
    "staleness": staleness.measure,
    "hooks": hooks.measure,
    "sizes": sizes.measure,
    "before": before.measure,
    "hooks-silent": silent.measure,
    "team": shared.measure,
    "team-away": away.measure,
    "team-drain": draining.measure,
    "team-hundred": hundred.measure,
    "team-local": local.measure,
    "team-members": members.measure,
    "team-moves": moved.measure,
    "team-newest": newest.measure,
    "team-once": once.measure,
    "team-tasks": tasks.measure,
    "team-waiting": waiting.measure,
}
ALL = {**MEASUREMENTS, **ROLES}


def main(argv: list[str]) -> int:
    """Measure and print; 0 when every target that was measured was met, 1 otherwise."""
    options = parse(argv)
    about = machine()
    context = _context(options)
    rows: list[Row] = []
    for name in options.only or ALL:
        say(f"measuring: {name}")
        rows += ALL[name](context)
    shutil.rmtree(context.work / "peers", ignore_errors=True)
    print_machine(about)
    print_table(rows)
    if options.json:
        save(options.json, about, rows)
    return 1 if any(row.met is False for row in rows) else 0


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure the project beside its peers."
    )
    add = parser.add_argument
    add(
        "--corpus",
        type=Path,
        metavar="DIR",
        help="real texts: texts.jsonl of {title, content}, and vectors.npy if there is one; "
        f"only {', '.join(ROLES)} do without",
    )
    add(
        "--retrieval",
        type=Path,
        metavar="FILE",
        help="retrieval sets as JSON: short queries, and documents that are not in the corpus",
    )
    add(
        "--sessions",
        type=Path,
        metavar="DIR",
        help="agents' sessions: tasks.jsonl and sessions.jsonl.gz, for pasted texts",
    )
    add(
        "--chats",
        type=Path,
        metavar="DIR",
        help="chats in which decisions are made: chats.jsonl.gz and tasks.jsonl, for truth",
    )
    add(
        "--releases",
        type=Path,
        metavar="DIR",
        help="releases of packages, for staleness: a folder each package, in it one each release",
    )
    add(
        "--texts",
        type=Path,
        metavar="PATH",
        action="append",
        help="real code, prose and logs, for secrets; repeatable (what is installed here)",
    )
    add(
        "--coding",
        type=Path,
        metavar="DIR",
        help="decisions of coding agents: tasks.jsonl and chats.jsonl.gz",
    )
    add(
        "--before",
        type=Path,
        metavar="DIR",
        help="a checkout of another release with its environment (scripts/venv), for before",
    )
    add(
        "--turns",
        type=Path,
        metavar="FILE",
        help="conversations and questions about their turns, as JSON (its form: shared_store)",
    )
    add(
        "--work",
        type=Path,
        metavar="DIR",
        default=ROOT / ".bench",
        help="scratch, kept so that the next run is quick (.bench)",
    )
    add(
        "--only",
        action="append",
        choices=list(ALL),
        metavar="NAME",
        help=f"measure only this; repeatable: {', '.join(ALL)}",
    )
    add("--quick", action="store_true", help="a small corpus, and each thing less often")
    add("--json", type=Path, metavar="FILE", help="also write every measured value there")
    options = parser.parse_args(argv)
    if options.corpus is None and _fills(options):
        parser.error("--corpus is needed for all but the measurements of roles and HTTP")
    return options


def _fills(options: argparse.Namespace) -> bool:
    """Whether something is measured that needs the corpus."""
    return any(name not in ROLES for name in options.only or ALL)


def _context(options: argparse.Namespace) -> Context:
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    return Context(
        work=work,
        quick=options.quick,
        retrieval=options.retrieval,
        sessions=options.sessions,
        chats=options.chats,
        releases=options.releases,
        texts=options.texts,
        coding=options.coding,
        turns=options.turns,
        corpus=options.corpus,
        before=options.before,
        filled=_fill(options, work) if _fills(options) else None,
    )


def _fill(options: argparse.Namespace, work: Path) -> Filled:
    limit = QUICK_ENTRIES if options.quick else ENTRIES
    material = gather(options.corpus, options.retrieval, options.sessions, work, limit)
    prepared = prepare(material.texts, material.vectors, work)
    return Filled(material, prepared, peers(work, prepared))
