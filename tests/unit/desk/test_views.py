"""What views make of answers: days, durations, filters that a search does not have."""

from __future__ import annotations

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from khive_workers.desk.drawing import graphs, plots
from khive_workers.desk.views import (
    agents,
    choices,
    health,
    memory,
    wording,
)
from khive_workers.desk.views.wishes import Failed

from khive_supervisor.control import measured

NOW = 1_800_000_000.0


def iso(at: float) -> str:
    """Unix seconds as a verb tells them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def estimate(mean: float) -> dict[str, object]:
    return {"mean": mean, "interval": [mean / 2, min(1.0, mean * 1.5)]}


def test_the_days_of_a_role_are_told_from_the_oldest_on() -> None:
    days = [
        {"day": day, "executions": 4, "success": estimate(mean), "cost": estimate(cost),
         "seconds": estimate(1.0)}
        for day, mean, cost in (("2026-11-30", 0.5, 0.25), ("2026-11-29", 1.0, 0.0))
    ]  # fmt: skip
    curve = {"days": days, "together": days[0]}
    page = agents.page([{}, {}, {}, {}, Failed(""), Failed(""), curve, {}], {}, NOW)
    first, second = page["course"].days
    assert first.words == "2026-11-29: 100%, 50% to 100%"
    assert (first.x, second.x) == (75.0, 225.0)
    assert first.y < second.y, "what succeeds more is higher"
    assert [bar.words for bar in page["costs"]] == ["2026-11-29: 0", "2026-11-30: 1"]


def test_nothing_tried_has_no_course() -> None:
    page = agents.page([Failed("away")] * 8, {}, NOW)
    assert (page["course"].days, page["costs"], page["days"]) == ([], [], [])


@given(st.lists(st.tuples(st.text(max_size=9), *[st.floats(-1, 2)] * 3), max_size=40))
def test_a_course_stays_in_its_drawing(days: list[tuple[str, float, float, float]]) -> None:
    course = plots.course(days)
    assert len(course.days) == len(days)
    for one in course.days:
        assert 0 <= one.x <= plots.WIDTH
        assert all(0 <= y <= plots.HEIGHT for y in (one.y, one.low, one.high))


def test_durations_are_told_by_what_half_and_nearly_all_are_below() -> None:
    counts = {"write||0": 98, "write||5": 1, "write||14": 1, "write||us": 1_000_000,
              "call|memory.recall,mcp|3": 2, "call|memory.recall,mcp|us": 10_000}  # fmt: skip
    write, call = health.latencies(counts)
    assert (write.what, write.times, write.mean) == ("Write", 100, 10.0)
    assert (write.half, write.most) == (1.0, measured.BOUNDS[5] * 1000)
    assert call.what == "Call memory.recall by mcp"
    assert measured.calls(counts) == 2
    (slow,) = health.latencies({"write||14": 1, "write||us": 90_000_000})
    assert (slow.half, slow.most) == (None, None), "longer than the last bound"


def test_a_search_is_narrowed_by_source_and_by_what_is_pinned() -> None:
    asked = {"q": "ledger", "source": "notes", "state": "pinned", "client": "codex"}
    (found, *_) = memory.wishes(asked)
    assert (found.verb, found.args["client"]) == ("memory.recall", "codex")
    assert (found.args["source"], found.args["pinned"]) == ("notes", True)
    assert memory.page([{"results": []}, {}, {}, {}, {}], asked, NOW)["notes"] == []


def test_words_among_what_is_not_live_are_looked_for_in_a_list() -> None:
    asked = {"q": "ledger", "state": "forgotten"}
    (found, *_) = memory.wishes(asked)
    assert (found.verb, found.args["contains"], found.args["state"]) == (
        "memory.list", "ledger", "forgotten",
    )  # fmt: skip
    page = memory.page([{"entries": [], "total": 0}, {}, {}, {}, {}], asked, NOW)
    assert page["searched"] is False
    assert "by their words alone" in page["notes"][0]


def steps(*given: tuple[str, str, tuple[str, ...]]) -> list[dict[str, Any]]:
    return [
        {"task": f"t{number}", "step": step, "state": state, "after": list(after)}
        for number, (step, state, after) in enumerate(given, 1)
    ]


def test_a_run_is_drawn_from_left_to_right() -> None:
    found = graphs.graph(graphs.named(steps(
        ("build", "done", ()), ("test", "done", ("t1",)), ("test", "leased", ("t1",)),
        ("docs", "queued", ("t1",)), ("publish", "waiting", ("t2", "t3", "t4")),
    )))  # fmt: skip
    assert found is not None
    by_name = {node.name: node for node in found.nodes}
    assert by_name["build"].x < by_name["test"].x == by_name["docs"].x < by_name["publish"].x
    assert by_name["test"].y < by_name["docs"].y
    assert (by_name["test"].state, by_name["test"].words) == ("leased", "1 of 2 leased")
    assert len(found.edges) == 4
    assert graphs.graph([]) is None


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["done", "odd"]),
                          st.lists(st.integers(0, 9)))))  # fmt: skip
def test_any_run_is_drawn_within_its_size(given: list[tuple[str, str, list[int]]]) -> None:
    tasks = steps(*((name, state, tuple(f"t{n}" for n in after)) for name, state, after in given))
    found = graphs.graph(graphs.named(tasks))
    if found is None:
        assert not given
        return
    places = {(node.x, node.y) for node in found.nodes}
    assert len(places) == len(found.nodes) == len({name for name, *_ in given})
    assert all(node.x + graphs.WIDTH <= found.width for node in found.nodes)
    assert all(node.y + graphs.HEIGHT <= found.height for node in found.nodes)


def test_a_choice_is_told_with_all_that_were_considered() -> None:
    why = {
        "selected": "a", "because": "the highest score",
        "candidates": [{"role": "a", "mean": 0.8, "interval": [0.6, 0.9], "n": 12.0, "load": 0.5,
                        "score": 0.71, "alike": {"attempts": 3}},
                       {"role": "b", "mean": 0.5, "n": 2.0, "load": 0.0, "score": 0.3}],
        "skipped": [{"role": "c", "because": "its budget is exceeded"}],
        "route": {"candidate": "small", "because": "the cheapest",
                  "considered": [{"candidate": "small", "price": "cheap", "mean": 0.9, "n": 5.0,
                                  "draw": 0.8, "cost": 0.02}],
                  "failed_over": [{"candidate": "big", "because": "overloaded"}]},
    }  # fmt: skip
    role, candidate = choices.choices(why)
    assert [(one.name, one.chosen) for one in role.compared] == [
        ("a", True), ("b", False), ("c", False),
    ]  # fmt: skip
    assert role.compared[0].known == "80% (60% to 90%), worth 12 attempts"
    assert role.compared[0].more == "load 0.5, 3 attempts at tasks like this one"
    assert candidate.compared[0].more == "cheap, $0.02 a task"
    assert candidate.compared[1].more == "could not do it: overloaded"
    assert choices.others(why) == {}
    assert choices.choices({"named": "by the caller"}) == []
    assert choices.others({"named": "by the caller"}) == {"named": "by the caller"}
    assert choices.choices(None) == []


def test_what_was_never_tried_is_no_even_chance() -> None:
    untried = {"task_type": "review", "executions": 0, "success": 0.5, "interval": [0.05, 0.95]}
    pool = {"role": "reviewer"}
    replies: list[Any] = [
        {"roles": [pool]},
        {"roles": [{"role": "reviewer", "records": [untried]}]},
    ]
    page = agents.page([*replies, {}, {}, {}, {}, {}, {}], {}, NOW)
    assert page["roles"][0]["records"][0]["plot"] is None


def test_draining_and_resuming_say_what_they_will_do() -> None:
    def told(leased: int, queued: int) -> tuple[str, str]:
        pool = {"role": "r", "leased": leased, "queued": queued}
        page = agents.page([{"roles": [pool]}, {}, {}, {}, {}, {}, {}, {}], {}, NOW)
        return page["roles"][0]["drained"], page["roles"][0]["resumed"]

    assert told(0, 0) == (
        "Drained, it takes no more.",
        "Resumed, it takes tasks again; none waits.",
    )
    assert told(1, 2) == (
        "Drained, it finishes 1 task at work and takes no more; 2 tasks wait until it is resumed.",
        "Resumed, it begins with 2 tasks that waited.",
    )


def test_each_day_has_its_place_also_one_without_anything() -> None:
    found = plots.by_day({iso(NOW)[:10]: 3.0}, NOW, 30)
    assert len(found) == 30
    assert list(found.values()) == [0.0] * 29 + [3.0]
    assert plots.bars({"one": 1.0})[0].width <= plots.BAR


def test_times_in_sentences_are_told_to_the_minute() -> None:
    assert wording.prose("until 2026-12-07T13:06:20Z.") == "until 2026-12-07 13:06 UTC."


def test_what_is_to_come_is_told_as_such() -> None:
    assert wording.ahead(iso(NOW + 200), NOW) == "in 3 min"
    assert wording.ahead(iso(NOW - 200), NOW) == "3 min ago"
    assert wording.ahead("paused", NOW) == "paused"


def test_ages_are_told_with_and_without_the_word_for_it() -> None:
    at = iso(NOW - 300)
    assert (wording.age(at, NOW), wording.since(at, NOW)) == ("5 min", "5 min ago")
    assert (wording.age("never", NOW), wording.since("never", NOW)) == ("never", "never")
