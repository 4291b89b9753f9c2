"""Thirty kinds of secrets, made at random: no literal here looks like one."""

# ruff: noqa: E501 - a row is a line
from __future__ import annotations

import base64
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

_LETTERS = string.ascii_letters
_WORD = _LETTERS + string.digits
_BASE64 = _WORD + "+/"
_URL_SAFE = _WORD + "-_"
_HEX = "0123456789abcdef"
_UPPER = string.ascii_uppercase + string.digits
_NOUNS = [
    "tiger",
    "window",
    "pencil",
    "garden",
    "rocket",
    "candle",
    "bridge",
    "saddle",
    "marble",
    "cactus",
    "puzzle",
    "bottle",
    "kettle",
    "anchor",
    "basket",
    "hammer",
    "pillow",
    "ribbon",
    "signal",
    "tunnel",
    "velvet",
    "wagon",
    "zipper",
    "barrel",
]

#: How a secret is spoken of where its kind has no shape of its own.
TOKEN, PASSWORD, WHOLE = "token", "password", "whole"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: how its secrets look, what they are called, and where they can stand.

    `make` returns the text that stands there, and the part of it that must not stay.
    """

    name: str
    called: tuple[str, ...]
    places: str
    make: Callable[[random.Random], tuple[str, str]]


def _of(alphabet: str, length: int) -> Callable[[random.Random], str]:
    return lambda rng: "".join(rng.choices(alphabet, k=length))


def _after(*parts: str | Callable[[random.Random], str]) -> Callable[..., tuple[str, str]]:
    """Return a maker of one word out of parts; all of it must not stay."""

    def make(rng: random.Random) -> tuple[str, str]:
        word = "".join(part if isinstance(part, str) else part(rng) for part in parts)
        return word, word

    return make


def _digits(length: int) -> Callable[[random.Random], str]:
    return lambda rng: str(rng.randint(10 ** (length - 1), 10**length - 1))


def _spoken(rng: random.Random) -> str:
    """A password as people think them up."""
    first, second = (rng.choice(_NOUNS) for _ in range(2))
    sign = rng.choice("!?#%&*")
    forms = (
        f"{first.capitalize()}{second.capitalize()}{rng.randint(10, 9999)}",
        f"{first}{sign}{second.capitalize()}{rng.randint(1, 99)}",
        f"{first.capitalize()}{rng.randint(100, 2030)}{sign}",
        f"{first.replace('e', '3').replace('i', '1').capitalize()}{sign}{second}{rng.randint(1, 9)}",
    )
    return rng.choice(forms)


def _generated(rng: random.Random) -> str:
    """A password as a manager generates it."""
    signs = [rng.choice(_LETTERS), rng.choice(string.digits), rng.choice("!#%*+-.:=?@_~")]
    signs += rng.choices(_WORD + "!#%*+-.:?@_~", k=rng.randint(11, 17))
    rng.shuffle(signs)
    return rng.choice(_LETTERS) + "".join(signs) + rng.choice(_LETTERS)


def _pem(name: str, lines: int) -> Callable[[random.Random], tuple[str, str]]:
    def make(rng: random.Random) -> tuple[str, str]:
        body = "\n".join("".join(rng.choices(_BASE64, k=64)) for _ in range(lines))
        dashes = "-" * 5
        return f"{dashes}BEGIN {name}{dashes}\n{body}\n{dashes}END {name}{dashes}", body

    return make


def _around(
    before: str, secret: Callable[[random.Random], str], after: str
) -> Callable[[random.Random], tuple[str, str]]:
    """Return a maker of a text with a secret in it."""

    def make(rng: random.Random) -> tuple[str, str]:
        word = secret(rng)
        return f"{before}{word}{after}", word

    return make


def _service_account(rng: random.Random) -> tuple[str, str]:
    key, body = _pem("PRIVATE KEY", 6)(rng)
    escaped = key.replace("\n", "\\n")
    lines = ('  "type": "service_account",', f'  "private_key": "{escaped}\\n",')
    return "\n".join(["{", *lines, '  "client_email": "ci@shop.iam"', "}"]), body.split("\n")[2]


def _jwt(rng: random.Random) -> tuple[str, str]:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    head = part(b'{"alg":"HS256","typ":"JWT"}')
    body = part(
        f'{{"sub":"{rng.randint(1, 10**9)}","exp":{rng.randint(10**9, 2 * 10**9)}}}'.encode()
    )
    word = f"{head}.{body}.{_of(_URL_SAFE, 43)(rng)}"
    return word, word


def _basic(rng: random.Random) -> tuple[str, str]:
    word = base64.b64encode(f"deploy:{_spoken(rng)}".encode()).decode()
    return f"Authorization: Basic {word}", word


KINDS: tuple[Kind, ...] = (
    Kind("AWS access key id", ("access key",), TOKEN, _after("AK", "IA", _of(_UPPER[:26] + "234567", 16))),
    Kind("AWS secret key", ("aws_secret_access_key",), TOKEN, _after(_of(_BASE64, 40))),
    Kind("GitHub token", ("github token",), TOKEN, _after("gh", "p_", _of(_WORD, 36))),
    Kind("GitHub fine-grained token", ("GH_TOKEN",), TOKEN,
         _after("github", "_pat_", _of(_WORD, 22), "_", _of(_WORD, 59))),
    Kind("Slack token", ("slack bot token",), TOKEN,
         _after("xo", "xb-", _digits(12), "-", _digits(13), "-", _of(_WORD, 24))),
    Kind("Slack webhook", ("webhook",), WHOLE,
         _around("Alerts go to https://hooks." + "slack.com/services/",
                 lambda r: f"T{_of(_UPPER, 9)(r)}/B{_of(_UPPER, 10)(r)}/{_of(_WORD, 24)(r)}", " now.")),
    Kind("Stripe key", ("stripe key",), TOKEN, _after("sk", "_live_", _of(_WORD, 24))),
    Kind("OpenAI key", ("OPENAI_API_KEY",), TOKEN, _after("sk-", "proj-", _of(_URL_SAFE, 90), "x")),
    Kind("Anthropic key", ("ANTHROPIC_API_KEY",), TOKEN, _after("sk-", "ant-api03-", _of(_URL_SAFE, 92), "x")),
    Kind("Google key", ("maps key",), TOKEN, _after("AI", "za", _of(_URL_SAFE, 34), "x")),
    Kind("service account", ("service account",), WHOLE, _service_account),
    Kind("Azure storage", ("connection string",), WHOLE,
         _around("DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=",
                 lambda r: _of(_BASE64, 86)(r) + "==", ";EndpointSuffix=core.windows.net")),
    Kind("npm token", ("NPM_TOKEN",), TOKEN, _after("np", "m_", _of(_WORD, 36))),
    Kind("PyPI token", ("TWINE_PASSWORD",), TOKEN, _after("py", "pi-AgE", "IcHlwaS5vcmc", _of(_URL_SAFE, 120), "x")),
    Kind("SendGrid key", ("sendgrid key",), TOKEN, _after("S", "G.", _of(_URL_SAFE, 22), ".", _of(_URL_SAFE, 42), "x")),
    Kind("hexadecimal auth token", ("twilio auth token", "TWILIO_AUTH_TOKEN"), TOKEN, _after(_of(_HEX, 32))),
    Kind("Telegram bot token", ("bot token",), TOKEN, _after(_digits(10), ":A", "A", _of(_URL_SAFE, 32), "x")),
    Kind("JSON web token", ("session token",), TOKEN, _jwt),
    Kind("RSA key", ("deploy key",), WHOLE, _pem("RSA " + "PRIVATE KEY", 12)),
    Kind("OpenSSH key", ("ssh key",), WHOLE, _pem("OPENSSH " + "PRIVATE KEY", 8)),
    Kind("PGP key", ("signing key",), WHOLE, _pem("PGP " + "PRIVATE KEY BLOCK", 10)),
    Kind("PostgreSQL address", ("DATABASE_URL",), WHOLE,
         _around("DATABASE_URL=postgres://shop:", lambda r: _generated(r).replace("@", "a").replace("#", "b").replace("?", "c"),
                 "@db.internal:5432/shop")),
    Kind("Redis address", ("REDIS_URL",), WHOLE,
         _around("cache at redis://:", _of(_WORD, 20), "@cache.internal:6379/0, two replicas")),
    Kind("address with a password", ("remote",), WHOLE,
         _around("git remote add origin https://ci-bot:", lambda r: "".join(c for c in _spoken(r) if c.isalnum()),
                 "@git.internal/shop.git")),
    Kind("opaque bearer", ("bearer",), WHOLE, _around("curl -H 'Authorization: Bearer ", _of(_URL_SAFE[:62], 40), "' https://api.internal/v1/me")),
    Kind("basic header", ("basic",), WHOLE, _basic),
    Kind("spoken password", ("password", "passwd", "DB_PASSWORD"), PASSWORD, lambda r: (w := _spoken(r), w)),
    Kind("generated password", ("password", "root password", "SMTP_PASSWORD"), PASSWORD, lambda r: (w := _generated(r), w)),
    Kind("signing secret", ("signing secret", "JWT_SECRET", "client_secret"), TOKEN, _after(_of(_HEX, 64))),
    Kind("database connection", ("connection string",), WHOLE,
         _around("Server=tcp:sql.internal,1433;Database=shop;User ID=app;Password=", lambda r: _generated(r).replace(";", "a"), ";Encrypt=True;")),
)  # fmt: skip
