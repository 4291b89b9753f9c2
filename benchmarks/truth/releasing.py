"""Releases of a package in order, each committed on top of the one before it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

_WHEEL, _SDIST = ".whl", (".tar.gz", ".tgz", ".zip")


def is_release(place: Path) -> bool:
    """Return True for a folder, a wheel or an sdist."""
    return place.is_dir() or place.name.endswith((_WHEEL, *_SDIST))


def version(place: Path) -> list[int]:
    """Return what releases are in the order of: the numbers of the version in a name."""
    name = place.name.removesuffix(_WHEEL)
    parts = name.split("-")
    text = parts[1] if place.name.endswith(_WHEEL) else parts[-1]
    return [int(part) for part in re.findall(r"\d+", text)]


def begun(tree: Path) -> Path:
    """Return an empty working tree."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    _git(tree, "init", "-q")
    return tree


def commit(release: Path, tree: Path) -> None:
    """Put a release in the place of the one before it, and commit it."""
    for one in tree.iterdir():
        if one.name != ".git":
            shutil.rmtree(one) if one.is_dir() else one.unlink()
    if release.is_dir():
        shutil.copytree(release, tree, dirs_exist_ok=True)
    elif release.name.endswith((_WHEEL, ".zip")):
        with zipfile.ZipFile(release) as archive:
            archive.extractall(tree)
    else:
        with tarfile.open(release) as archive:
            archive.extractall(tree, filter="data")
    _without_version(tree)
    _git(tree, "add", "-A")
    _git(tree, "commit", "-q", "--allow-empty", "-m", release.name)


def _without_version(tree: Path) -> None:
    """Leave out the folder that names the version: in a repository there is none."""
    for one in list(tree.iterdir()):
        if one.name.endswith((".dist-info", ".data", ".egg-info")):
            shutil.rmtree(one)
    roots = [one for one in tree.iterdir() if one.name != ".git"]
    if len(roots) == 1 and re.search(r"-\d", roots[0].name):
        for one in list(roots[0].iterdir()):
            os.rename(one, tree / one.name)
        roots[0].rmdir()


def _git(tree: Path, *words: str) -> None:
    who = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", *who, *words], cwd=tree, check=True, env=kept, capture_output=True)
