"""All capabilities there are: built in, in the user's directory, offered by other distributions.

A broken package is told of with its file and key, and keeps no other from being used. Of two with
one id the first in this order has it, so that nothing that is installed can take the place of what
somebody has enabled.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from khive_supervisor.config.capability import (
    BUILT_IN,
    MAX_BYTES,
    Broken,
    Capabilities,
    Package,
    read,
    taken,
)
from khive_supervisor.config.offers import Offer, offers
from khive_supervisor.config.settings.locate import line_numbers
from khive_supervisor.config.settings.notes import Notes
from khive_supervisor.host.small_file import read_regular

#: Where the built-in ones lie.
PLACE = str(Path(__file__).parents[1] / "capabilities")
SUFFIX = ".toml"


def all_capabilities(
    directory: str, offered: Callable[[], Iterable[Offer]] = offers
) -> Capabilities:
    """Everything that can be enabled with this directory of the user's.

    Args:
        directory: where the user's own files lie; it need not exist.
        offered: what other distributions offer.
    """
    packages: dict[str, Package] = {}
    broken: list[Broken] = []
    for one in _all(directory, offered):
        if isinstance(one, Broken):
            broken.append(one)
        elif one.capability.id in packages:
            broken.append(taken(one, packages[one.capability.id]))
        else:
            packages[one.capability.id] = one
    return Capabilities(packages, tuple(broken))


def _all(directory: str, offered: Callable[[], Iterable[Offer]]) -> Iterator[Package | Broken]:
    yield from _in_directory(PLACE, BUILT_IN)
    yield from _in_directory(directory)
    yield from map(_of_offer, offered())


def _in_directory(directory: str, source: str = "") -> Iterator[Package | Broken]:
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return
    except OSError as error:
        text = f"{directory}: cannot be read: {error.strerror}"
        yield Broken("", directory, (text,))
        return
    for name in names:
        if name.endswith(SUFFIX) and not name.startswith("."):
            path = os.path.join(directory, name)
            yield read_file(path, source or path)


def read_file(path: str, source: str) -> Package | Broken:
    """Return the package that a TOML file declares."""
    guess = os.path.basename(path).removesuffix(SUFFIX)
    try:
        data, _ = read_regular(path, MAX_BYTES)
        text = data.decode("utf-8-sig")
        content = tomllib.loads(text)
    except OSError as error:
        return Broken(guess, source, (f"{path}: cannot be read: {error.strerror}",))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Broken(guess, source, (f"{path}:{line}: is not UTF-8",))
    except RecursionError:
        return Broken(guess, source, (f"{path}: is nested too deeply",))
    except ValueError as error:
        return Broken(guess, source, (f"{path}: is not valid TOML: {error}",))
    found = read(content, Notes(path, line_numbers(text)), source)
    if isinstance(found, Broken) and not found.id:
        return replace(found, id=guess)
    return found


def _of_offer(offer: Offer) -> Package | Broken:
    if offer.error:
        return Broken("", offer.source, (f"{offer.source}: {offer.error}",))
    if offer.path:
        return read_file(offer.path, offer.source)
    return read(offer.data, Notes(offer.source), offer.source)
