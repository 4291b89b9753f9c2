"""Whether selection by record beats selection by load, on outcomes of real tasks."""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from khive_supervisor.tasks import selection
from khive_supervisor.tasks.model import QueueDepth, Record, RoleRow

#: Roles that all declare every type; workers of each.
ROLES, WORKERS = 4, 2
#: How far a role's success rate at a type is from the recorded one, at most.
SPREAD = 0.35
#: Tasks that arrive while one is being done, and in a day.
BUSY, DAY = 4, 25
#: Replays in other orders with other draws, and samples of the bootstrap.
REPLAYS, BOOTSTRAP = 200, 2_000

_DIGEST = "as it is"
_BARS = " .:-=+*#%@"


@dataclass(slots=True)
class Replay:
    """One way to select, through all tasks once: successes, and regret after each task."""

    successes: int = 0
    regret: list[float] = field(default_factory=list)


def measure(context: Context) -> list[Row]:
    """The row of learned selection."""
    if context.sessions is None:
        sys.exit("selection is measured with agents' sessions: name them with --sessions.")
    types = _types(context.sessions)
    kinds = len({name for name, _ in types})
    learned, by_load = [], []
    for seed in range(context.times(REPLAYS)):
        order = random.Random(seed).sample(types, len(types))
        rates = drawn_rates(types, seed)
        learned.append(_replay(order, rates, seed, learns=True))
        by_load.append(_replay(order, rates, seed, learns=False))
    gains = [
        (a.successes - b.successes) / len(types) for a, b in zip(learned, by_load, strict=True)
    ]
    low, high = interval(gains)
    ours, theirs = _mean_regret(learned), _mean_regret(by_load)
    quarters = [round(len(types) * quarter / 4) - 1 for quarter in range(1, 5)]
    _draw(context.work / "selection-regret.txt", {"learned": ours, "load alone": theirs})
    return [
        Row(
            what=f"selection by record, {len(types)} tasks of {kinds} types, {ROLES} roles",
            target="more successes than by load alone, 95 % interval above 0",
            khive=f"{_share(learned, types):.1%} succeed; {_points(sum(gains) / len(gains))} "
            f"points [{_points(low)}, {_points(high)}]; regret at the quarters "
            f"{_at(ours, quarters)}",
            peers=(f"load alone: {_share(by_load, types):.1%}; regret {_at(theirs, quarters)}",),
            met=low > 0,
            notes=(
                (
                    "Constructed: a task's type is its repository, and at each type the roles' "
                    "true success rates lie evenly around the recorded share of resolved tasks "
                    f"(at most {SPREAD:g} away; which role is good at what is drawn for each "
                    "replay), so that their average is what is recorded. Both selections "
                    "see the same tasks, the same luck and their own "
                    f"loads; {len(gains)} replays in other orders, bootstrap "
                    "over the replays. Regret: expected successes less than by the best role of "
                    "each type, whatever its load. With "
                    f"{len(types)} tasks there are {len(types) / kinds / ROLES:.0f} for each "
                    "role and type on average: most of them are spent on finding out. Plotted in "
                    "selection-regret.txt below --work."
                ),
            ),
            data={
                "gain": Sample(tuple(gains)).as_dict(),
                "interval": [low, high],
                "regret": ours,
                "regret_by_load": theirs,
            },
        )
    ]


def _types(sessions: Path) -> list[tuple[str, bool]]:
    """The type of each task and whether it was resolved, in the order of the file."""
    lines = (sessions / "tasks.jsonl").read_text(encoding="utf-8").splitlines()
    tasks = [json.loads(line) for line in lines]
    return [(task["repo"], task["resolved"]) for task in tasks]


def drawn_rates(types: Iterable[tuple[str, bool]], seed: int) -> dict[str, list[float]]:
    """The true success rate of each role at each type; their average is the recorded one."""
    draw = random.Random(f"skills {seed}")
    found: dict[str, list[bool]] = defaultdict(list)
    for name, resolved in types:
        found[name].append(resolved)
    rates = {}
    for name, outcomes in sorted(found.items()):
        mean = sum(outcomes) / len(outcomes)
        spread = min(SPREAD, mean, 1.0 - mean)
        skills = [mean + spread * (2 * at / (ROLES - 1) - 1) for at in range(ROLES)]
        draw.shuffle(skills)
        rates[name] = skills
    return rates


def _replay(
    order: Sequence[tuple[str, bool]], rates: dict[str, list[float]], seed: int, *, learns: bool
) -> Replay:
    names = [f"role-{at}" for at in range(ROLES)]
    roles = [RoleRow(name, tuple(rates), _DIGEST, workers=WORKERS) for name in names]
    luck, draw = random.Random(f"luck {seed}"), random.Random(f"draw {seed}")
    records: dict[tuple[str, str, int], Record] = {}
    at_work: list[tuple[int, str, str, bool]] = []
    replay, regret = Replay(), 0.0
    for number, (name, _) in enumerate(order):
        for ended in [one for one in at_work if one[0] <= number]:
            at_work.remove(ended)
            _count(records, ended, number // DAY)
        depths = {role: QueueDepth(leased=sum(w[1] == role for w in at_work)) for role in names}
        if learns:
            chosen = selection.select(
                roles, name, list(records.values()), depths, number // DAY, draw
            )
            assert chosen is not None
            role = chosen.role
        else:
            role = min(names, key=lambda one: (depths[one].leased, draw.random()))
        rate = rates[name][names.index(role)]
        success = luck.random() < rate
        at_work.append((number + BUSY, role, name, success))
        replay.successes += success
        regret += max(rates[name]) - rate
        replay.regret.append(regret)
    return replay


def _count(
    records: dict[tuple[str, str, int], Record], ended: tuple[int, str, str, bool], day: int
) -> None:
    """Count an outcome when it is known, as the store does."""
    _, role, name, success = ended
    old = records.get((role, name, day)) or Record(role, name, _DIGEST, day, 0, 0)
    records[role, name, day] = Record(
        role, name, _DIGEST, day, old.executions + 1, old.successes + success
    )


def interval(gains: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean, by bootstrap over the replays."""
    draw = random.Random(5)
    means = Sample(
        tuple(sum(draw.choices(gains, k=len(gains))) / len(gains) for _ in range(BOOTSTRAP))
    )
    return means.quantile(0.025), means.quantile(0.975)


def _mean_regret(replays: Sequence[Replay]) -> list[float]:
    return [sum(at) / len(replays) for at in zip(*(r.regret for r in replays), strict=True)]


def _share(replays: Sequence[Replay], types: Sequence[object]) -> float:
    return sum(replay.successes for replay in replays) / len(replays) / len(types)


def _points(gain: float) -> str:
    return f"{gain * 100:+.1f}"


def _at(regret: Sequence[float], quarters: Sequence[int]) -> str:
    return ", ".join(f"{regret[at]:.1f}" for at in quarters)


def _draw(file: Path, curves: dict[str, list[float]], columns: int = 72) -> None:
    """One line for each curve, all to one scale, and one for what the last tasks cost."""
    most = max(max(curve) for curve in curves.values()) or 1.0
    lines = [f"Cumulative regret, task 1 to {len(next(iter(curves.values())))}; @ is {most:.1f}."]
    for name, curve in curves.items():
        picked = [curve[at * (len(curve) - 1) // (columns - 1)] for at in range(columns)]
        bars = "".join(_BARS[round(value / most * (len(_BARS) - 1))] for value in picked)
        lines.append(f"{name:>10} |{bars}| {curve[-1]:.1f}")
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
