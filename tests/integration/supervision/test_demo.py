"""What scripts/start shows, as often as somebody likes and from anywhere; nothing of it stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import DEADLINE, ROOT, Installation, wait_until


def shown(khive: Installation, scratch: Path, script: str, *words: str) -> str:
    """What one of the scripts prints, anywhere, with this directory for what it makes."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / script), *words],
        env={**khive.env, "TMPDIR": str(scratch)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.long)])
def test_the_demo_works_each_time_and_takes_its_example_with_it(
    khive: Installation, tmp_path: Path, times: int
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for _ in range(times):
        told = shown(khive, scratch, "demo.py", "--background")
        assert "session 2 is told:   Releases are cut on Thursdays" in told
        assert "generation 1 did:" in told
        assert "generation 2 did:" in told
        assert "Welcome, guest" in told
        assert "a candidate fails:   cloud to local" in told
        assert "a workflow asks:     a1 for publisher (w1, publish)" in told
        assert "a receiver is told:" in told
        assert "it is approved:      published: What is new in 1.4" in told
        assert list(scratch.iterdir()) == []
    assert khive.call("memory.recall", query="Thursdays")["results"] == []
    # Only the user's own supervisor goes on.
    assert khive.status()["state"] == "ready"
    assert khive.status()["roles"] == []
    khive.stop()
    wait_until(khive.gone, "all are gone")


def test_the_agents_demo_leaves_nothing_but_what_it_says(
    khive: Installation, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    told = shown(khive, scratch, "demo_agent.py")
    assert "1 commit(s) on khive/critic-t1" in told
    assert "The greeting is friendly." in told
    assert "never touched" in told
    assert "The memory says: The greeting in the file greeting.txt was written by Ada." in told
    assert "role critic: rolled" in told
    assert "I was told: You are a critic of greetings." in told
    assert 'khive_budget_spent{role="critic",unit="usd",window="week"} 0.0125' in told
    assert "task.done" in told
    assert "intact: " in told
    assert list(scratch.iterdir()) == []
    wait_until(khive.gone, "all are gone")
