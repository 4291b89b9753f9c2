"""audit verify, head, show: what was done, and whether anybody has changed that since."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click

from khive_supervisor import exitcodes
from khive_supervisor.audit import actors
from khive_supervisor.audit.chain import Head, read_heads
from khive_supervisor.audit.several import PublishedHead, verify_chains
from khive_supervisor.cli.connection.permission import operators_only
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.options.numbers import WholeNumber
from khive_supervisor.cli.render.output import style, table
from khive_supervisor.cli.render.times import asked
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.packs.system.audit import LISTED, LISTED_MAX, AuditPage, ShownEvent, listed
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.supervision.team import errand

#: A task as it can be named here, and a hash of the length that the chain keeps.
_TASK, _HASH = re.compile(r"t?[1-9][0-9]*"), re.compile(r"[0-9a-f]{64}")


@click.group()
def audit() -> None:
    """What was done to tasks, profiles and the configuration, as a chain of hashes."""


@audit.command("verify")
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="TEXT|FILE",
    help="A head that was printed earlier, or a file of them: nothing was cut or rewritten since.",
)
@common_options
def verify(run: Invocation, heads: tuple[str, ...]) -> None:
    """Check every entry, from the first one, and name the first that is not as it was written.

    Exit code 0 if the chain is whole, 9 if it is not.
    """
    operators_only(run.config_file, "audit verify")
    wanted = [head for text in heads for head in _heads(text)]
    config = loaded(run.config_file).config
    # First what is here, then what the server holds: what comes between is newer than its heads.
    with open_store(config) as store:
        published, why = _published(config)
        row = store.replica()
        position = row.number if row is not None else 0
        report = verify_chains(store.audit, wanted, published, position)
    told = report.as_dict()
    run.emit({**told, "heads_unknown": why} if config.store.url else told, _report_text)
    if not report.intact:
        raise SystemExit(exitcodes.UNHEALTHY)


def _published(config: Config) -> tuple[list[PublishedHead], str]:
    """Return the heads that nodes have published at a team's server, or why they are not known."""
    if not config.store.url:
        return [], ""
    try:
        rows = errand.run(config, "heads").get("heads", [])
    except KhiveError as error:
        return [], error.message
    return [
        PublishedHead(head, one["number"]) for one in rows for head in read_heads(one["head"])
    ], ""


def _heads(text: str) -> Sequence[Head]:
    """The heads of an argument: a file's, or its own."""
    if not os.path.isfile(text):
        return read_heads(text)
    try:
        with open(text, encoding="utf-8") as file:
            return read_heads(file.read())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{text} cannot be read: {error}.", hint="Name a readable file."
        ) from error


def _report_text(report: Mapping[str, Any]) -> str:
    if "chains" not in report:
        return _chain_text(report, "")
    lines = [_chain_text(one, _whose(one["node"], report["node"])) for one in report["chains"]]
    lines += [
        f"{head['origin']} has published {head['seq']} entries, and none of them is here: "
        "its chain is seen by those who may see all namespaces."
        for head in report["elsewhere"]
    ]
    if unknown := report.get("heads_unknown"):
        lines.append(style(f"What nodes have published was not looked at: {unknown}", "yellow"))
    elif report["intact"] and report["published_heads"]:
        count = report["published_heads"]
        lines.append(f"What nodes have published at the server is in them: {count} heads.")
    return "\n".join(lines)


def _whose(node: str, own: str) -> str:
    """Say whose chain one of a team is."""
    if not node:
        return " of the store before each node had its own chain"
    return f" of {node}" + (" (this node)" if node == own else "")


def _chain_text(report: Mapping[str, Any], whose: str) -> str:
    head = f"{report['head']['seq']} {report['head']['hash']}"
    if not report["intact"]:
        problem = report["problem"]
        return "\n".join(
            (
                f"{style('broken', 'red')} at entry {problem['seq']}{whose}: {problem['fault']}.",
                problem["text"],
                f"The {report['entries']} entries before are as they were written, up to {head}.",
            )
        )
    lines = [f"{style('intact', 'green')}: {report['entries']} entries{whose}, up to {head}."]
    if report["heads_found"]:
        known = "head is" if report["heads_found"] == 1 else "heads are"
        lines.append(f"{report['heads_found']} earlier {known} in it: nothing was cut since.")
    return "\n".join(lines)


@audit.command("head")
@common_options
def head(run: Invocation) -> None:
    """Print the newest entry's number and hash, to be kept somewhere else."""
    operators_only(run.config_file, "audit head")
    with open_store(loaded(run.config_file).config) as store:
        found = store.audit.head()
    run.emit({**found.as_dict(), "head": str(found)}, lambda data: str(data["head"]))


@audit.command("show")
@click.option("--kind", help="Only this kind (task.done), or all of a group (task).")
@click.option("--task", help="Only what was done to this task (t12).")
@click.option("--role", help="Only what was done to this role.")
@click.option("--profile", help="Only what was done to this profile.")
@click.option("--actor", help="Only what was done by those whose name has this in it.")
@click.option("--since", help="Only what is not older (30m, 12h, 7d, a local time).")
@click.option("--node", help="In a team: only what this node has written.")
@click.option("--before", type=WholeNumber(1), help="Only those before this number.")
@click.option("--before-of", metavar="NODE", help="Whose entry that is, if not this node's.")
@click.option(
    "--limit",
    "-n",
    type=WholeNumber(1, LISTED_MAX),
    default=LISTED,
    show_default=True,
    help="How many at most.",
)
@common_options
def show(
    run: Invocation, task: str | None, role: str | None, profile: str | None, **args: Any
) -> None:
    """List what was done, newest first."""
    operators_only(run.config_file, "audit show")
    args["subject"] = _subject(task, role, profile)
    args["since"] = asked(args["since"])
    given = {name: value for name, value in args.items() if value is not None}
    with open_store(loaded(run.config_file).config) as store:
        answer = listed(store.audit, given, time.time())
    run.emit(answer, _entries_text)


def _subject(task: str | None, role: str | None, profile: str | None) -> str | None:
    if task and not _TASK.fullmatch(task):
        raise InvalidInput(
            f"{task[:80]!r} is not a task's id.",
            hint="They look like t12; `khive-supervisor tasks` lists them.",
        )
    named = [
        f"task/t{task.removeprefix('t')}" if task else "",
        actors.role(role) if role else "",
        actors.profile(profile) if profile else "",
    ]
    given = [one for one in named if one]
    if len(given) > 1:
        raise InvalidInput(
            "An entry is about one thing, and several are named.",
            hint="Give one of --task, --role and --profile.",
        )
    return given[0] if given else None


def _entries_text(answer: AuditPage) -> str:
    rows = [
        (_name(one), one["at"], one["kind"], one["subject"], one["actor"], _detail(one["detail"]))
        for one in answer["entries"]
    ]
    headers = ("entry", "at", "kind", "subject", "actor", "detail")
    return table(headers, rows) if rows else "There are no such entries."


def _name(entry: ShownEvent) -> str:
    return f"{entry['node']}:{entry['seq']}" if entry["node"] else str(entry["seq"])


def _detail(detail: Any) -> str:
    """What people read of a detail: `--json` has the rest of hashes, and what is empty."""
    if not isinstance(detail, dict):
        return str(detail)
    return "  ".join(
        f"{name} {_word(value)}" for name, value in detail.items() if value not in ("", [], {})
    )


def _word(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"{value[:12]}..." if _HASH.fullmatch(value) else value


COMMANDS = (audit,)
