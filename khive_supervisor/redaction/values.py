"""What a word is by its looks: a placeholder, something random, something like a password; pure."""

from __future__ import annotations

import math
import re
from collections import Counter

#: What makes a value an example wherever it stands in it.
_EXAMPLES = re.compile(
    r"(?i:example|sample|dummy|placeholder|changeme|change[-_]me|redacted|masked|censored"
    r"|your[-_ ]|my[-_](?:secret|key|token|pass|api)|[-_]here\b|replace|fixme|lorem|foo[-_]?bar"
    r"|xxxx|not[-_]?(?:a|so)[-_]?(?:real|secret)|undefined|deadbeef|qwertyuiop)"
    r"|\*\*\*|\.\.\.|…|<[^<>]*>|0123456789|1234567890abcdef|abcdefghijkl|ABCDEFGHIJKL"
    r"|(?P<sign>[A-Za-z0-9])(?P=sign){6}"
)
#: The same beside a form that is proof enough: there a row of letters may well be a key.
_BLANKS = re.compile(
    r"(?i:placeholder|changeme|change[-_]me|redacted|masked|censored|your[-_ ]"
    r"|my[-_](?:secret|key|token|api)|[-_]here\b|replace|dummy|xxxx|not[-_]?(?:a|so)[-_]?(?:real|secret))"
    r"|example|EXAMPLE|sample|\*\*\*|\.\.\.|…|<[^<>]*>|(?P<sign>[A-Za-z0-9])(?P=sign){6}"
)
#: What makes a value one that has no form of its own.
_WEAK_EXAMPLES = re.compile(
    r"(?<![a-z])(?:removed|hidden|insert|todo|fake)(?![a-z])|abcdefgh|12345678|98765432|qwertyui|00000000|11111111"
    r"|^(?:passw(?:or)?d|secret|pass|test|admin|root|user|token|apikey)[\W_]?\d{0,4}!?$",
    re.IGNORECASE,
)
#: A value that is told elsewhere: a variable, a template, a format, a call, a setting.
_REFERENCE = re.compile(
    r"^(?:\$|%[({sdr]|\{|\}|\[|\]|\(|<|@[\w-]+@|&\w+;|\\u|:$|%[A-Z_]+%$|\w*\{|[\w.]+\(|[\w.]+\["
    r"|[A-Za-z_]\w*=(?:[a-z_]+|[A-Z][a-z]+|\d+)$|\d{4}-\d\d-\d\d[T ]|arn:)"
    r"|\$\{|\{\{|%\(|\)$|\(\)|::|->|=>"
)
#: A name in another one, as code writes it.
_DOTTED = re.compile(r"[A-Za-z_]\w*\.\w{1,30}(?:\.\w{1,30})*")
#: A release, an issue of a repository, the name of a file, a pattern or path of such, of a zone,
#: an address within another one.
_NAMED = re.compile(
    r"v?\d+(?:[.:]\d+)+.*|[\w./-]*#\d.*|[\w./+-]*[/_-][\w./+-]*\.(?:[a-z]{1,4}|bz2|mp[34])|\*\.\w{1,8}"
    r"|(?:Africa|America|Antarctica|A(?:rc|tlan)tic|Asia|Australia|Etc|Europe|Indian|Pacific)"
    r"(?:/[A-Z][A-Za-z_+-]+)+"
    r"|https?%3[aA].*"
    r"|/(?:usr|etc|var|opt|home|lib\d*|s?bin|tmp|root|srv|mnt|run|Users|Library)/.*",
    re.DOTALL,
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]+")
_PARTS = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|\d+")
_TURNS = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_RISES = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CHANGES = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[a-z0-9])|(?<=[0-9])(?=[A-Za-z])")
#: Words of one case with lines between them, as code names things.
_IDENTIFIER = re.compile(
    r"_*(?:[a-z0-9]{0,14}_+)+[a-z0-9]{0,14}|_*(?:[A-Z0-9]{0,14}_+)+[A-Z0-9]{0,14}"
    r"|[a-z]{1,9}(?:-(?:[a-z]{1,9}|\d{1,4})){3,}"
)
#: Letters in which each word begins with a capital, as code names things, too.
_CAMEL = re.compile(r"[A-Za-z][a-z]+(?:[A-Z][a-z]+)+")
#: Characters of a word in it, at least, on the average.
_CAMEL_WORD = 3
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")
_VOWELS = re.compile(r"[aeiouyAEIOUY]")
#: What no word of a language has.
_UNSPOKEN = re.compile(
    r"q[^u]|[jqxz][bcdfghjklmnpqrstvwx]|[bcdfgjkmpqvwxz]{3}|[bcdfghjklmnpqrstvwxz]{5}"
)

#: Ways to keep, send or write something, which are no passwords: `password: sha256`.
_METHODS = re.compile(
    r"(?:hmac[-_]?)?(?:sha|md|utf|base|iso|rfc|aes|rsa|oauth|argon|pbkdf|bcrypt|scrypt|crypt"
    r"|http|ipv|x509|win|int|str|float|uint|char|u|i|f|col|row|step|line|page|var|arg|param|ed25519|latin|ascii|cp|key|id|level)"
    r"[-_]?\d+[a-z]{0,4}(?:[-_]\w{1,12})?",
    re.IGNORECASE,
)

#: Characters of the shortest random value, and of the shortest password.
RANDOM_LENGTH, PASSWORD_LENGTH = 16, 6
#: Turns from letters to digits and back that no name has.
_MANY_TURNS = 5
#: What stands before a hyphen in words that are no names: what follows may be an abbreviation.
_COMPOUND = re.compile(
    r"(?:non|pre|post|multi|semi|anti|self|sub|inter|cross|mid|case|special|upper|lower|mixed|plain"
    r"|double|single|high|low|long|short|e)-(?:[A-Za-z]{2,20}|[A-Za-z0-9]{2,4})(?:-[A-Za-z]{2,20})?",
    re.IGNORECASE,
)


def is_placeholder(value: str) -> bool:
    """Return True for what stands in the place of a secret: <key>, ${TOKEN}, xxxx, an example."""
    weak = _REFERENCE.search(value) or _WEAK_EXAMPLES.search(value)
    return weak is not None or is_example(value)


def is_example(value: str) -> bool:
    """Return True for what says of itself that it is none, or has less than four signs in all."""
    return _EXAMPLES.search(value) is not None or len(set(value)) < 4


def is_blank(value: str) -> bool:
    """Return True for what only shows the form of a secret: sk_live_xxxx, ghp_your-token-here."""
    return _BLANKS.search(value) is not None or len(set(value)) < 4


def is_reference(value: str, *, bare: bool) -> bool:
    """Return True for a name in another one; without quotes, whatever it looks like."""
    return _DOTTED.fullmatch(value) is not None and (bare or _is_read(value))


def is_named(value: str) -> bool:
    """Return True for a release, an issue of a repository, and the name of a file."""
    return _NAMED.fullmatch(value) is not None


def is_uuid(value: str) -> bool:
    """Return True for a UUID."""
    return _UUID.fullmatch(value) is not None


def is_url(value: str) -> bool:
    """Return True for an address with its scheme."""
    return _URL.match(value) is not None


def parts_of_url(value: str) -> list[str]:
    """Return the parts of an address behind its host."""
    return re.split(r"[/?&=#;]+", value)[2:]


def is_hex(value: str) -> bool:
    """Return True for what is written in hexadecimal digits alone, as digests are."""
    return _HEX.fullmatch(value.replace(":", "")) is not None


def entropy(value: str) -> float:
    """Return the bits of each character, by how often each occurs in the value (Shannon)."""
    counts = Counter(value).values()
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts)


def is_random(value: str) -> bool:
    """Return True for a value that no person has thought up: letters and digits mixed, no words."""
    core = value.rstrip("=")
    if len(core) < RANDOM_LENGTH or not _is_mixed(core):
        return False
    if is_hex(core):
        return len(core) >= 24 and entropy(core) > 2.8
    if ("@" in core and "." in core) or _UUID.search(core):  # an address, a resource's name
        return False
    return entropy(core) >= 3.0 and not _is_read(core)


def _is_mixed(value: str) -> bool:
    if not any(map(str.isalpha, value)):
        return False
    return any(map(str.isdigit, value)) or len(_RISES.findall(value)) * 5 >= len(value)


def _is_read(value: str) -> bool:
    """Return True if most of a value reads like words, names of files, or numbers."""
    if _IDENTIFIER.fullmatch(value):
        return True
    turns, changes = len(_TURNS.findall(value)), len(_CHANGES.findall(value))
    if (turns >= _MANY_TURNS and turns * 5 >= len(value)) or (
        changes * 2 >= len(value) and not _is_camel(value)
    ):
        return False
    signs = sum(map(str.isalnum, value))
    return sum(len(part) for part in _PARTS.findall(value) if _is_wordlike(part)) * 20 >= signs * 9


def _is_camel(value: str) -> bool:
    words = len(_RISES.findall(value)) + 1
    return _CAMEL.fullmatch(value) is not None and len(value) >= _CAMEL_WORD * words


def _is_wordlike(part: str) -> bool:
    """Return True for letters that may be a word, and for a long number."""
    if part.isdigit():
        return len(part) >= 5
    if len(part) < 4 - part[0].isupper():
        return False
    share = len(_VOWELS.findall(part)) / len(part)
    return 0.2 <= share <= 0.7 and not _UNSPOKEN.search(part.lower())


def is_compound(value: str) -> bool:
    """Return True for a word with a prefix, as prose has them: "non-ASCII", "pre-2FA"."""
    return _COMPOUND.fullmatch(value) is not None


def is_password(value: str) -> bool:
    """Return True for what a person may have thought up as a password: kinds of signs mixed."""
    if not PASSWORD_LENGTH <= len(value) <= 200:
        return False
    digits = any(map(str.isdigit, value))
    letters = any(map(str.isalpha, value))
    return letters and (_kinds(value) >= 3 or (digits and not _METHODS.fullmatch(value)))


def is_strong(value: str) -> bool:
    """Return True for a password that no name is: three kinds of signs at least, and a digit."""
    return any(map(str.isdigit, value)) and _kinds(value) >= 3 and is_password(value)


def _kinds(value: str) -> int:
    """Return how many kinds of signs a value has: small and capital letters, digits, others."""
    has = (any(map(kind, value)) for kind in (str.islower, str.isupper, str.isdigit))
    return sum(has) + (not value.isalnum())
