"""What is in the memory, on the command line: listed, corrected, taken out, and brought in."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from support import Installation

from khive_supervisor import exitcodes


def listed(khive: Installation, *words: str) -> list[str]:
    return [one["content"] for one in khive.json("list", "--scope", "all", *words)["entries"]]


def test_a_correction_in_an_editor(shared: Installation) -> None:
    tag = ("--tag", "editor")
    name = shared.json("remember", "the port is 8080", *tag, "--title", "Port")["id"]
    same = shared.run("edit", name, EDITOR="true")
    assert same.stdout == f"{name} stays as it is.\n"
    shared.run("edit", name, EDITOR="sed -i s/8080/9090/")
    assert listed(shared, *tag) == ["the port is 9090"]
    (entry,) = shared.json("list", *tag)["entries"]
    assert (entry["title"], entry["tags"]) == ("Port", ["editor"])
    refused = shared.run("edit", entry["id"], EDITOR="false", code=None)
    assert "nothing was changed" in refused.stderr
    assert shared.run("undo").stdout.startswith("Undone: supersede of ")
    assert listed(shared, *tag) == ["the port is 8080"]


def test_forgetting_by_a_filter(shared: Installation) -> None:
    for number in range(3):
        shared.call("memory.remember", content=f"scratch {number}", tags=["scratch"])
    told = shared.run("forget", "--tag", "scratch").stdout
    assert told.startswith("Would be forgotten: 3. --yes does it.")
    assert len(listed(shared, "--tag", "scratch")) == 3
    shared.run("forget", "--tag", "scratch", "--yes")
    assert listed(shared, "--tag", "scratch") == []
    assert shared.run("forget", code=None).returncode == exitcodes.USAGE


def test_out_of_one_store_and_into_another(
    shared: Installation, khive: Installation, tmp_path: Path
) -> None:
    for number in range(3):
        shared.call("memory.remember", content=f"travels {number}", tags=["travels"])
    file = tmp_path / "out.jsonl"
    shared.run("export", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "exists" in shared.run("export", str(file), code=None).stderr
    khive.start()
    before = listed(khive)
    would = khive.json("import", str(file), "--dry-run")
    assert listed(khive) == before
    done = khive.json("import", str(file))
    assert would["stored"] <= done["stored"]
    assert (done["left_out"], done["refused"], done["broken"]) == ({}, [], [])
    assert sorted(listed(khive, "--tag", "travels")) == [f"travels {n}" for n in range(3)]
    assert khive.json("import", str(file))["stored"] == 0
    assert "travels 1" in khive.run("export", "--format", "markdown", "--tag", "travels").stdout
    lines = khive.run("export", "--tag", "travels").stdout.splitlines()
    assert json.loads(lines[-1])["records"] == len(lines) - 2


def test_a_file_that_was_cut_is_refused_as_a_whole(shared: Installation, tmp_path: Path) -> None:
    shared.run("remember", "whole", "--tag", "whole")
    whole = shared.run("export", "--tag", "whole").stdout.encode()
    file = tmp_path / "cut.jsonl"
    file.write_bytes(whole[: len(whole) // 2])
    refused = shared.run("import", str(file), code=exitcodes.USAGE)
    assert "is damaged" in refused.stderr
    assert "Nothing was imported." in refused.stderr
