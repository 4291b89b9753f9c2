"""Whether sessions of other configurations attach as quickly as any, and start nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.report import Row, Sample
from benchmarks.core.session import Server, Session

#: Measured sessions of each kind, in turn; those before them that are not counted.
TIMES, WARM_UP = 20, 2
#: How much longer than a plain attach one of another configuration may take.
FACTOR = 1.5


def measure(context: Context) -> list[Row]:
    """The row of sessions of three configurations, from two projects and none, on one store."""
    with installed(context.work) as khive:
        khive.start()
        khive.settle()
        ways = _ways(khive)
        samples: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(WARM_UP + context.times(TIMES)):
            for name, server in ways.items():
                with Session(server) as session:
                    milliseconds = session.initialize()
                    session.call("memory_remember", content=f"From {name}, turn {turn}.")
                if turn >= WARM_UP:
                    samples[name].append(milliseconds)
        starts = _starts(khive)
    measured = {name: Sample(tuple(values)) for name, values in samples.items()}
    plain = measured.pop("plain attach")
    return [
        Row(
            what="attach with another configuration, socket or name of the store, side by side",
            target=f"p50 <= {FACTOR:g}x of a plain attach; 0 starts beside the first",
            khive="; ".join(f"{name}: {one.show('ms', 50, 90)}" for name, one in measured.items()),
            peers=(f"plain attach: {plain.show('ms', 50, 90)}",),
            met=starts == 1 and all(one.p50 <= FACTOR * plain.p50 for one in measured.values()),
            notes=(f"{starts - 1} starts beside the first, by the log.",),
            data={name: one.as_dict() for name, one in {**measured, "plain": plain}.items()},
        )
    ]


def _ways(khive: Installation) -> dict[str, Server]:
    plain = khive.attach()
    first, second = khive.home / "one.toml", khive.home / "two.toml"
    first.write_text('[session]\nnamespace = "one"\n', encoding="utf-8")
    second.write_text(f'[store]\npath = "{khive.store}"\n', encoding="utf-8")
    project = khive.home / "project"
    (project / ".git").mkdir(parents=True)
    (project / "khive.toml").write_text('[project]\nname = "shop"\n', encoding="utf-8")
    link = khive.home / "link.db"
    link.symlink_to(khive.store)
    return {
        "plain attach": plain,
        "a project's file": dataclasses.replace(plain, directory=project),
        "KHIVE_CONFIG": _with(plain, KHIVE_CONFIG=str(first)),
        "KHIVE_CONFIG that names the store": _with(plain, KHIVE_CONFIG=str(second)),
        "KHIVE_STORE by a link": _with(plain, KHIVE_STORE=str(link)),
        "KHIVE_SOCKET": _with(plain, KHIVE_SOCKET=str(khive.home / "o.sock")),
    }


def _with(server: Server, **environment: str) -> Server:
    return dataclasses.replace(server, environment={**server.environment, **environment})


def _starts(khive: Installation) -> int:
    log = Path(khive.home / ".local/state/khive/khive.log")
    lines = log.read_text(encoding="utf-8").splitlines()
    return sum(json.loads(line)["event"] == "supervisor.started" for line in lines)
