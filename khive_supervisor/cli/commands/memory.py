"""remember, recall, search, suggest, get, forget, supersede: the common verbs as short commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.options.filters import filter_options, filters, in_option, search_options
from khive_supervisor.cli.options.numbers import Number
from khive_supervisor.cli.render.answers import EntryShown, Shown
from khive_supervisor.cli.render.output import style, table
from khive_supervisor.cli.render.times import asked
from khive_supervisor.errors import InvalidInput


def _search(run: Invocation, verb: str, render: Callable[[Any], str], **args: Any) -> None:
    """Print what a search answers."""
    run.show(verb, render, **filters(args))


def text_of(content: str | None) -> str:
    """Return an argument, or standard input in the place of - and of none.

    Raises:
        InvalidInput: standard input is not UTF-8.
    """
    if content not in (None, "-"):
        return str(content)
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"Standard input is not UTF-8: {error.reason} at byte {error.start}.",
            hint="Convert it first, for example with iconv.",
        ) from None


@click.command()
@click.argument("content", required=False)
@click.option("--title", help="A short headline.")
@click.option("--tag", "tags", multiple=True, help="A label to filter by; repeatable.")
@click.option("--kind", help="semantic (default), episodic, or a word of your own.")
@click.option("--salience", type=Number(), help="How much it matters, 0 to 1.")
@click.option("--namespace", help="Where it belongs.")
@click.option("--everywhere", is_flag=True, help="For every project, and not only this one.")
@click.option("--supersedes", multiple=True, help="A memory that it replaces; repeatable.")
@click.option("--same-as", help="A memory that says the same: this one is merged into it.")
@click.option("--both-hold", multiple=True, help="A memory that holds beside it; repeatable.")
@click.option("--about", multiple=True, help="What it is about: path[::name[=value]]; repeatable.")
@click.option("--valid-from", help="It holds from then (a local time).")
@click.option("--valid-until", help="It holds until then, and is not found after.")
@common_options
def remember(run: Invocation, content: str | None, **args: Any) -> None:
    """Store one memory: CONTENT, or standard input."""
    args["everywhere"] = args["everywhere"] or None
    times = {name: asked(args[name]) for name in ("valid_from", "valid_until")}
    run.show("memory.remember", _stored_text, content=text_of(content), **{**args, **times})


def _stored_text(answer: Mapping[str, Any]) -> str:
    """What became of a memory, and of what was said of one that is known."""
    lines = [f"{answer['id']} {answer['status']} (namespace {answer['namespace']})"]
    for label, name in (("added", "added"), ("not taken", "not_taken")):
        parts = [f"{field} {_words(value)}" for field, value in answer.get(name, {}).items()]
        lines += [f"    {label}: {'; '.join(parts)}"] if parts else []
    lines += [f"    about {one}" for one in answer.get("about", ())]
    lines += [f"    replaces {one}" for one in answer.get("supersedes", ())]
    lines += [f"    {answer['merged']} was merged into it"] if "merged" in answer else []
    for one in answer.get("related", ()):
        lines += [f"    {style(one['id'], 'green')} {one['why']}", f"        {one['line']}"]
    if "related" in answer:
        lines.append("    settle it: --supersedes, --same-as or --both-hold with its id")
    return "\n".join([*lines, *_notes(answer)])


@click.command()
@click.argument("query", default="")
@search_options
@in_option("memory")
@click.option("--as-of", help="What was known and held then (same forms as --since).")
@click.option(
    "--follow",
    multiple=True,
    help="Links to follow by one step, such as superseded_by (what replaced it); repeatable.",
)
@click.option("--explain", is_flag=True, help="Say how each result was ranked.")
@common_options
def recall(run: Invocation, query: str, **args: Any) -> None:
    """Find memories by words and by meaning."""
    args["as_of"] = asked(args["as_of"])
    _search(run, "memory.recall", _found_text, query=query, **args)


@click.command()
@click.argument("query", default="")
@search_options
@in_option("knowledge")
@click.option("--explain", is_flag=True, help="Say how each result was ranked.")
@common_options
def search(run: Invocation, query: str, **args: Any) -> None:
    """Search learned documents by words and by meaning."""
    _search(run, "knowledge.search", _found_text, query=query, **args)


@click.command()
@click.argument("task")
@search_options
@common_options
def suggest(run: Invocation, task: str, **args: Any) -> None:
    """Name what is worth reading for a task."""
    _search(run, "knowledge.suggest", _suggested_text, task=task, **args)


def _suggested_text(answer: Mapping[str, Sequence[Shown]]) -> str:
    rows = [(s["id"], s["why"], s["line"]) for s in answer["suggestions"]]
    return table(("id", "why", "what"), rows) if rows else "Nothing."


def _found_text(answer: Mapping[str, Any]) -> str:
    blocks = [_result_text(result) for result in answer["results"]]
    notes = _notes(answer)
    if "search" in answer:
        notes.append("  ".join(f"{k}: {v}" for k, v in answer["search"].items()))
    return "\n\n".join((blocks or ["Nothing was found."]) + notes)


def _notes(answer: Mapping[str, Any]) -> list[str]:
    return [style("note: ", "yellow") + note for note in answer.get("notes", ())]


#: What is told of a result beside what it says; `older` stands before them, in another colour.
_MARKS = frozenset(("branch", "since", "valid_from", "valid_until", "code", "via"))


def _result_text(result: EntryShown) -> str:
    labels = [result["created_at"], *(result[n] for n in ("kind", "why") if n in result)]
    head = "  ".join([f"{result['score']:.2f}", *labels, *result.get("tags", ())])
    head += f"  of {result['project']}" if "project" in result else ""
    lines = [f"{style(result['id'], 'green')}  {head}"]
    if "older" in result:
        lines.append("    " + style(f"older: {result['older']}", "yellow"))
    lines += [f"    {name}: {said}" for name, said in result.items() if name in _MARKS]
    if "title" in result:
        lines.append("    " + result["title"])
    lines += ["    " + line for line in result["content"].splitlines()[:8]]
    if "source" in result:
        lines.append("    from " + result["source"])
    if "ranking" in result:
        known = {k: v for k, v in result["ranking"].items() if v is not None}
        lines.append("    " + "  ".join(f"{k}={v}" for k, v in known.items()))
    return "\n".join([*lines, *_beside(result)])


def _beside(result: EntryShown) -> list[str]:
    """What else of its document is shown with a result: around it, and further pieces."""
    lines = [f"    before: {result['before']}"] if "before" in result else []
    lines += [f"    after: {result['after']}"] if "after" in result else []
    pieces = ((one["id"], " ".join(one["content"].split())) for one in result.get("pieces", ()))
    lines += [f"    also: {number} {text}" for number, text in pieces]
    if "more_pieces" in result:
        lines.append(f"    and {result['more_pieces']} more of it")
    return lines


@click.command()
@click.argument("ids", nargs=-1, required=True)
@common_options
def get(run: Invocation, ids: tuple[str, ...]) -> None:
    """Show entries in full."""
    run.show("memory.get", _entries_text, ids=ids)


def _entries_text(answer: Mapping[str, Any]) -> str:
    shown = [*answer["entries"], *answer.get("waiting", ())]
    return "\n\n".join([*map(_entry_text, shown), *_notes(answer)])


def _entry_text(entry: Shown) -> str:
    head = "\n".join(f"{k}: {_words(v)}" for k, v in entry.items() if k != "content")
    return f"{head}\n\n{entry['content']}"


def _words(value: Any) -> str:
    """A field's value: a list as its words, with commas."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@click.command()
@click.argument("ids", nargs=-1)
@filter_options
@in_option("memory")
@click.option("--undo", is_flag=True, help="Bring forgotten entries back.")
@click.option("--yes", is_flag=True, help="Do it: without, a filter only tells what it would.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be forgotten.")
@common_options
def forget(
    run: Invocation, ids: tuple[str, ...], undo: bool, yes: bool, dry_run: bool, **given: Any
) -> None:
    """Take entries out of every search; --undo brings them back."""
    if ids and dry_run:
        raise InvalidInput("--dry-run is for a filter.", hint="`get` shows what ids are.")
    if ids:
        _forget_these(run, ids, undo, given)
        return
    if undo:
        raise InvalidInput("--undo needs ids.", hint="`khive-supervisor undo` undoes a change.")
    where = filters(given) | {"dry_run": dry_run or not yes}
    run.show("memory.forget_matching", _matching_text, **where)


def _forget_these(
    run: Invocation, ids: tuple[str, ...], undo: bool, where: Mapping[str, object]
) -> None:
    if any(where.values()):
        raise InvalidInput("Either ids or a filter say what is meant.", hint="Leave one out.")
    run.show("memory.restore" if undo else "memory.forget", _changed_text, ids=ids)


def _matching_text(answer: Mapping[str, Any]) -> str:
    """What a filter has forgotten, or would."""
    done = "forgotten" in answer
    count = answer["forgotten" if done else "would_forget"]
    head = f"Forgotten: {count}." if done else f"Would be forgotten: {count}. --yes does it."
    rows = [f"    {one['id']}  {one['line']}" for one in answer["entries"]]
    return "\n".join([head, *rows, *(["    ..."] if count > len(rows) else [])])


def _changed_text(answer: Mapping[str, Any]) -> str:
    """What was forgotten or brought back, and what was not."""
    if "restored" in answer:
        text = f"Restored: {', '.join(answer['restored']) or 'nothing'}."
    else:
        text = f"Forgotten: {', '.join(answer['forgotten']) or 'nothing'}."
    if not_done := answer.get("unchanged") or answer.get("not_live"):
        text += f" Unchanged: {', '.join(not_done)}."
    return "\n".join([text, *_notes(answer)])


@click.command()
@click.argument("entry")
@click.argument("content", required=False)
@click.option("--title", help="A short headline.")
@click.option("--tag", "tags", multiple=True, help="A label to filter by; repeatable.")
@click.option("--kind", help="semantic (default), episodic, or a word of your own.")
@click.option("--salience", type=Number(), help="How much it matters, 0 to 1.")
@click.option("--about", multiple=True, help="What it is about: path[::name[=value]]; repeatable.")
@click.option("--valid-from", help="It holds from then (a local time); empty: no beginning.")
@click.option("--valid-until", help="It holds until then, and is not found after; empty: no end.")
@common_options
def supersede(run: Invocation, entry: str, content: str | None, **args: Any) -> None:
    """Replace the memory ENTRY by CONTENT, or standard input."""
    times = {name: asked(args[name]) for name in ("valid_from", "valid_until")}
    given = {"id": entry, "content": text_of(content), **args, **times}
    run.show("memory.supersede", superseded_text, **given)


def superseded_text(answer: Mapping[str, Any]) -> str:
    """What took the place of what, in words."""
    return "\n".join([f"{answer['id']} supersedes {answer['supersedes']}", *_notes(answer)])


COMMANDS = (remember, recall, search, suggest, get, forget, supersede)
