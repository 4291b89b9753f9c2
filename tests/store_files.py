"""The kept store files of releases: what is in one, as plain data that JSON can carry.

By the store's own interface, not by its tables: a later release may keep the same things in other
tables, and has to answer the same.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from khive_supervisor.store.interface import Store

#: Where they are kept: RELEASE.db.gz, and RELEASE.json, what `dump` says of it.
STORES = Path(__file__).parent / "data" / "stores"
#: Rows that are asked for at once.
_PAGE = 100


def releases() -> list[str]:
    """The releases of which a store file is kept."""
    return sorted(file.name.removesuffix(".db.gz") for file in STORES.glob("*.db.gz"))


def unpack(release: str, target: Path) -> Path:
    """The store file of a release, as a file of its own."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.decompress((STORES / f"{release}.db.gz").read_bytes()))
    return target


def dump(store: Store) -> dict[str, Any]:
    """Everything in a store that a user would miss."""
    profiles = store.profiles.all()
    models = sorted({generation.model_id for generation in store.generations.all()})
    return {
        "entries": _all(store.entries.page, lambda entry: entry.id),
        "vectors": [
            {"model": model, "entry": row.entry_id, "sha256": _digest(row.data)}
            for model in models
            for row in _pages(lambda after, limit, m=model: store.vectors.after(m, after, limit),
                              lambda row: row.seq)
        ],
        "generations": [plain(asdict(generation)) for generation in store.generations.all()],
        "profiles": [plain(asdict(profile)) for profile in profiles],
        "bindings": [plain(asdict(binding)) for binding in store.bindings.all()],
        "events": {
            profile.name: _all(
                lambda after, limit, name=profile.name: store.profiles.events(name, after, limit),
                lambda event: event.seq,
            )
            for profile in profiles
        },
        "learned": {
            profile.name: [[entry, plain(asdict(target))]
                           for entry, target in store.profiles.top_targets(profile.id, _PAGE)]
            for profile in profiles
        },
        **_tasks(store),
        **_flows(store),
        "audit": [plain(asdict(entry)) for entry in store.audit.entries()],
    }  # fmt: skip


def _tasks(store: Store) -> dict[str, Any]:
    tasks = store.tasks
    known = [task.id for task in tasks.page(limit=_PAGE)]
    return {
        "tasks": [plain(asdict(task)) for number in known if (task := tasks.find(number))],
        "task_events": [
            plain(asdict(event)) for number in known for event in tasks.events(task_id=number)
        ],
        "roles": [plain(asdict(role)) for role in store.roles.all()],
        "records": [plain(asdict(record)) for record in store.roles.records()],
        # What is spent depends on the week; every spending is below.
        "budgets": [
            {"role": account.role, "limits": account.limits and plain(asdict(account.limits))}
            for account in store.budgets.accounts()
        ],
        "spending": _all(store.budgets.spending, lambda spending: spending.seq),
    }


def _flows(store: Store) -> dict[str, Any]:
    """What came with 0.5.0: links with a time, executions, runs of workflows, schedules."""
    entries = [entry.id for entry in _pages(store.entries.page, lambda entry: entry.id)]
    known = [task.id for task in store.tasks.page(limit=_PAGE)]
    runs = store.workflows.page()
    return {
        "links": [plain(asdict(link)) for link in store.links.history(entries)],
        "executions": [plain(asdict(done)) for done in store.executions.of_tasks(known)],
        "runs": [plain(asdict(run)) for run in runs],
        "steps": [plain(asdict(step)) for run in runs for step in store.workflows.tasks(run.id)],
        "approvals": [
            plain(asdict(approval)) for approval in store.workflows.approvals(asked=False)
        ],
        "schedules": [plain(asdict(schedule)) for schedule in store.schedules.all()],
    }


def _all(page: Callable[..., Any], key: Callable[[Any], int]) -> list[Any]:
    return [plain(asdict(row)) for row in _pages(page, key)]


def _pages(page: Callable[..., Any], key: Callable[[Any], int]) -> Iterator[Any]:
    after = 0
    while rows := page(after, _PAGE):
        yield from rows
        after = key(rows[-1])


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def plain(value: Any) -> Any:
    """The same as what JSON gives back."""
    if isinstance(value, Mapping):
        return {str(key): plain(found) for key, found in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (str, int, float)) or value is None:
        return value
    if isinstance(value, Iterable):
        return [plain(found) for found in value]
    return str(value)


def missing(was: Any, now: Any, where: str = "") -> list[str]:
    """What `was` holds and `now` does not; fields that a later release adds do not count."""
    if isinstance(was, dict) and isinstance(now, dict):
        return [text for key, value in was.items()
                for text in missing(value, now.get(key), f"{where}.{key}")]  # fmt: skip
    if isinstance(was, list) and isinstance(now, list) and len(now) >= len(was):
        return [text for at, (old, new) in enumerate(zip(was, now, strict=False))
                for text in missing(old, new, f"{where}[{at}]")]  # fmt: skip
    return [] if was == now else [f"{where}: {was!r} became {now!r}"]
