"""The page's templates and its own files: read once, since another release may replace them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from khive_workers.desk.paths import BELOW, VIEWS
from khive_workers.desk.views import wording

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the page: its address names its content, so a browser may keep it for ever."""

    address: str
    media_type: str
    data: bytes


class Pages:
    """Makes HTML; whatever a template is given is escaped."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        root = resources.files("khive_workers.desk")
        sources = {
            one.name: one.read_text(encoding="utf-8")
            for one in root.joinpath("templates").iterdir()
        }
        found = [_static(one.name, one.read_bytes()) for one in root.joinpath("static").iterdir()]
        self.static = {one.address: one for one in found}
        self._addresses = {_name(one.address): one.address for one in found}
        self._wall_clock = wall_clock
        self._environment = Environment(
            loader=DictLoader(sources),
            autoescape=True,
            finalize=_shown,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(self._filters())
        self._environment.globals.update(views=VIEWS, static=self._addresses.__getitem__)

    def _filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "ago": lambda text: wording.since(str(text), self._wall_clock()),
            "ahead": lambda text: wording.ahead(str(text), self._wall_clock()),
            "age": lambda text: wording.age(str(text), self._wall_clock()),
            "told": wording.state,
            "named": lambda text: wording.named(str(text)),
            "prose": lambda text: wording.prose(str(text)),
            "duration": wording.duration,
            "size": wording.size,
            "json": wording.as_json,
        }

    def now(self) -> float:
        """Return the time that pages are made at, in unix seconds."""
        return self._wall_clock()

    def render(self, template: str, page: Mapping[str, Any]) -> bytes:
        """Return a page's HTML."""
        text = self._environment.get_template(template).render(page)
        return text.encode("utf-8", "replace")


def _shown(value: object) -> object:
    """Return what a template shows of a value: no control character reaches a page."""
    return wording.plain(value) if isinstance(value, str) and type(value) is not Markup else value


def _static(name: str, data: bytes) -> StaticFile:
    digest = hashlib.sha256(data).hexdigest()[:12]
    stem, _, suffix = name.rpartition(".")
    return StaticFile(f"{BELOW}static/{stem}.{digest}.{suffix}", _TYPES[suffix], data)


def _name(address: str) -> str:
    stem, _, suffix = address.rpartition("/")[2].split(".")
    return f"{stem}.{suffix}"
