"""import: an export, or what another program has kept, into the store."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import click

from khive_supervisor.cli.connection.session import Invocation, Verbs, common_options, verbs
from khive_supervisor.cli.render.output import counted, progress
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.exchange import reading
from khive_supervisor.exchange.model import FoundRecord, ReadFile
from khive_supervisor.sqlite.curation.foreign import rows
from khive_supervisor.text.plain_json import JsonObject

#: Records of a call, and about how many characters: what one transaction stores.
BATCH, BATCH_CHARACTERS = 1000, 2_000_000
#: Problems that are told one by one.
SHOWN = 10


@dataclass(slots=True)
class ImportTally:
    """What became of the records so far."""

    stored: int = 0
    known: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)


@click.command("import")
@click.argument("path", type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(reading.FORMATS),
    default=reading.AUTO,
    show_default=True,
    help="Whose file it is; auto looks at it.",
)
@click.option("--project", help="The project of all entries; without, this one's or their own.")
@click.option("--everywhere", is_flag=True, help="For every project.")
@click.option("--namespace", help="Where what has none belongs; the configured one by default.")
@click.option("--skip-broken", is_flag=True, help="Import the rest of a file that is damaged.")
@click.option("--dry-run", is_flag=True, help="Say what would be stored, and store nothing.")
@common_options
def import_file(
    run: Invocation,
    path: str,
    form: str,
    project: str | None,
    everywhere: bool,
    namespace: str | None,
    skip_broken: bool,
    dry_run: bool,
) -> None:
    """Import an export, or what another program has kept, from a file or folder.

    The whole file is looked at before anything is stored. What is here already stays as it is, so
    that an interrupted import is resumed by repeating it.
    """
    if project and everywhere:
        raise InvalidInput("--project and --everywhere exclude each other.")
    path = os.path.abspath(path)
    known, first = reading.read(path, form, rows)
    problems, total = _looked_through(first, path, skip_broken)
    asked = project or ("everywhere" if everywhere else None)
    if asked is None and known != "jsonl":
        asked = "here"
    shared: JsonObject = {"dry_run": dry_run, **({"project": asked} if asked else {})}
    found = reading.read_again(path, known, rows)
    with verbs(run.config_file) as (session, *_):
        tally = _send(session, found, shared, namespace, total)
    data = _told(tally, known, problems, first.lost, dry_run)
    run.emit(data, lambda _: _summary(tally, data))


def _looked_through(found: ReadFile, path: str, skip_broken: bool) -> tuple[list[str], int]:
    """Return the problems of a file, and how many records it has.

    Raises:
        InvalidInput: something is wrong with it, and the rest is not to be imported.
    """
    problems: list[str] = []
    total = 0
    for one in found.records:
        total += not one.problem
        if one.problem and len(problems) < 1000:
            problems.append(f"{one.where} {one.problem}")
    if problems and not skip_broken:
        more = f", and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise InvalidInput(
            f"{path} is damaged: {'; '.join(problems[:SHOWN])}{more}. Nothing was imported.",
            hint="--skip-broken imports the rest of it.",
        )
    return problems, total


def _send(
    session: Verbs, found: ReadFile, shared: JsonObject, namespace: str | None, total: int
) -> ImportTally:
    """Have all records stored, a transaction each batch.

    Raises:
        KhiveError: one could not be stored; the batches before it are.
    """
    tally = ImportTally()
    done = 0
    projects: list[FoundRecord] = []
    with progress("importing", total or None) as advance:
        for whole in _batches(found.records):
            batch = whole
            if shared["dry_run"]:  # nothing of the batches before it is there
                projects += [one for one in whole if one.record["type"] == "project"]
                batch = [*projects, *(one for one in whole if one.record["type"] == "entry")]
            records = [_placed(one.record, namespace) for one in batch]
            args = {**shared, "store": found.store, "records": records, "continues": done > 0}
            try:
                answer = session.request("memory.import_records", args)
            except KhiveError as error:
                error.message += f" {done} of {total} records were imported before that."
                error.hint = f"{error.hint or ''} Repeat the import to go on.".strip()
                raise
            _add(tally, answer, batch)
            done += len(whole)
            advance(len(whole))
    return tally


def _placed(record: JsonObject, namespace: str | None) -> JsonObject:
    if namespace and record["type"] == "entry" and "namespace" not in record:
        return {**record, "namespace": namespace}
    return record


def _batches(found: Iterator[FoundRecord]) -> Iterator[list[FoundRecord]]:
    batch: list[FoundRecord] = []
    size = 0
    for one in found:
        if one.problem:
            continue
        room = _characters(one.record)
        if batch and (len(batch) == BATCH or size + room > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += room
    if batch:
        yield batch


def _characters(record: JsonObject) -> int:
    """Return about how long a record is: what is long of one is its texts."""
    return 500 + sum(len(value) for value in record.values() if isinstance(value, str))


def _add(tally: ImportTally, answer: JsonObject, batch: Sequence[FoundRecord]) -> None:
    tally.stored += answer["stored"]
    tally.known += answer["known"]
    tally.left_out.update(answer["left_out"])
    tally.refused += [f"{batch[one['place']].where}: {one['why']}" for one in answer["refused"]]


def _told(
    tally: ImportTally, form: str, problems: list[str], lost: Counter[str], dry_run: bool
) -> JsonObject:
    return {
        "format": form, "stored": tally.stored, "known": tally.known, "dry_run": dry_run,
        "left_out": dict(tally.left_out), "refused": tally.refused, "broken": problems,
        "lost": {what: count for what, count in lost.items() if count},
    }  # fmt: skip


def _summary(tally: ImportTally, data: JsonObject) -> str:
    verb = "Would import" if data["dry_run"] else "Imported"
    what = f"{counted(tally.stored, 'record')} ({data['format']})"
    lines = [f"{verb} {what}; {tally.known} were here already."]
    lines += [f"{count} left out: {why}." for why, count in tally.left_out.items()]
    lines += [f"lost: {one_line(what)} ({count})." for what, count in data["lost"].items()]
    for label, found in (("refused", tally.refused), ("broken", data["broken"])):
        lines += [f"{label}: {one_line(one)}" for one in found[:SHOWN]]
        if len(found) > SHOWN:
            lines.append(f"... and {len(found) - SHOWN} more; --json lists all")
    return "\n".join(lines)


COMMANDS = (import_file,)
