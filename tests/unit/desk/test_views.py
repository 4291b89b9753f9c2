"""What views make of answers: days, durations, filters that a search does not have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from khive_workers.desk.views import agents, health, memory, plots, wording
from khive_workers.desk.views.wishes import Failed

from khive_supervisor.control import measured

NOW = 1_800_000_000.0


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


def test_a_search_says_what_it_is_not_narrowed_by() -> None:
    asked = {"q": "ledger", "source": "notes", "state": "all", "client": "codex"}
    (found, *_) = memory.wishes(asked)
    assert (found.verb, found.args["client"]) == ("memory.recall", "codex")
    assert "source" not in found.args
    page = memory.page([{"results": []}, {}, {}, {}, {}], asked, NOW)
    assert page["notes"] == [
        "A search is not narrowed by source and state; a list without words is."
    ]
    del asked["q"]
    assert memory.wishes(asked)[0].args["source"] == "notes"
    assert memory.page([{"entries": []}, {}, {}, {}, {}], asked, NOW)["notes"] == []


def test_ages_are_told_with_and_without_the_word_for_it() -> None:
    at = wording.iso(NOW - 300)
    assert (wording.age(at, NOW), wording.since(at, NOW)) == ("5 min", "5 min ago")
    assert (wording.age("never", NOW), wording.since("never", NOW)) == ("never", "never")
