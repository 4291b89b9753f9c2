"""Packages that are measured beside, each in a virtual environment of its own in the scratch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.core.report import say


def venv(place: Path, package: str, interpreter: str = sys.executable) -> tuple[Path | None, str]:
    """The interpreter of an environment with a package; or why it cannot be had."""
    python = place / "bin/python"
    installed = place / "installed"
    if not installed.exists():
        say(f"installing {package} below {place}")
        for command in (
            [interpreter, "-m", "venv", str(place)],
            [str(python), "-m", "pip", "install", "--quiet", *package.split()],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return None, f"not measured: {done.stderr.strip()[-200:]}"
        installed.touch()
    return python, ""


def version_of(python: Path, package: str) -> str:
    """The version that is installed there."""
    asks = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([str(python), "-c", asks], capture_output=True, text=True, check=True)
    return done.stdout.strip()
