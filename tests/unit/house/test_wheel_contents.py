"""What scripts/wheel-smoke says of a wheel: which files it lacks, and which nobody has written."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import wheel_contents
from support import ROOT

FILES = {"khive_supervisor/a.py", "khive_supervisor/py.typed", "khive_workers/b.py"}
ABOUT = [
    f"khive_supervisor-1.dist-info/{name}"
    for name in (*wheel_contents.ABOUT, *(f"licenses/{one}" for one in wheel_contents.LICENCES))
]
WHOLE = [*FILES, *ABOUT, "khive_supervisor-1.dist-info/licenses/"]


def test_a_wheel_that_is_whole_has_no_problem() -> None:
    assert wheel_contents.problems(WHOLE, FILES) == []


@pytest.mark.parametrize("name", sorted([*FILES, *ABOUT]))
def test_every_file_that_is_missing_is_named(name: str) -> None:
    (problem,) = wheel_contents.problems([one for one in WHOLE if one != name], FILES)
    assert name.rpartition(".dist-info/")[2] in problem


@pytest.mark.parametrize("name", ["tests/a.py", "khive_supervisor/old.py", "x-1.dist-info/NEW"])
def test_every_file_too_many_is_named(name: str) -> None:
    (problem,) = wheel_contents.problems([*WHOLE, name], FILES)
    assert name.rpartition("/")[2] in problem


def test_the_source_is_walked_whole() -> None:
    files = wheel_contents.source_files()
    assert {name.partition("/")[0] for name in files} == set(wheel_contents.SOURCES)
    assert {"khive_workers/zygote.py", "khive_supervisor/py.typed"} <= files
    assert {name for name in files if name.startswith("khive_supervisor/embed/model/")}
    assert not [name for name in files if name.endswith(".pyc")]
    for name in wheel_contents.LICENCES:
        assert (ROOT / name).exists()


def test_a_problem_is_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = tmp_path / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("khive_supervisor/old.py", "")
    assert wheel_contents.main(str(wheel)) == 1
    printed = capsys.readouterr().out
    assert "not in the source: khive_supervisor/old.py" in printed
    assert "not in the wheel: khive_workers/zygote.py" in printed
