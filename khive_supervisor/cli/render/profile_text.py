"""Profiles as people read them: tables, one profile whole, and one line for each change of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from khive_supervisor.cli.render.answers import PosteriorShown, ProfileShown, Shown
from khive_supervisor.cli.render.output import style, table
from khive_supervisor.cli.render.terminal import one_line

_COLOURS = {"active": "green", "inactive": "yellow"}


def share(posterior: PosteriorShown) -> str:
    """A posterior's mean with its 90 % interval, as `0.70 [0.45, 0.90]`."""
    low, high = posterior["interval_90"]
    return f"{posterior['mean']:.2f} [{low:.2f}, {high:.2f}]"


def profiles_text(answer: Mapping[str, Sequence[ProfileShown]]) -> str:
    """All profiles, one a line."""
    weights = ("relevance", "salience", "temporal")
    rows = [
        (
            one["name"],
            one["lifecycle"],
            one["consumer_kind"],
            *(share(one["weights"][name]) for name in weights),
            one["events"],
            one["bindings"],
        )
        for one in answer["profiles"]
    ]
    headers = ("profile", "lifecycle", "kind", *weights, "events", "bindings")
    return table(headers, rows) if rows else "No profile."


def profile_text(answer: ProfileShown) -> str:
    """One profile whole."""
    parts = [_head(answer), _weights(answer["weights"]), _targets(answer), _bindings(answer)]
    return "\n\n".join(parts)


def _head(answer: ProfileShown) -> str:
    lifecycle = answer["lifecycle"]
    lines = [f"{answer['name']}: {style(lifecycle, _COLOURS.get(lifecycle, 'red'))}"]
    for label, text in (
        ("for", answer.get("description")),
        ("ranks", answer["consumer_kind"]),
        ("events", f"{answer['events']}, resets {answer['resets']}"),
        ("made", answer["created_at"]),
        ("changed", answer["updated_at"]),
    ):
        if text:
            lines.append(f"{label:<8}{one_line(text)}")
    return "\n".join(lines)


def _weights(weights: Mapping[str, PosteriorShown]) -> str:
    rows = [(name, share(one), f"{one['ess']:g}") for name, one in weights.items()]
    return table(("weight", "mean, 90 % interval", "observations"), rows)


def _targets(answer: ProfileShown) -> str:
    if not answer["targets"]:
        return "Nothing is learned of any entry yet."
    rows = [(one["id"], share(one), one["events"], one["line"]) for one in answer["targets"]]
    return table(("entry", "mean, 90 % interval", "events", "what"), rows)


def _bindings(answer: ProfileShown) -> str:
    if answer["bindings"]:
        return bindings_text(answer["bindings"])
    if "builtin" in answer:
        return "Serves whatever no binding names."
    return "Serves nobody: `khive-supervisor bind` says whom."


def bindings_text(bindings: Sequence[Shown]) -> str:
    """Bindings, one a line."""
    rows = [
        (one["profile"], one["actor"], one["namespace"], one["consumer_kind"], one["priority"])
        for one in bindings
    ]
    headers = ("profile", "actor", "namespace", "kind", "priority")
    return table(headers, rows) if rows else "No bindings."


def binding_line(binding: Shown) -> str:
    """One binding in a line."""
    return (
        f"{binding['profile']}: actor {binding['actor']}, namespace {binding['namespace']}, "
        f"kind {binding['consumer_kind']}, priority {binding['priority']}"
    )


def change_line(answer: ProfileShown) -> str:
    """What a profile is now, in one line, for whoever follows it without a terminal."""
    weights = "  ".join(f"{name} {share(one)}" for name, one in answer["weights"].items())
    best = " ".join(f"{one['id']}={one['mean']:.2f}" for one in answer["targets"])
    return (
        f"{answer['updated_at']}  {answer['name']} {answer['lifecycle']}  {weights}  "
        f"events {answer['events']}  bindings {len(answer['bindings'])}  {best}"
    ).rstrip()


def resolution_text(answer: Mapping[str, Any]) -> str:
    """Which profile serves, and why."""
    weights = ", ".join(f"{name} {mean:g}" for name, mean in answer["weights"].items())
    lines = [f"{style(answer['profile'], 'green')} ({weights})", answer["why"]]
    if "binding" in answer:
        lines.append(binding_line(answer["binding"]))
    return "\n".join(lines)


def feedback_text(answer: Shown) -> str:
    """What became of feedback."""
    line = (
        f"{answer['target']} {answer['signal']}: {answer['status']} for {answer['profile']}, "
        f"counted {answer['counted']:g} of {answer['weight']:g}"
    )
    return f"{line}\n{style('note: ', 'yellow')}{answer['note']}" if "note" in answer else line


def replay_text(answer: Mapping[str, Any]) -> str:
    """What a replay found."""
    lines = []
    for one in answer["profiles"]:
        lines.append(f"{one['name']}: {'equal' if one['equal'] else style('differs', 'red')}")
        lines += [f"    {difference}" for difference in one.get("differences", ())]
    return "\n".join(lines)
