"""How executions that a search has found are ordered by the files that they touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.history.ranking import MOVED_BACK, ordered

PATHS = st.frozensets(st.sampled_from(["src/retry.py", "src/cache.py", "tests/a.py", "b"]))


def test_what_touched_the_file_that_is_named_comes_first() -> None:
    files = [["src/cache.py"], ["docs/index.md"], ["src/retry_policy.py"], []]
    assert ordered("the retry policy waits too long", files)[0] == 2
    assert ordered("RetryPolicy waits too long", files)[0] == 2
    assert ordered("nothing of the kind", files) == [0, 1, 2, 3]


def test_what_touched_the_same_moves_back() -> None:
    same = [["src/a.py", "tests/test_a.py"]] * 3
    others = [[f"src/{name}.py"] for name in ("k", "l", "m", "n", "o", "p")]
    found = ordered("slow", [*same, *others])
    assert found[: MOVED_BACK - 1] == [0, 3, 4, 5]
    assert found.index(1) == MOVED_BACK - 1
    assert found[-1] == 2
    # A test is no place of its own, unless there is nothing else.
    assert ordered("slow", [["a.py"], ["b.py", "test_x.py"], ["c.py", "test_x.py"]]) == [0, 1, 2]


def test_what_a_word_says_that_all_have_counts_less() -> None:
    files = [["app/models/user.py"], ["app/models/group.py"], ["app/models/invoice.py"]]
    assert ordered("the invoice of the models is wrong", files)[0] == 2


@given(st.text(max_size=60), st.lists(PATHS, max_size=12))
def test_each_has_one_place(asked: str, files: list[frozenset[str]]) -> None:
    assert sorted(ordered(asked, files)) == list(range(len(files)))


@given(st.text(max_size=60), st.integers(0, 12))
def test_what_touched_nothing_keeps_its_order(asked: str, count: int) -> None:
    assert ordered(asked, [()] * count) == list(range(count))
