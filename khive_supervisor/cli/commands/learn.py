"""learn: documents from files, folders or standard input, resumable, with a progress bar."""

from __future__ import annotations

import os
from contextlib import ExitStack

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.commands.learning import LearnRun, Left, Options, Tally
from khive_supervisor.cli.connection.session import Invocation, common_options, verbs
from khive_supervisor.cli.memories.git_learning import learn_commits, summary
from khive_supervisor.cli.render.answers import ChangeOfSource
from khive_supervisor.cli.render.output import counted, note, progress
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.documents.model import DocumentProblem, LeftOut
from khive_supervisor.documents.walk import DocumentSource, find, folders
from khive_supervisor.host.paths import working_directory
from khive_supervisor.projects.history import LOOKED_AT

#: Conversations at once: while one waits for the embedder, the other one writes.
PARALLEL = 2
#: Problems that are printed one by one; the rest is counted.
SHOWN_PROBLEMS = 20
#: Suffixes that are named of what was left out for one reason.
SHOWN_SUFFIXES = 6


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(allow_dash=True))
@click.option("--namespace", help="Where it belongs; the configured one by default.")
@click.option("--tag", "tags", multiple=True, help="A label for every entry; repeatable.")
@click.option("--kind", help="The kind of every entry (document).")
@click.option(
    "--format",
    "form",
    type=click.Choice(("auto", "text", "markdown", "jsonl")),
    default="auto",
    show_default=True,
    help="What the files hold; auto goes by the suffix.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also what is hidden, ignored by .gitignore or filled by a tool (node_modules).",
)
@click.option("--everywhere", is_flag=True, help="For every project, and not only this one.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option(
    "--git", "of_git", is_flag=True, help="Learn the reasons in commits, of PATH or of this one."
)
@click.option(
    "--commits",
    type=click.IntRange(1, 1_000_000),
    default=LOOKED_AT,
    show_default=True,
    help="With --git: how many of the newest commits to look at.",
)
@common_options
def learn(
    run: Invocation,
    paths: tuple[str, ...],
    namespace: str | None,
    tags: tuple[str, ...],
    kind: str | None,
    form: str,
    everything: bool,
    everywhere: bool,
    dry_run: bool,
    of_git: bool,
    commits: int,
) -> None:
    """Learn documents: text, Markdown, JSON Lines or PDF from files, folders or a pipe (-).

    A source has one living text: learned again, what a file no longer says is retired, and so is
    what was in a folder and is deleted. What is known already is skipped, so that an interrupted
    run is resumed by repeating it.

    With --git, the commits of a repository that say why they were made become entries of its
    project: subject, reason, paths, author and date. Again, it learns those that are new.
    """
    if of_git:
        _learn_commits(run, paths, namespace, commits)
        return
    if not paths:
        raise click.UsageError("Missing argument 'PATHS...'.")
    tally = Tally()
    sources = _sources(paths, form, everything, tally)
    options = Options(tags, kind, namespace, dry_run, everywhere)
    total = sum(source.size for source in sources)
    with ExitStack() as stack:
        sessions = stack.enter_context(verbs(run.config_file, PARALLEL))
        advance = stack.enter_context(progress("learning", total or None))
        try:
            LearnRun(sessions, options, tally, note, advance).learn(sources, folders(paths))
        except KeyboardInterrupt:
            note("Interrupted. Repeat the command to go on; what was learned is skipped.")
            raise
    data = tally.as_dict() | ({"changes": tally.changes} if dry_run else {})
    run.emit(data, lambda _: _summary(tally, dry_run))
    if tally.problems:
        raise SystemExit(exitcodes.FAILURE)


def _learn_commits(
    run: Invocation, paths: tuple[str, ...], namespace: str | None, most: int
) -> None:
    """Learn the commits of each repository, in its own project."""
    tallies = []
    for path in paths or (working_directory(),):
        directory = os.path.abspath(path)
        with (
            verbs(run.config_file, cwd=directory) as (session, *_),
            progress("learning", None) as advance,
        ):
            tallies.append(learn_commits(session, directory, namespace, most, advance))
    run.emit([one.as_dict() for one in tallies], lambda _: "\n".join(map(summary, tallies)))


def _sources(
    paths: tuple[str, ...], form: str, everything: bool, tally: Tally
) -> list[DocumentSource]:
    sources = []
    for found in find(paths, form, everything):
        if isinstance(found, DocumentProblem):
            tally.problems.append(found)
        elif isinstance(found, LeftOut):
            tally.leave_out(found)
        else:
            sources.append(found)
    return sources


def _summary(tally: Tally, dry_run: bool) -> str:
    would = "Would learn" if dry_run else "Learned"
    lines = [f"{would} {tally.stored + tally.restored} entries; {tally.already_known} were known."]
    if tally.moved:
        lines.append(f"{counted(tally.moved, 'file')} had moved.")
    if tally.retired:
        verb = "Would retire" if dry_run else "Retired"
        lines.append(
            f"{verb} {tally.retired} that no source says any more (restore: by their ids)."
        )
    if dry_run:
        lines += [line for change in tally.changes for line in _change(change)]
    lines += [_left_out(why, left) for why, left in tally.left_out.items()]
    lines += _shown("kept", tally.kept)
    lines += _shown("not learned", tally.problems)
    return "\n".join(lines)


def _change(change: ChangeOfSource) -> list[str]:
    """What would become of one file."""
    added = change.get("stored", 0) + change.get("restored", 0)
    lines = [f"{one_line(change['source'])}: {added} to learn, {change['retired']} to retire"]
    lines += [f"  moved from {one_line(name)}" for name in change.get("instead_of", ())]
    return lines + [f"  no longer said: {one_line(line)}" for line in change["gone"]]


def _left_out(why: str, left: Left) -> str:
    """A line such as: 3 left out: 2 .py, 1 .ipynb (no text, Markdown, JSON Lines or PDF)."""
    named = [
        f"{count} {one_line(suffix) or 'without a suffix'}"
        for suffix, count in left.suffixes.most_common(SHOWN_SUFFIXES)
    ]
    others = left.count - sum(count for _, count in left.suffixes.most_common(SHOWN_SUFFIXES))
    named += [f"{others} others"] if others else []
    kinds = "" if set(left.suffixes) == {""} else f": {', '.join(named)}"
    return f"{left.count} left out{kinds} ({why})"


def _shown(label: str, problems: list[DocumentProblem]) -> list[str]:
    lines = [
        f"{label}: {one_line(one.source)}: {one_line(one.why)}" for one in problems[:SHOWN_PROBLEMS]
    ]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"... and {len(problems) - SHOWN_PROBLEMS} more; --json lists all")
    return lines


COMMANDS = (learn,)
