"""What git's files say: addresses, values, references; and the marks that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_layouts import COMMIT, git_directory, repository
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.projects import git_config
from khive_supervisor.projects.head import checked_out, commit_of
from khive_supervisor.projects.identity import (
    MOST_CANDIDATES,
    ProjectIdentity,
    base_of,
    from_dict,
    part_of,
)
from khive_supervisor.projects.remotes import normalised
from khive_supervisor.projects.roots import with_fetched


@pytest.mark.parametrize(
    "address",
    [
        "git@example.org:acme/alpha.git", "example.org:acme/alpha", "https://example.org/acme/alpha",
        "https://user:secret@Example.org/acme/alpha.git/", "ssh://git@example.org:22/acme/alpha",
        "git://example.org//acme/Alpha.git", "https://example.org:443/acme/alpha",
    ],
)  # fmt: skip
def test_one_repository_has_one_address(address: str) -> None:
    assert normalised(address) == "example.org/acme/alpha"


@pytest.mark.parametrize(
    "address",
    [
        "/srv/alpha", "/srv/alpha.git", "/srv/x/../alpha/.git/", "//srv/alpha.git/",
        "file:///srv/alpha", "file://localhost/srv/alpha.git",
    ],
)  # fmt: skip
def test_a_repository_on_this_machine_has_its_path(address: str) -> None:
    assert normalised(address) == "/srv/alpha"


@pytest.mark.parametrize(
    "address", ["", "/", ".git", "/.git", "../alpha", "alpha", "C:/alpha", "x" * 5000, "a\0b"]
)
def test_what_names_neither_a_host_nor_a_path_is_no_address(address: str) -> None:
    assert normalised(address) == ""


def test_another_port_is_another_place() -> None:
    assert normalised("https://h:8443/x") == "h:8443/x"


def test_values_of_a_configuration() -> None:
    text = (
        "[core]\n\tbare = false ; no\n[Remote \"or\\\"igin\"]\n url = \"git@x:a/b.git\" # c\n"
        "[a] key\n[b \"S\"]\n k = one \\\ntwo\n k = \"x # y\"\n\n= broken\n[unclosed\n"
    )  # fmt: skip
    assert git_config.values(text) == {
        "core.bare": ["false"],
        'remote.or"igin.url': ["git@x:a/b.git"],
        "a.key": ["true"],
        "b.S.k": ["one two", "x # y"],
    }


@given(st.text())
def test_any_text_is_a_configuration(text: str) -> None:
    git_config.values(text)


def test_a_commit_is_found_loose_and_packed(tmp_path: Path) -> None:
    common = git_directory(tmp_path / ".git")
    assert checked_out(str(common), str(common)) == ("main", COMMIT)
    (common / "refs/heads/main").unlink()
    other = "f" * 40
    (common / "packed-refs").write_text(
        f"# pack-refs with: peeled\n{other} refs/heads/main2\n{COMMIT} refs/heads/main\n^{other}\n"
    )
    assert checked_out(str(common), str(common)) == ("main", COMMIT)
    assert commit_of("refs/heads/gone", str(common)) == ""
    (common / "HEAD").write_text(COMMIT + "\n")
    assert checked_out(str(common), str(common)) == ("", COMMIT)
    for head in ("ref: refs/heads/../../../etc/passwd\n", "ref: refs/tags/x\n", "nonsense", ""):
        (common / "HEAD").write_text(head)
        assert checked_out(str(common), str(common)) == ("", "")


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_parts_have_marks_of_their_own(base: str, name: str, other: str, called: str) -> None:
    assert (part_of(base, name) == part_of(other, called)) == ((base, name) == (other, called))
    found, escaped = base_of(part_of(base, name))
    assert found == base
    assert "#" not in escaped


def test_an_identity_crosses_whole() -> None:
    identity = ProjectIdentity("a", "git:/a", "git:/a", ("node:1:2",), "main", COMMIT)
    assert from_dict(dict(identity.as_dict())) == identity
    part = identity.narrowed("web")
    assert (part.own, part.base, part.name) == ("file:git:/a#web", "git:/a", "web")
    assert identity.narrowed("") == identity.called("") == identity
    assert identity.called("b").own == identity.own
    for nothing in (None, {}, {"own": 1, "base": ""}, {"own": "", "base": ""}):
        assert from_dict(nothing) is None
    many = from_dict({"own": "x", "base": "x", "candidates": ["y"] * 100})
    assert many is not None
    assert len(many.candidates) == MOST_CANDIDATES


def test_an_address_that_nothing_was_fetched_from_is_a_claim(tmp_path: Path) -> None:
    top = repository(tmp_path / "a")
    identity = ProjectIdentity(
        "a", f"git:{top}/.git", f"git:{top}/.git", ("remote:x/y", "node:1:2")
    )
    assert with_fetched(identity).candidates == ("node:1:2",)
    (top / ".git/packed-refs").write_text(f"{COMMIT} refs/remotes/origin/main\n")
    assert with_fetched(identity) == identity
    (top / ".git/packed-refs").unlink()
    (top / ".git/refs/remotes/origin").mkdir(parents=True)
    assert with_fetched(identity) == identity
