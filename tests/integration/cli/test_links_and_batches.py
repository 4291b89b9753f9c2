"""Links and batches as a user types them, against a running supervisor."""

from __future__ import annotations

import json

import pytest
from support import Installation


@pytest.fixture
def linked(shared: Installation) -> tuple[Installation, list[str]]:
    """Three memories, each of which depends on the one before."""
    texts = (
        "The billing service listens on port 9090.",
        "The proxy forwards /billing.",
        "A check.",
    )
    ids = [shared.json("remember", text)["id"] for text in texts]
    for newer, older in zip(ids[1:], ids, strict=False):
        shared.run("link", newer, "depends_on", older)
    return shared, ids


def test_neighbours_and_ways_are_shown(linked: tuple[Installation, list[str]]) -> None:
    khive, (first, second, third) = linked
    near = khive.run("neighbors", first, "--depth", "2").stdout
    assert f"needed_by {second}" in near
    assert f"needed_by {third}" in near
    way = khive.run("path", third, first).stdout
    assert way.startswith(third)
    assert way.index(f"depends_on {second}") < way.index(f"depends_on {first}")
    assert "Linked" not in khive.run("unlink", second, "depends_on", first).stdout
    assert second not in khive.run("neighbors", first).stdout


def test_a_wrong_kind_is_refused_with_those_that_there_are(
    linked: tuple[Installation, list[str]],
) -> None:
    khive, (first, second, _) = linked
    refused = khive.run("link", first, "produced", second, code=None)
    assert refused.returncode != 0
    assert "depends_on" in refused.stderr
    circle = khive.run("link", first, "depends_on", second, code=None)
    assert circle.returncode != 0


def test_a_batch_is_done_as_a_whole_and_once(shared: Installation) -> None:
    calls = [
        {"verb": "memory.remember", "args": {"content": "The cache holds a thousand entries."}},
        {"verb": "memory.remember", "args": {"content": "The limit was measured in May."}},
        {"verb": "graph.link", "args": {"from": "$2.id", "kind": "depends_on", "to": "$1.id"}},
    ]
    lines = "\n".join(map(json.dumps, calls))
    done = shared.run("batch", "-", "--key", "nightly", stdin=lines).stdout
    assert "graph.link" in done
    again = shared.run("batch", "-", "--key", "nightly", stdin=lines).stdout
    found = shared.json("recall", "how many entries does the cache hold")["results"]
    assert [one["content"] for one in found].count(calls[0]["args"]["content"]) == 1
    assert again
    calls[2]["args"]["kind"] = "produced"
    calls[0]["args"]["content"] = "This is never stored."
    broken = shared.run("batch", "-", stdin="\n".join(map(json.dumps, calls)), code=None)
    assert broken.returncode != 0
    kept = shared.json("recall", "what is never stored")["results"]
    assert all(one["content"] != "This is never stored." for one in kept)
