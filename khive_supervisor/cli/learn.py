"""learn: documents from files, folders or standard input, resumable, with a progress bar."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import click

from khive_supervisor import documents, exitcodes
from khive_supervisor.cli.output import as_json_option, emit, note, progress
from khive_supervisor.cli.session import Verbs, config_option, verbs
from khive_supervisor.documents import TITLE_LIMIT, Entry, Problem
from khive_supervisor.errors import InvalidInput

#: Entries in one call: what is lost at most when it is interrupted, and then learned again.
BATCH = 128
#: Bytes of one call's entries as they are sent, well below a frame; a larger entry is refused.
BATCH_BYTES = 2 * 1024 * 1024
#: Conversations at once: while one waits for the embedder, the other one writes.
PARALLEL = 2
#: Problems that are printed one by one; the rest is counted.
SHOWN_PROBLEMS = 20
#: Bytes that are looked at to tell a text from a binary file.
PROBE = 8192


@dataclass(slots=True)
class Tally:
    """What has been learned so far."""

    stored: int = 0
    restored: int = 0
    already_known: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, answer: dict[str, Any]) -> None:
        """Count one call's answer."""
        self.stored += answer["stored"]
        self.restored += answer["restored"]
        self.already_known += answer["already_known"]

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "stored": self.stored,
            "restored": self.restored,
            "already_known": self.already_known,
            "problems": [{"source": p.source, "why": p.why} for p in self.problems],
        }


@dataclass(frozen=True, slots=True)
class Source:
    """One file to learn (or standard input), its form and its size in bytes."""

    path: str
    form: str
    size: int


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(allow_dash=True))
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
@config_option
@as_json_option
def learn(
    paths: tuple[str, ...],
    namespace: str | None,
    tags: tuple[str, ...],
    kind: str | None,
    form: str,
    config_file: str | None,
    as_json: bool,
) -> None:
    """Learn documents: text, Markdown or JSON Lines from files, folders or standard input (-).

    What is known already is skipped, so that an interrupted run is resumed by repeating it.
    """
    tally = Tally()
    sources = list(find_sources(paths, form, tally.problems))
    extra: dict[str, Any] = {"tags": list(tags)} if tags else {}
    if kind:
        extra["kind"] = kind
    shared = {"namespace": namespace} if namespace else {}
    total = sum(source.size for source in sources)
    with ExitStack() as stack:
        sessions = stack.enter_context(verbs(config_file, PARALLEL))
        advance = stack.enter_context(progress("learning", total or None))
        pool = stack.enter_context(ThreadPoolExecutor(len(sessions)))
        try:
            _learn_all(sources, sessions, pool, extra, shared, tally, advance)
        except KeyboardInterrupt:
            pool.shutdown(wait=True, cancel_futures=True)
            note("Interrupted. Repeat the command to go on; what was learned is skipped.")
            raise
    emit(tally.as_dict(), as_json, lambda _: _summary(tally))
    if tally.problems:
        raise SystemExit(exitcodes.FAILURE)


def _learn_all(
    sources: list[Source],
    sessions: list[Verbs],
    pool: ThreadPoolExecutor,
    extra: dict[str, Any],
    shared: dict[str, Any],
    tally: Tally,
    advance: Any,
) -> None:
    """Keep each conversation busy with one batch, in turn."""
    running: list[Future[dict[str, Any]] | None] = [None] * len(sessions)
    for number, batch in enumerate(batches(_entries(sources, tally.problems))):
        slot = number % len(sessions)
        _collect(running[slot], tally)
        entries = [{**entry, **extra} for entry in batch]
        session = sessions[slot]
        running[slot] = pool.submit(_send, session, {"entries": entries, **shared}, tally)
        advance(sum(len(entry["content"].encode("utf-8", "replace")) for entry in batch))
    for future in running:
        _collect(future, tally)


def _send(session: Verbs, args: dict[str, Any], tally: Tally) -> dict[str, Any]:
    """Learn a batch; if something in it is refused, each entry by itself: the rest stays."""
    try:
        return session.request("knowledge.learn", args)
    except InvalidInput as error:
        if len(args["entries"]) == 1:
            source = str(args["entries"][0].get("source", "-"))
            tally.problems.append(Problem(source, str(error)))
            return {"stored": 0, "restored": 0, "already_known": 0}
    total = Tally()
    for entry in args["entries"]:
        total.add(_send(session, {**args, "entries": [entry]}, tally))
    return total.as_dict()


def _collect(future: Future[dict[str, Any]] | None, tally: Tally) -> None:
    if future is not None:
        tally.add(future.result())


def find_sources(paths: Iterable[str], form: str, problems: list[Problem]) -> Iterator[Source]:
    """The files of the given paths; folders are walked, their hidden and foreign files left out."""
    for path in paths:
        if path == "-":
            yield Source("-", "text" if form == "auto" else form, 0)
        elif os.path.isdir(path):
            yield from _walk(path, form)
        elif os.path.isfile(path):
            yield Source(path, _form_of(path, form), os.path.getsize(path))
        else:
            problems.append(Problem(path, "no such file or folder"))


def _walk(folder: str, form: str) -> Iterator[Source]:
    for directory, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            suffix = os.path.splitext(name)[1].lower()
            path = os.path.join(directory, name)
            known = suffix in documents.SUFFIXES and not name.startswith(".")
            if known and os.path.isfile(path):
                yield Source(path, _form_of(path, form), os.path.getsize(path))


def _form_of(path: str, form: str) -> str:
    if form != "auto":
        return form
    return documents.SUFFIXES.get(os.path.splitext(path)[1].lower(), "text")


def _entries(sources: Iterable[Source], problems: list[Problem]) -> Iterator[Entry]:
    for source in sources:
        for item in _read(source):
            if isinstance(item, Problem):
                problems.append(item)
            elif _bytes_sent(item) > BATCH_BYTES:
                problems.append(Problem(str(item.get("source"))[:TITLE_LIMIT], "too large"))
            else:
                yield item


def _bytes_sent(entry: Entry) -> int:
    return len(json.dumps(entry))


def _read(source: Source) -> Iterator[Entry | Problem]:
    """The entries of one file; a file that cannot be read is a problem."""
    name = "standard input" if source.path == "-" else os.path.abspath(source.path)
    try:
        with _open(source.path) as file:
            if b"\0" in file.peek(PROBE)[:PROBE]:
                yield Problem(name, "a binary file, not text")
                return
            text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="strict")
            title = os.path.basename(name)
            if source.form == "jsonl":
                yield from documents.split_jsonl(text, name)
            elif source.form == "markdown":
                yield from documents.split_markdown(text.read(), name, title)
            else:
                yield from documents.split_text(text.read(), name, title)
    except UnicodeDecodeError as error:
        yield Problem(name, f"not UTF-8: {error.reason} at byte {error.start}")
    except OSError as error:
        yield Problem(name, error.strerror or str(error))


def _open(path: str) -> io.BufferedReader:
    if path == "-":
        return open(0, "rb", closefd=False)
    return open(path, "rb")


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries in calls of at most BATCH entries and BATCH_BYTES."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        length = _bytes_sent(entry)
        if batch and (len(batch) >= BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += length
    if batch:
        yield batch


def _summary(tally: Tally) -> str:
    lines = [f"Learned {tally.stored + tally.restored} entries; {tally.already_known} were known."]
    shown = tally.problems[:SHOWN_PROBLEMS]
    lines += [f"not learned: {problem.source}: {problem.why}" for problem in shown]
    if len(tally.problems) > SHOWN_PROBLEMS:
        lines.append(f"... and {len(tally.problems) - SHOWN_PROBLEMS} more; --json lists all")
    return "\n".join(lines)


COMMANDS = (learn,)
