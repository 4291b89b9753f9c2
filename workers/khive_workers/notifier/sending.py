"""How a message is sent: a signed request, a service of apprise's, a command, the desktop.

What is said of a failure names no address: whoever has one can write there.
"""

from __future__ import annotations

import contextlib
import html
import http.client
import importlib
import io
import json
import logging
import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from khive_supervisor import exitcodes
from khive_supervisor.channels import signing
from khive_supervisor.channels.addresses import Address
from khive_supervisor.channels.messages import Message
from khive_supervisor.channels.retrying import Attempt, Verdict, of_status
from khive_supervisor.config.settings.channels import APPRISE, COMMAND, DESKTOP, WEBHOOK
from khive_supervisor.text.plain_json import JsonObject

#: Bytes of an answer that are read; its status is all that counts.
ANSWER_LIMIT = 16 << 10
#: Characters of a reason that are kept.
WHY_LIMIT = 300
Request = Mapping[str, Any]


def request_of(message: Message, address: Address, command: tuple[str, ...], kind: str,
               timeout: float) -> JsonObject:  # fmt: skip
    """Return one message as a line for the process that sends."""
    return {
        "kind": kind,
        "url": address.url,
        "secret": address.secret,
        "command": list(command),
        "timeout": timeout,
        "message": {
            "key": message.key, "kind": message.kind, "subject": message.subject,
            "at": message.at, "title": message.title, "lines": list(message.lines),
            "data": message.data,
        },
    }  # fmt: skip


def send(request: Request) -> Attempt:
    """Send one message; the failure's reason is short, and hides the address."""
    found = _WAYS[request["kind"]](request, _message(request["message"]))
    address = Address(request["url"], request["secret"])
    return Attempt(found.verdict, address.hide(found.why)[:WHY_LIMIT], found.retry_after)


def _message(data: Mapping[str, Any]) -> Message:
    return Message(**{**data, "lines": tuple(data["lines"])})


# --- webhook --------------------------------------------------------------------------------------


def _webhook(request: Request, message: Message) -> Attempt:
    found = urlsplit(request["url"])
    body = signing.body_of(message)
    headers = signing.headers_of(message, body, request["secret"], time.time())
    path = (found.path or "/") + (f"?{found.query}" if found.query else "")
    kind = http.client.HTTPSConnection if found.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(found.hostname or "", found.port, timeout=request["timeout"])
        with contextlib.closing(connection):
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read(ANSWER_LIMIT)
            return of_status(response.status, response.headers.get("Retry-After"))
    except ssl.SSLCertVerificationError as error:
        return Attempt(Verdict.LATER, f"its certificate is not accepted: {error.verify_message}")
    except TimeoutError:
        return Attempt(Verdict.LATER, f"it did not answer within {request['timeout']:g} s")
    except (OSError, http.client.HTTPException) as error:
        return Attempt(Verdict.LATER, f"it cannot be reached: {_reason(error)}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


# --- apprise --------------------------------------------------------------------------------------


def _apprise(request: Request, message: Message) -> Attempt:
    try:
        apprise: Any = importlib.import_module("apprise")
    except ImportError:
        why = "apprise is not installed: pip install 'khive-supervisor[channels]'"
        return Attempt(Verdict.LATER, why)
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logger = logging.getLogger("apprise")
    logger.addHandler(handler)
    try:
        service = apprise.Apprise()
        if not service.add(request["url"]):
            return Attempt(Verdict.NEVER, "the url is none that apprise knows")
        if service.notify(title=message.title, body=message.text):
            return Attempt(Verdict.DELIVERED)
    finally:
        logger.removeHandler(handler)
    why = " ".join(said.getvalue().split()) or "the service did not take it"
    return Attempt(Verdict.LATER, why)


# --- commands -------------------------------------------------------------------------------------


def _command(request: Request, message: Message) -> Attempt:
    data = json.loads(signing.body_of(message))
    return _run(request, request["command"], json.dumps(data).encode(), message)


def _desktop(request: Request, message: Message) -> Attempt:
    if shutil.which("notify-send") is None:
        return Attempt(Verdict.LATER, "there is no program notify-send")
    body = html.escape("\n".join(message.lines), quote=False)
    words = ["notify-send", "--app-name=khive", "--", message.title, body]
    return _run(request, words, b"", message)


def _run(request: Request, words: list[str], text: bytes, message: Message) -> Attempt:
    environment = {**os.environ, "KHIVE_EVENT": message.kind, "KHIVE_EVENT_ID": message.key}
    try:
        code = subprocess.run(
            words,
            input=text,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=request["timeout"],
            env=environment,
            check=False,
        ).returncode
    except FileNotFoundError:
        return Attempt(Verdict.LATER, f"there is no program {words[0]}")
    except subprocess.TimeoutExpired:
        return Attempt(Verdict.LATER, f"it did not end within {request['timeout']:g} s")
    except OSError as error:
        return Attempt(Verdict.LATER, f"it cannot be started: {error.strerror}")
    if code == exitcodes.OK:
        return Attempt(Verdict.DELIVERED)
    return Attempt(Verdict.LATER, f"it ended with {code}")


_WAYS: Mapping[str, Callable[[Request, Message], Attempt]] = {
    WEBHOOK: _webhook,
    APPRISE: _apprise,
    COMMAND: _command,
    DESKTOP: _desktop,
}
