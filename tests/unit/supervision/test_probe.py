"""What a release is asked before it takes over."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

from support import ROOT

from khive_supervisor.supervision.probe import EXTRAS

#: Extras for those who work on the project; nothing that runs needs them.
DEVELOPERS = {"dev", "model"}
#: Runs the trial where none of the modules named can be imported.
WITHOUT = """import sys
sys.modules.update(dict.fromkeys(sys.argv[1].split(","), None))
from khive_supervisor.supervision import probe
sys.exit(probe.main(sys.argv[2:]))
"""


def problems_without(modules: tuple[str, ...], home: Path, *words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT, ",".join(modules), *words],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout)["problems"]
    return found


def test_an_environment_without_extras_can_take_over(tmp_path: Path) -> None:
    assert problems_without(EXTRAS, tmp_path) == []


def test_one_without_what_everybody_needs_cannot(tmp_path: Path) -> None:
    (problem,) = problems_without(("tomlkit",), tmp_path)
    assert "tomlkit" in problem


def test_a_team_s_node_needs_the_driver(tmp_path: Path) -> None:
    file = tmp_path / "khive.toml"
    file.write_text('[store]\nurl = "postgresql://db.example/khive"\n')
    (problem,) = problems_without(EXTRAS, tmp_path, "--config", str(file))
    assert "khive-supervisor[postgres]" in problem


def test_all_extras_are_known() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    named = {
        re.match(r"[\w-]+", line.strip())[0].lower()  # type: ignore[index]  # each line is one
        for extra, lines in setup["options.extras_require"].items()
        if extra not in DEVELOPERS
        for line in lines.splitlines()
        if line.strip()
    }
    assert named == set(EXTRAS)
