"""The index builder: gives every entry its vector, builds the next generation, and tidies up.

    python -P -m khive_workers.index_builder [--store PATH --model-id ID --dimensions N]
        [--embedder-socket PATH] [--trees N] [--parent-fd N] [--force]

Without --store it takes everything from the configuration that the supervisor gave it. One runs
at a time for a store. What it has done stays done: it may be killed at any instant, and the next
one goes on from there. It says how far it is on its standard output, one JSON object a line:
{"event": "embedding", "done": 64, "total": 900}, {"event": "building", "items": 900},
{"event": "published", "generation": 3, "items": 900, "seconds": 0.4}.

It ends with 0 when nothing is left to do, and with TEMPORARY when something was put off (another
builder is at work, the embedder is away, no room): later it can succeed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from khive_supervisor import exitcodes
from khive_supervisor.config import snapshot
from khive_supervisor.embed.base import Embedder
from khive_supervisor.embed.client import EmbedderClient
from khive_supervisor.embed.factory import for_worker
from khive_supervisor.errors import EmbedderUnavailable, IndexFileError, InvalidInput, KhiveError
from khive_supervisor.host import paths
from khive_supervisor.index.vectors.build import TREES, build, due_to_build
from khive_supervisor.index.vectors.delta import DELTA_LIMIT
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.sqlite.opening import open_store
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.interface import Store
from khive_supervisor.store.vectors import MissingVector
from khive_workers.common import runtime

#: Texts that are embedded and committed together: a second of the bundled model's work, which is
#: all that a kill can lose, and a transaction of a millisecond, which is all that others wait.
BATCH = 32

#: The lowest priority, of CPU and with it of I/O. Not the idle classes: this process takes the
#: store's write lock, and one that never ran on a busy machine would never release it.
NICE = 19
#: The same while searches have to read what no index holds: a machine that is always busy must not
#: keep it from being built.
OVERDUE_NICE = 5

#: When vectors of `newer` entries make a generation due, unless the configuration says otherwise.
REBUILD_SHARE, REBUILD_MINIMUM = 0.05, 1000

Report = Callable[[Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What to build, and when it is due; `force`: now, however little is new."""

    model_id: str
    dimensions: int
    trees: int = TREES
    share: float = REBUILD_SHARE
    minimum: int = REBUILD_MINIMUM
    force: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """One run over one store. `embedder` None: entries without a vector stay so."""

    store: Store
    plan: BuildPlan
    embedder: Embedder | None
    report: Report
    clock: Callable[[], float] = time.monotonic

    def run(self) -> bool:
        """Do all that there is to do, as the one builder; return True if nothing was put off."""
        generations = Generations(self.store.path)
        with generations.builder_lock() as mine:
            if not mine:
                self.report({"event": "busy"})
                return False
            self._clean(generations)
            complete = self._embed_missing()
            self._build_if_due(generations)
            if complete:
                self._leave_other_models()
            self._clean(generations)
        return complete

    def _clean(self, generations: Generations) -> None:
        if removed := generations.clean(self.store.generations):
            self.report({"event": "removed", "files": removed})

    # --- vectors --------------------------------------------------------------------------------

    def _embed_missing(self) -> bool:
        """Embed what has no vector, in small durable steps; return True if every entry has one."""
        total = self.store.vectors.stats(self.plan.model_id).missing
        done = left_out = after = 0
        while total and (batch := self.store.vectors.missing(self.plan.model_id, BATCH, after)):
            after = batch[-1].entry_id
            try:
                stored = self._embed(batch)
            except EmbedderUnavailable as error:
                self.report({"event": "waiting", "why": str(error)})
                return False
            done += stored
            left_out += len(batch) - stored
            self.report({"event": "embedding", "done": done, "total": max(total, done)})
        return left_out == 0

    def _embed(self, batch: Sequence[MissingVector]) -> int:
        """Embed and store one batch; how many of it have a vector now."""
        try:
            rows = self._vectors([one.text for one in batch])
        except InvalidInput as error:
            if len(batch) > 1:
                return sum(self._embed([one]) for one in batch)
            # One text that the model will not take must not keep all others from theirs.
            self.report({"event": "left_out", "entry": batch[0].entry_id, "why": str(error)})
            return 0
        ids = [one.entry_id for one in batch]
        self.store.vectors.put(self.plan.model_id, list(zip(ids, rows, strict=True)))
        return len(batch)

    def _vectors(self, texts: list[str]) -> list[bytes]:
        """Return the texts' vectors as the store keeps them."""
        if self.embedder is None:
            raise EmbedderUnavailable("There is no embedder.")
        found = self.embedder.embed(texts)
        if found.shape != (len(texts), self.plan.dimensions) or not np.isfinite(found).all():
            raise InvalidInput(
                f"The embedder answered with vectors of shape {found.shape}, or with numbers that "
                f"are none, instead of ({len(texts)}, {self.plan.dimensions})."
            )
        return [row.tobytes() for row in found.astype("<f2")]

    # --- the file -------------------------------------------------------------------------------

    def _build_if_due(self, generations: Generations) -> None:
        plan = self.plan
        stats = self.store.vectors.stats(plan.model_id)
        current = self.store.generations.current(plan.model_id)
        due = due_to_build(stats, current, share=plan.share, minimum=plan.minimum)
        if not stats.vectors or not (plan.force or due or self._damaged(generations)):
            return
        if self.store.vectors.recount():
            self.report({"event": "recounted"})
        self._tidy_words()
        began = self.clock()
        self.report({"event": "building", "items": stats.vectors})
        row = build(self.store, generations, plan.model_id, plan.dimensions, trees=plan.trees)
        if row is not None:
            self.report(
                {"event": "published", "generation": row.generation, "items": row.items,
                 "bytes": row.bytes, "seconds": round(self.clock() - began, 3)}
            )  # fmt: skip

    def _tidy_words(self) -> None:
        """What has outgrown its vectors' index has outgrown its full-text index, too."""
        more = self.store.full_text.tidy(begin=True)
        while more:
            more = self.store.full_text.tidy(begin=False)

    def _damaged(self, generations: Generations) -> bool:
        current = self.store.generations.current(self.plan.model_id)
        if current is None:
            return False
        try:
            generations.verify(current)
        except IndexFileError as error:
            self.report({"event": "damaged", "why": str(error)})
            return True
        return False

    def _leave_other_models(self) -> None:
        """Remove what other models left behind, in small steps: this one serves all entries now."""
        self.store.generations.retire_except(self.plan.model_id)
        gone = 0
        while count := self.store.vectors.drop_except(self.plan.model_id):
            gone += count
        if gone:
            self.report({"event": "dropped", "vectors": gone})


def report(event: Mapping[str, object]) -> None:
    """Say how far it is; a reader that has gone away is no reason to stop."""
    try:
        os.write(sys.stdout.fileno(), json.dumps(event).encode() + b"\n")
    except OSError:
        return


def yield_to_others(work: Work) -> None:
    """Take only what nobody else wants, unless a build is overdue."""
    overdue = work.store.vectors.stats(work.plan.model_id).newer > DELTA_LIMIT
    try:
        os.setpriority(os.PRIO_PROCESS, 0, OVERDUE_NICE if overdue else NICE)
    except OSError:
        return  # a sandbox may forbid it, and then the work is done all the same


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the command line; the module's docstring shows it."""
    parser = argparse.ArgumentParser(prog="index_builder")
    parser.add_argument("--store", help="with --model-id and --dimensions: no configuration")
    parser.add_argument("--model-id")
    parser.add_argument("--dimensions", type=int)
    parser.add_argument("--embedder-socket", default="", help="empty: embed nothing")
    parser.add_argument("--trees", type=int, default=TREES)
    parser.add_argument("--minimum", type=int, default=REBUILD_MINIMUM)
    parser.add_argument("--parent-fd", type=int, help="end when its other end is closed")
    parser.add_argument("--force", action="store_true", help="build however little is new")
    return parser.parse_args(argv)


def from_options(options: argparse.Namespace) -> Work:
    """Return the work that the command line names."""
    embedder: Embedder | None = None
    if options.embedder_socket:
        embedder = EmbedderClient(options.embedder_socket, options.model_id, options.dimensions)
    plan = BuildPlan(
        model_id=options.model_id,
        dimensions=options.dimensions,
        trees=options.trees,
        minimum=options.minimum,
        force=options.force,
    )
    return Work(SqliteStore(options.store), plan, embedder, report)


def from_configuration(*, force: bool) -> Work | None:
    """Return the work that the supervisor's configuration names; None when it has no embedder."""
    config = snapshot.from_environment()
    embedder = for_worker(config.embedder, paths.socket_path(None))
    if embedder is None:
        return None
    plan = BuildPlan(
        model_id=embedder.model_id,
        dimensions=embedder.dimensions,
        trees=config.index.trees,
        share=config.index.rebuild_share,
        minimum=config.index.rebuild_minimum,
        force=force,
    )
    return Work(open_store(config), plan, embedder, report)


def main(argv: Sequence[str]) -> int:
    """Return the process; returns its exit code."""
    options = parse(argv)
    runtime.reset_signals()
    runtime.name_process("khive-indexer")
    if options.parent_fd is not None:
        runtime.exit_with_parent(socket.socket(fileno=options.parent_fd))
    try:
        explicit = options.store is not None
        work = from_options(options) if explicit else from_configuration(force=options.force)
        if work is None:
            return exitcodes.OK
        with contextlib.closing(work.store):
            yield_to_others(work)
            return exitcodes.OK if work.run() else exitcodes.TEMPORARY
    except KhiveError as error:
        report({"event": "failed", **error.as_dict()})
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
