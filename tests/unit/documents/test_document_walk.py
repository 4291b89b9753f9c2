"""Which files of a folder are learned: git's rules, what tools fill, and what cannot be read."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_supervisor.documents import walk
from khive_supervisor.documents.model import DocumentProblem, LeftOut
from khive_supervisor.documents.walk import DocumentSource, Found, find, is_gone


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text(name)


def files(root: Path, everything: bool = False) -> set[str]:
    found = list(find([str(root)], "auto", everything))
    assert not [one for one in found if isinstance(one, DocumentProblem)]
    return {os.path.relpath(one.path, root) for one in found if isinstance(one, DocumentSource)}


def left_out(found: list[Found]) -> dict[str, str]:
    return {os.path.basename(one.source): one.why for one in found if isinstance(one, LeftOut)}


IGNORED = {
    ".gitignore": "*.txt\n!keep.txt\n/top.md\nout/\nlogs/**/old.md\n\\#odd.md\n# comment\n\n"
    "sp\\ ace.md\n",
    "sub/.gitignore": "!a.txt\nown.md\n/anchored.md\n",
    "sub/deep/.gitignore": "*\n!.gitignore\n!back.md\n",
}
NAMES = (
    "a.txt", "keep.txt", "top.md", "sub/top.md", "out/a.md", "sub/out/a.md", "out.md",
    "logs/old.md", "logs/x/old.md", "logs/x/y/old.md", "logs/new.md", "#odd.md", "sp ace.md",
    "sub/a.txt", "sub/b.txt", "sub/own.md", "sub/x/own.md", "sub/anchored.md",
    "sub/x/anchored.md", "sub/deep/gone.md", "sub/deep/back.md", "sub/deep/x/back.md",
    "excluded.md", "sub/excluded.md",
)  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = tmp_path / "repository"
    write(root, *NAMES)
    for name, text in IGNORED.items():
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / ".git/info/exclude").write_text("excluded.md\n")
    return root


def by_git(root: Path) -> set[str]:
    """What git itself does not ignore."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return {name for name in listed if name and not os.path.basename(name).startswith(".")}


def test_git_s_rules_are_git_s(repository: Path) -> None:
    expected = by_git(repository)
    assert files(repository) == expected
    assert 5 < len(expected) < len(NAMES) - 5
    assert files(repository, everything=True) == set(NAMES)


def test_in_a_folder_of_a_repository_the_rules_above_hold(repository: Path) -> None:
    expected = {os.path.relpath(n, "sub") for n in by_git(repository) if n.startswith("sub/")}
    assert files(repository / "sub") == expected


def test_a_plain_folder_has_its_own_rules(repository: Path) -> None:
    expected = by_git(repository) | {"excluded.md", "sub/excluded.md"}
    os.rename(repository / ".git", repository.parent / "git")
    assert files(repository) == expected


def test_an_ignored_folder_that_is_named_is_read(repository: Path) -> None:
    assert files(repository / "out") == {"a.md"}
    named = list(find([str(repository / "top.md")], "auto"))
    assert [one.form for one in named if isinstance(one, DocumentSource)] == ["markdown"]


def test_the_user_s_own_rules_hold_in_repositories(repository: Path) -> None:
    write(repository.parent, "config/git/ignore")
    (repository.parent / "config/git/ignore").write_text("new.md\n")
    assert "logs/new.md" not in files(repository)


def test_a_worktree_shares_the_list_of_its_checkout(repository: Path) -> None:
    config = ["-c", "user.name=a", "-c", "user.email=a@b"]
    git = ["git", "-C", str(repository), *config]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    tree = repository.parent / "tree"
    subprocess.run([*git, "worktree", "add", "-q", str(tree)], check=True)
    write(tree, "excluded.md", "a.md")
    assert files(tree) == {"a.md"}


RULES = st.lists(
    st.sampled_from(
        ["*.md", "!*.md", "a", "a/", "/a", "a/*", "!a/x.md", "**/x.md", "a/**", "!a", "b?.md",
         "[ab].md", "x.*", "!x.md", "#x", "", "/b/x.md", "b/**/y.md", "\\!x.md", "a//b", "*"]
    ),
    max_size=5,
).map("\n".join)  # fmt: skip


@settings(max_examples=30)
@given(RULES, RULES)
def test_any_rules_mean_what_git_says(above: str, below: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        write(root, *(f"{d}{n}" for d in ("", "a/", "b/", "a/b/", "b/c/") for n in
                      ("x.md", "y.md", "a.md", "b1.md")))  # fmt: skip
        subprocess.run(["git", "init", "-q", folder], check=True)
        (root / ".gitignore").write_text(above)
        (root / "a/.gitignore").write_text(below)
        assert files(root) == by_git(root)


def test_a_rule_that_could_take_for_ever_is_not_obeyed(tmp_path: Path) -> None:
    write(tmp_path, "a" * 200 + ".md")
    (tmp_path / ".gitignore").write_text("a*" * 30 + "b\n")
    problem, source = (one for one in find([str(tmp_path)], "auto") if not isinstance(one, LeftOut))
    assert isinstance(problem, DocumentProblem)
    assert "so many stars" in problem.why
    assert isinstance(source, DocumentSource)


def test_what_tools_fill_is_left_out(tmp_path: Path) -> None:
    kept = {"README.md", "target/plan.md", "build/a.md", "rust/README.md", "doc/a.md"}
    filled = {
        "node_modules/leftpad/README.md", "venv/lib/python3/site-packages/x/README.md",
        "env/README.md", "__pycache__/a.md", "rust/target/doc/x.md", "java/target/a.md",
        "other/target/debug/a.md", "some/cache/a.md", ".hidden/a.md", ".dot.md",
    }  # fmt: skip
    write(tmp_path, *kept, *filled, "env/pyvenv.cfg", "rust/Cargo.toml", "java/pom.xml",
          "some/cache/CACHEDIR.TAG")  # fmt: skip
    assert files(tmp_path) == kept
    assert files(tmp_path, everything=True) == kept | filled


def test_all_is_still_not_git_s_own_files(tmp_path: Path) -> None:
    write(tmp_path, ".git/a.md", "a.md")
    assert files(tmp_path, everything=True) == {"a.md"}


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "b.py", "c.IPYNB", "Makefile", ".d.md", ".e/f.md", "g/h.md", "i.md")
    (tmp_path / ".gitignore").write_text("i.md\n")
    os.symlink(tmp_path / "g", tmp_path / "link")
    os.symlink(tmp_path, tmp_path / "g" / "loop")
    os.symlink(tmp_path / "nothing", tmp_path / "broken.md")
    os.mkfifo(tmp_path / "pipe.md")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.md"))
        found = list(find([str(tmp_path)], "auto"))
    assert {one.path for one in found if isinstance(one, DocumentSource)} == {
        str(tmp_path / "a.md"),
        str(tmp_path / "g/h.md"),
    }
    assert left_out(found) == {
        "b.py": walk.NO_DOCUMENT, "c.IPYNB": walk.NO_DOCUMENT, "Makefile": walk.NO_DOCUMENT,
        ".d.md": walk.HIDDEN, ".e": walk.HIDDEN, ".gitignore": walk.HIDDEN, "i.md": walk.IGNORED,
        "link": walk.LINK_TO_FOLDER, "loop": walk.LINK_TO_FOLDER, "broken.md": walk.BROKEN_LINK,
        "pipe.md": walk.NO_FILE, "s.md": walk.NO_FILE,
    }  # fmt: skip


def test_a_file_that_is_named_is_read_whatever_it_is(tmp_path: Path) -> None:
    write(tmp_path, ".hidden.py")
    (source,) = find([str(tmp_path / ".hidden.py")], "auto")
    assert isinstance(source, DocumentSource)
    assert (source.form, source.root) == ("text", None)


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/nothing/there", "/etc/passwd/x"])
def test_what_cannot_be_read_is_a_problem(path: str) -> None:
    (problem,) = find([path], "auto")
    assert isinstance(problem, DocumentProblem)
    assert problem.source == path


def test_a_folder_that_cannot_be_read_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "closed/a.md", "open/b.md")
    scan = os.scandir

    def refused(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(walk.os, "scandir", refused)  # root may read everything
    problem, source = find([str(tmp_path)], "auto")
    assert problem == DocumentProblem(
        str(tmp_path / "closed"), "the folder cannot be read: Permission denied"
    )
    assert isinstance(source, DocumentSource)


def test_a_file_has_one_name_however_it_is_spelt(tmp_path: Path) -> None:
    write(tmp_path, "real/a.md")
    os.symlink(tmp_path / "real", tmp_path / "link")
    paths = [
        tmp_path / "real",
        tmp_path / "link",
        tmp_path / "link/a.md",
        tmp_path / "real/../real",
    ]
    (source,) = [one for one in find(map(str, paths), "auto") if isinstance(one, DocumentSource)]
    assert source.name == str(tmp_path / "real/a.md")


def test_a_name_that_is_no_text_is_escaped(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9.md"
    Path(os.fsdecode(odd)).write_text("x")
    (source,) = find([str(tmp_path)], "auto")
    assert isinstance(source, DocumentSource)
    assert source.name == f"{tmp_path}/caf\\xe9.md"


def test_a_very_deep_folder_is_walked(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 500)
    deep.mkdir(parents=True)
    (deep / "a.md").write_text("x")
    assert files(tmp_path) == {"d/" * 500 + "a.md"}


def test_gone_is_only_what_is_surely_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.md")
    os.symlink("nothing", tmp_path / "link.md")
    assert not is_gone(str(tmp_path / "a.md"))
    assert not is_gone(str(tmp_path / "link.md"))
    assert is_gone(str(tmp_path / "b.md"))
    assert is_gone(str(tmp_path / "a.md/b.md"))
    assert not is_gone("/\0")

    def refused(path: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(walk.os, "lstat", refused)
    assert not is_gone(str(tmp_path / "b.md"))
