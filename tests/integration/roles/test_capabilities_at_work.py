"""Capabilities with real processes: what distributions offer, and tasks that are done."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import DEADLINE, Installation, write_distribution

from khive_supervisor.config import offers
from khive_supervisor.config.all_capabilities import all_capabilities
from khive_supervisor.config.capability import Package
from khive_supervisor.config.offers import Offer

GROUP = offers.ENTRY_POINTS
OBJECT = """
from khive_supervisor.config.capability import Capability
print("this is no part of the answer")
offered = Capability(id="{id}", role="cook", description="d", task_types=("t",), prompt="p")
"""
FILE = 'id = "shipped"\nrole = "r"\ndescription = "d"\ntask_types = ["t"]\nprompt = "p"\n'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def offer(site: Path, name: str, source: str) -> None:
    write_distribution(site, name, source, "offered", GROUP)


def mine(environ: dict[str, str]) -> dict[str, Offer]:
    found = {one.source: one for one in offers.offers(environ)}
    return {key.partition(" ")[0]: one for key, one in found.items() if key.startswith("khive_t_")}


def test_an_object_or_a_path_is_an_offer(site: Path) -> None:
    offer(site, "khive_t_object", OBJECT.format(id="cooking"))
    offer(
        site, "khive_t_path", "from pathlib import Path\noffered = Path(__file__).parent/'c.toml'"
    )
    (site / "c.toml").write_text(FILE)
    found = all_capabilities("/nowhere")
    assert isinstance(found.packages["cooking"], Package)
    assert found.packages["cooking"].capability.role == "cook"
    assert found.packages["cooking"].source == "khive_t_object 1.0, entry point khive_t_object"
    assert found.packages["shipped"].origins["role"] == f"{site}/c.toml:2"
    assert found.broken == ()
    assert "khive_t_object" not in sys.modules


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named"),
        ("offer = 1", "AttributeError"),
        ("offered = 3", "khive_t_bad:offered is a int; allowed: a Capability, or a path"),
        ("raise SystemExit(3)", "exited with 3"),
        ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
        ("import os; os._exit(0)", "exited with 0"),
        (
            "import os\nassert 'SECRET' not in os.environ, 'seen'\noffered = 'x.toml'",
            "x.toml: cannot be read: No such file",
        ),
        (
            (
                "from khive_supervisor.config.capability import Capability\n"
                "offered = Capability('Bad Id', 'r', 'd', (), 'p')"
            ),
            'id: found "Bad Id"; allowed',
        ),
    ],
)
def test_what_a_broken_one_does_reaches_nobody_else(site: Path, source: str, said: str) -> None:
    offer(site, "khive_t_bad", source)
    offer(site, "khive_t_good", OBJECT.format(id="cooking"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET", "s")
        found = all_capabilities("/nowhere")
    assert "cooking" in found.packages
    (broken,) = found.broken
    assert said in broken.problems[0]
    assert broken.source == "khive_t_bad 1.0, entry point khive_t_bad"


def test_an_import_that_hangs_is_given_up(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "DEADLINE", 0.2)
    offer(site, "khive_t_hangs", "import threading; threading.Event().wait()")
    found = mine({})["khive_t_hangs"]
    assert found.error == "khive_t_hangs:offered was not imported within 0.2 s"


AGENT = """#!/bin/sh
asked=$(cat)
case "$asked" in
    *"You are a code reviewer."*main..feature*) ;;
    *) echo "asked for something else" >&2; exit 1 ;;
esac
echo '{"summary": "fine", "merge_ready": true, "findings": []}'
ls
"""
MINE = (
    'id = "mine"\nrole = "cook"\ndescription = "d"\ntask_types = ["dinner"]\nprompt = "{prompt}"\n'
    "priority = 9\n"
)


def program_in(khive: Installation) -> Path:
    program = khive.home / "agent"
    program.write_text(AGENT)
    program.chmod(0o755)
    return program


def repository_in(khive: Installation) -> Path:
    """A repository with one file."""
    directory = khive.home / "shop"
    directory.mkdir()
    (directory / "till.py").write_text("pass\n")
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "Open")):
        subprocess.run(["git", *words], cwd=directory, env=khive.env, check=True)
    return directory


def test_what_is_enabled_does_tasks_of_its_type(khive: Installation) -> None:
    khive.configure(f'[embedder]\nkind = "none"\n[agents]\ncommand = ["{program_in(khive)}"]\n')
    khive.start()
    answer = khive.json("capabilities", "enable", "code-reviewer", "--reload")
    assert answer["reload"]["roles"] == {"reviewer": "added"}
    assert answer["lacks"] == []
    words = ("assign", "Review main..feature", "--type", "code-review", "--wait", "--json")
    done = subprocess.run(
        [*khive.argv, *words],
        env=khive.env,
        cwd=repository_in(khive),
        capture_output=True,
        check=False,
        timeout=DEADLINE,
    )
    task = json.loads(done.stdout)
    assert (task["state"], task["role"], task["priority"]) == ("done", "reviewer", 60), task
    verdict, *files = task["result"]["text"].splitlines()
    assert json.loads(verdict)["merge_ready"] is True
    assert files == ["till.py"]


def test_a_reload_sees_changed_files(khive: Installation) -> None:
    khive.configure('[embedder]\nkind = "none"\n[agents]\ncommand = ["cat"]\n')
    directory = khive.home / ".config/khive/capabilities"
    directory.mkdir()
    (directory / "mine.toml").write_text(MINE.format(prompt="one"))
    (directory / "bad.toml").write_text("[")
    khive.start()
    khive.run("capabilities", "enable", "mine")
    khive.run("reload")
    (role,) = khive.call("agents.roles")["roles"]
    assert (role["role"], role["priority"]) == ("cook", 9)
    assert khive.run("reload", "--dry-run").stdout == "Nothing has changed.\n"
    assert "bad.toml" in khive.events("capability.broken")[-1]["problem"]
    (directory / "mine.toml").write_text(MINE.format(prompt="two").replace("9", "8"))
    dry = khive.run("reload", "--dry-run", code=2).stdout
    assert 'prompt: "one" -> "two"' in dry
    assert "priority: 9 -> 8" in dry
    assert khive.json("reload")["roles"] == {"cook": "rolled"}
    (role,) = khive.call("agents.roles")["roles"]
    assert role["priority"] == 8
    (directory / "mine.toml").unlink()
    failed = khive.run("reload", code=1).stdout
    assert 'roles[0].capability: there is no capability "mine"' in failed
    assert khive.call("agents.roles")["roles"][0]["in_service"]
