"""Addresses of git remotes in one form, so that two ways to write one are equal. Pure."""

from __future__ import annotations

import os
import re

#: user@host:path, as scp has it; a single letter before the colon is a drive of Windows.
_SCP = re.compile(r"(?:[^@/:\s]+@)?([^/:\s]{2,}|\[[0-9A-Fa-f:]+\]):(?!//)(.+)")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^@/\s]*@)?([^/\s]*)/(.*)", re.DOTALL)
#: Ports that a scheme has anyway.
_USUAL_PORTS = {"ssh": "22", "git+ssh": "22", "https": "443", "http": "80", "git": "9418"}
#: Characters of the longest address that is looked at.
_LONGEST = 2000


def normalised(address: str) -> str:
    """Return host and path of a remote's address, in small letters; or its path, on this machine.

    Scheme, user, password, a usual port, `.git` and slashes at the end do not count: the same
    repository is cloned over ssh and https. Empty for what is neither, such as a relative path.
    """
    text = address.strip()
    if not text or len(text) > _LONGEST or "\0" in text or "\n" in text:
        return ""
    if text.startswith(("/", "file:///", "file://localhost/")):
        return _local(text)
    if url := _URL.fullmatch(text):
        scheme, host, path = url[1].lower(), url[2].lower(), url[3]
        host = host.removesuffix(f":{_USUAL_PORTS.get(scheme, '')}")
    elif scp := _SCP.fullmatch(text):
        host, path = scp[1].lower(), scp[2]
    else:
        return ""
    path = re.sub("/+", "/", path).strip("/").removesuffix(".git").strip("/").lower()
    return f"{host}/{path}" if host and path else ""


def _local(text: str) -> str:
    """Return the path of a repository on this machine, as its other clones have it."""
    path = os.path.normpath("/" + re.sub("^file://(localhost)?", "", text).lstrip("/"))
    return path.removesuffix("/.git").removesuffix(".git").rstrip("/")
