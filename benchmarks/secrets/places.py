"""Where secrets stand: sentences, code, logs, settings, with other lines around them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.secrets.kinds import KINDS, PASSWORD, WHOLE, Kind

#: Lines that stand around a secret; none has one.
_AROUND = (
    "We moved the nightly job to 03:00 because the backup ran into it.",
    "def total(items): return sum(item.price for item in items)",
    "2026-03-04T05:06:07Z INFO request id=8812 took 31 ms",
    "LOG_LEVEL=debug",
    "The order of the columns does not matter here.",
    "timeout: 30",
    "Build 4711 of commit 5d41402abc4b2a76b9719d911017c592aa10bbcd passed.",
    "",
)
_FOR_TOKENS = (
    "For the deploy the {called} is {secret} until Friday.",
    "Use {secret} as the {called} when you call the service.",
    "Our {called} for staging: {secret}",
    "I found the {called} {secret} in the old wiki page, it still works.",
    'headers = {{"X-Api-Key": "{secret}"}}  # {called}',
    '{name} = "{secret}"',
    "const {name} = '{secret}';",
    'client = Client({lower}="{secret}", timeout=30)',
    "2026-03-04 05:06:07 DEBUG using {called}: {secret}",
    "WARN retry 3 with {lower}={secret} host=api.internal",
    "export {name}={secret}",
    "{name}={secret}",
    '{lower}: "{secret}"',
    '  "{lower}": "{secret}",',
)
_FOR_PASSWORDS = (
    "The {called} of the reporting user is {secret}, ask Ada before you change it.",
    "Log in as admin with the password {secret} and look at the queue.",
    "We set the {called} to {secret} after the incident.",
    'connect(host="db", user="app", password="{secret}")',
    '{name} = "{secret}"',
    "2026-03-04 05:06:07 ERROR login failed user=app password={secret}",
    "{name}={secret}",
    "export {name}='{secret}'",
    "{lower}: {secret}",
    '  "{lower}": "{secret}",',
    "mysqldump --user=backup --password='{secret}' shop > shop.sql",
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A text with a secret in it, and the secret."""

    kind: str
    text: str
    secret: str


def placed(each: int, seed: int) -> Iterator[Placed]:
    """Return texts with secrets, so many of each kind."""
    rng = random.Random(seed)
    for kind in KINDS:
        for _ in range(each):
            yield _placed(kind, rng)


def _placed(kind: Kind, rng: random.Random) -> Placed:
    shown, secret = kind.make(rng)
    called = rng.choice(kind.called)
    lower = called.lower().replace(" ", "_")
    if kind.places == WHOLE:
        line = shown
    else:
        forms = _FOR_PASSWORDS if kind.places == PASSWORD else _FOR_TOKENS
        line = rng.choice(forms).format(
            called=called.lower().replace("_", " "), name=lower.upper(), lower=lower, secret=shown
        )
    before, after = rng.sample(_AROUND, rng.randint(0, 2)), rng.sample(_AROUND, rng.randint(0, 2))
    return Placed(kind.name, "\n".join([*before, line, *after]), secret)
