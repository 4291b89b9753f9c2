"""What scripts/start shows, as often as somebody likes and from anywhere; nothing of it stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import DEADLINE, ROOT, Installation, wait_until


def test_the_demo_works_twice_and_takes_its_example_with_it(
    khive: Installation, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts/demo.py"), "--background"],
            env={**khive.env, "TMPDIR": str(scratch)},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "session 2 is told:   Releases are cut on Thursdays" in done.stdout
        assert "generation 1 did:" in done.stdout
        assert "generation 2 did:" in done.stdout
        assert "Welcome, guest" in done.stdout
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
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/demo_agent.py")],
        env={**khive.env, "TMPDIR": str(scratch)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 commit(s) on khive/critic-t1" in done.stdout
    assert "The greeting is friendly." in done.stdout
    assert "never touched" in done.stdout
    assert (
        "The memory says: The greeting in the file greeting.txt was written by Ada." in done.stdout
    )
    assert "role critic: rolled" in done.stdout
    assert "I was told: You are a critic of greetings." in done.stdout
    assert 'khive_budget_spent{role="critic",unit="usd",window="week"} 0.0125' in done.stdout
    assert "task.done" in done.stdout
    assert "intact: " in done.stdout
    assert list(scratch.iterdir()) == []
    wait_until(khive.gone, "all are gone")
