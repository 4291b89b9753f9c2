"""export: the store as a file that survives, and that another store or a person can read."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import click

from khive_supervisor import __version__
from khive_supervisor.cli.connection.session import Invocation, Verbs, common_options, verbs
from khive_supervisor.cli.options.filters import filter_options, filters, in_option
from khive_supervisor.cli.render.output import note
from khive_supervisor.errors import InvalidInput, StoreUnavailable
from khive_supervisor.exchange import own
from khive_supervisor.exchange.markdown import as_markdown
from khive_supervisor.host import durable
from khive_supervisor.store.curation import SECTIONS
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import forms

#: What an export by a filter has: what is learned and by whom is of the whole store.
_OF_A_PART = ("project", "entry", "supersession", "link", "reference", "execution")


@click.command()
@click.argument("file", required=False, type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(("jsonl", "markdown")),
    default="jsonl",
    show_default=True,
    help="jsonl is complete and can be imported; markdown is for people.",
)
@filter_options
@in_option("memory")
@click.option(
    "--state",
    type=click.Choice(("live", "forgotten", "superseded", "pinned", "all")),
    help="Of which state (all; live in Markdown).",
)
@click.option("--vectors", is_flag=True, help="With vectors, so that none has to be computed.")
@common_options
def export(run: Invocation, file: str | None, form: str, vectors: bool, **given: Any) -> None:
    """Write the store, or what a filter lets through, to a new FILE or to standard output."""
    where = {name: value for name, value in filters(given).items() if value not in (None, ())}
    with verbs(run.config_file) as (session, *_):
        source = _Source(session, where, vectors)
        with _target(file) as out:
            count = source.write_lines(out) if form == "jsonl" else source.write_markdown(out)
    if file not in (None, "-"):
        data = {"file": os.path.abspath(str(file)), "records": count}
        run.emit(data, lambda d: f"Exported {d['records']} records to {d['file']}.")


class _Source:
    """The store, as it is asked for."""

    def __init__(self, session: Verbs, where: Mapping[str, Any], vectors: bool) -> None:
        self._session = session
        self._where = {k: list(v) if isinstance(v, tuple) else v for k, v in where.items()}
        self._vectors = vectors
        self.store = ""

    def write_lines(self, out: IO[bytes]) -> int:
        """Write all sections, with a header above and a count at the end; how many records."""
        count = begun = 0
        for section in _OF_A_PART if self._where else SECTIONS:
            for records in self._pages(section):
                if section == SECTIONS[0] and not begun:
                    begun = out.write(own.line(self._header()))
                out.writelines(map(own.line, records))
                count += len(records)
        out.write(own.line(own.end(count)))
        return count

    def _header(self) -> JsonObject:
        return own.header(self.store, __version__, forms.timestamp(time.time()), not self._where)

    def write_markdown(self, out: IO[bytes]) -> int:
        """Write live entries as text for people; how many."""
        self._where = {"state": "live", **self._where}
        count = 0
        for records in self._pages("entry"):
            out.write(as_markdown(records).encode())
            count += len(records)
        return count

    def _pages(self, section: str) -> Iterator[list[JsonObject]]:
        """Return the records of a section, page by page; the first page even if it is empty."""
        args: JsonObject = {"section": section, "vectors": self._vectors, **self._where}
        while True:
            answer = self._session.request("memory.export_records", args)
            self.store = answer["store"]
            yield answer["records"]
            if "next" not in answer:
                return
            args["after"] = answer["next"]


@contextmanager
def _target(file: str | None) -> Iterator[IO[bytes]]:
    """Return what to write to; a file appears when all of it is on the disk, and is ours alone.

    Raises:
        InvalidInput: there is a file of that name already.
        StoreUnavailable: it could not be written; nothing is left of it.
    """
    if file in (None, "-"):
        yield sys.stdout.buffer
        return
    path = os.path.abspath(str(file))
    if os.path.lexists(path):
        raise InvalidInput(f"{path} exists.", hint="Name a file that does not exist, or remove it.")
    unfinished = f"{path}.{os.getpid()}.tmp"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(unfinished, flags, 0o600), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        os.rename(unfinished, path)
        durable.sync(os.path.dirname(path))
    except OSError as error:
        raise StoreUnavailable(
            f"{path} could not be written: {error.strerror}. Nothing is left of it.",
            hint="Make room or name another folder, and export again.",
        ) from None
    finally:
        _remove(unfinished)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        note(f"{path} could not be removed: {error.strerror}.")


COMMANDS = (export,)
