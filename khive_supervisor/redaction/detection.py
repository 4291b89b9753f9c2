"""Finds secrets in a text: by their forms, and by what is said beside them; pure.

A finding never carries the value: only its rule and its place.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from khive_supervisor.redaction import columns, identifiers, values
from khive_supervisor.redaction.forms import TYPED, Form, possible
from khive_supervisor.redaction.labels import STEMS, Label, Tells, labels, told_by

#: The rules of what is found by the words beside it.
ASSIGNED, BESIDE = "assigned-secret", "secret-beside-its-name"
#: The rule of a text in base64 with a secret in it.
ENCODED = "encoded-secret"
#: What every mask begins with; nothing that does is found again.
MASK = "[masked "

#: Between a label and its value: an assignment of a programming language, a file, a header, a verb.
_SEPARATOR = re.compile(
    r"""["'`\])*]{0,3}(?:
        \s{0,4}(?:=>|:=|={1,3}|:{1,2}|->|\|)\s{0,4}
        (?:[\w.\[\], |?]{1,30}\s=\s)?(?:\\?["'`]|[bfru]{1,2}["'])?
      | \((?:[\w.]+,\s*)?[bfru]?["']
      | ["'\s,]{1,12}value["']?\s*[:=]\s*["']?
      | >\s*
    )""",
    re.VERBOSE,
)
#: The same in sentences: what leads from a label to its value.
_SAID = re.compile(
    r"""["'`)]?(?:\s(?:for|of|to|on|in|at|from|für|von|zum|zur|del?|para|pour)\s[^\n:=]{1,60}?)?
        (?:(?:\s(?:is|was|are|be|now|set|changed|became|becomes|still|reset|to|as|equals|using|with
            |reads|lautet|ist|es)){1,4}
        (?:\s(?:now|set|still|to|currently))?\s?:?
        |(?<=[^\s:=])\s?[:=])\s+["'`*(]{0,3}""",
    re.VERBOSE | re.IGNORECASE,
)
#: A name and its password after what lets in: "the login is ada / X".
_PAIR = re.compile(
    r"[^\n/]{0,40}?(?:\s(?:is|are|was|now|with)|[:=])\s+[\w.@+-]{2,40}\s?/\s?(?P<value>[^\s/,;]{8,80})"
)
#: A label that its value follows as the next word: `--password X`, `login ada password X`.
_NEXT = re.compile(r"""[:]?[ \t]+["'`(]?""")
#: A value on a line of its own, after a label at the end of another one.
_BELOW = re.compile(
    r"""["'`*)]{0,3}\s?(?:is|are)?\s?[:=|>]?[ \t]*(?:below)?[:.]?\r?\n
        \s*(?:```\w*\s*|[-*>]\s+)?["'`]?(?=\S+\s*(?:\n|$|["'`]))""",
    re.VERBOSE,
)
_QUOTES = "\"'`"
_QUOTED = re.compile(r"[^\"'`\n\\<>]{1,4000}")
_BARE = re.compile(r"[^\s\"'`,;<>()\[\]{}|\\]{1,4000}")
#: Words that may be random, and only then secrets.
_CANDIDATE = re.compile(
    r"(?:(?<=\\)[nrt])?(?P<value>[A-Za-z0-9][A-Za-z0-9+/_.~%!@#$^&*-]{14,}={0,2})"
)
#: What makes a number in hexadecimal digits one that everybody may know.
_DIGESTS = re.compile(
    r"sha-?\d|sha\b|sha_|md5|digest|checksum|commit|hash|integrity|etag|fingerprint|revision|\brev\b"
    r"|blake|crc|uuid|guid|\btree\b|\bblob\b|\boid\b|\bgit\b|request.?id|trace|span|node|color|magic"
    r"|nonce|version|build"
)
#: What everybody may know, however random it looks.
_PUBLIC = re.compile(r"public|certificate|ssh-(?:rsa|ed25519|dss)|ecdsa-sha|begin cert")
_NAME = re.compile(r"[A-Za-z_$][A-Za-z_$]*\d{0,3}")
#: A password that comes before its name: "use X as the password".
_BEFORE = re.compile(
    r"""(?:^|[\s"'`(])(?P<value>[^\s"'`()<>]{6,80})["'`)]{0,2}\s(?:as|for|is|was|=|ist|als)\s"""
    r"""(?:(?:the|a|an|my|our|your|its|their|das|dein)\s)?(?:[\w'-]+\s){0,2}$""",
    re.IGNORECASE,
)
#: A part of an address that something else is put in the place of.
_TEMPLATE = re.compile(
    r"^[$%{<\[(*]|^fileb?://|[}>\])]$|^(?:pass(?:word)?|passwd|pwd|pw|secret|token)\d?$",
    re.IGNORECASE,
)
#: How objects of JSON and keys in PEM's armour begin in base64.
_ENCODED_WORDS = ("eyJ", "eyI", "ewo", "ewk", "ewog", "LS0tLS1CRUdJ")
_ENCODED = re.compile(
    r"(?<![A-Za-z0-9+/])(?:ey[IJ]|ew[ko]|LS0tLS1CRUdJ)[A-Za-z0-9+/]{37,32768}={0,2}(?![\w.+/-])"
)
#: What a private key in base64 has, and a remark in its place has not.
_KEY_TEXT = re.compile(r"(?=[a-z0-9+/=]*[A-Z])[A-Za-z0-9+/=]{12}")
#: Names of UUIDs that let in whoever has them.
_UUID_SECRETS = {
    Tells.LITTLE: re.compile(r"secret[ _-]?id\W{0,6}$"),
    Tells.SECRET: re.compile(
        r"key|secret|(?:access|auth|api|bearer|refresh|personal|bot|deploy)[ _-]?token|bearer"
    ),
}
#: Characters of a value by which it is judged.
_JUDGED = 128
#: Labels of so many characters that are looked at: who writes more of them means none.
_LABELS, _AMONG = 16, 200
#: Characters of a line that are looked at on each side of a label.
_LEFT, _RIGHT = 80, 160


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A secret in a text: where it begins and ends, and the rule that found it."""

    start: int
    end: int
    rule: str


def find(text: str) -> list[Finding]:
    """Return the secrets of a text in order; none overlaps another one."""
    lowered = text.lower()
    if len(lowered) != len(text):  # a few letters have another length so; their places would shift
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    found = list(_by_form(text))
    if any(stem in lowered for stem in STEMS):
        found += _by_label(text, lowered)
    return _apart(found)


def find_value(name: str, value: str) -> list[Finding]:
    """Return the secrets of a field's value, which is one as a whole if the name says so."""
    tells = told_by(name)
    if tells is Tells.LITTLE and identifiers.is_named_so(name):
        tells = None
    if tells is not None and _is_secret(value, tells, bare=False, near=name.lower()):
        return [Finding(0, len(value), ASSIGNED)]
    return find(value)


def place(text: str, start: int) -> tuple[int, int]:
    """Return the line and the column of a character, both from 1."""
    line = text.count("\n", 0, start) + 1
    return line, start - text.rfind("\n", 0, start)


def masked(text: str, findings: list[Finding]) -> str:
    """Return a text with the name of its rule in the place of each secret."""
    parts, end = [], 0
    for one in findings:
        parts += [text[end : one.start], MASK, one.rule, "]"]
        end = one.end
    return "".join([*parts, text[end:]])


def _apart(found: list[Finding]) -> list[Finding]:
    kept: list[Finding] = []
    for one in sorted(found, key=lambda f: (f.start, -f.end)):
        if not kept or one.start >= kept[-1].end:
            kept.append(one)
    return kept


# --- by form --------------------------------------------------------------------------------------


def _by_form(text: str) -> Iterator[Finding]:
    for form in possible(text):
        yield from _of_form(form, text)
    if any(word in text for word in _ENCODED_WORDS):
        yield from _encoded(text)


def _encoded(text: str) -> Iterator[Finding]:
    """Return objects and keys in base64 that have a secret in them."""
    for found in _ENCODED.finditer(text):
        with suppress(ValueError):
            whole = found[0].rstrip("=")
            decoded = binascii.a2b_base64(whole[: len(whole) // 4 * 4]).decode()
            if find(decoded):
                yield Finding(*found.span(), ENCODED)


def _of_form(form: Form, text: str) -> Iterator[Finding]:
    for found in form.pattern.finditer(text):
        start, end = found.span("secret" if "secret" in form.pattern.groupindex else 0)
        value = text[start:end]
        if value.startswith(MASK) or not value.strip() or identifiers.is_published(value):
            continue
        if form.rule == "private-key":
            if _is_key_text(value):
                yield Finding(start, end, form.rule)
        elif not values.is_blank(value) if form.exact else _is_told(form, value):
            yield Finding(start, end, form.rule)


def _is_key_text(value: str) -> bool:
    """Return True for something in base64; not for three dots, a remark, code, an example."""
    if "..." in value or "EXAMPLE" in value or len(re.findall(r"[A-Za-z0-9+/=]", value)) < 12:
        return False
    return _KEY_TEXT.search(value) is not None or not re.search(r"[a-z] [a-z]|\(", value)


def _is_told(form: Form, value: str) -> bool:
    """Return True if a value of a form that others share is a secret by itself, too."""
    if values.is_example(value):
        return False
    if form.rule in TYPED:
        plain = value.isdigit() or (value.isalpha() and (value.islower() or value.isupper()))
        return not _TEMPLATE.search(value) and (not plain or len(value) >= 12)
    if values.is_placeholder(value):
        return False
    if _is_basic(value):
        return True
    return values.is_random(value) or (values.is_hex(value) and len(value) >= 24)


def _is_basic(value: str) -> bool:
    """Return True for a name and a password as HTTP's basic authentication has them."""
    try:
        decoded = binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        return False
    name, colon, password = decoded.partition(b":")
    return bool(colon and password) and decoded.isascii() and name.decode().isprintable()


# --- by label -------------------------------------------------------------------------------------


def _by_label(text: str, lowered: str) -> Iterator[Finding]:
    blocks = identifiers.public_blocks(text)
    for label in _apart_labels(lowered):
        around = identifiers.base64_around(text, label.start, label.end)
        if around and values.is_random(around):
            continue
        for one in _of_label(text, lowered, label):
            if not any(start <= one.start < end for start, end in blocks):
                yield one


def _apart_labels(lowered: str) -> Iterator[Label]:
    """Return the labels, but of many within a few characters only some."""
    starts = [-_AMONG] * _LABELS
    for number, label in enumerate(labels(lowered)):
        if label.start - starts[number % _LABELS] >= _AMONG:
            starts[number % _LABELS] = label.start
            yield label


def _of_label(text: str, lowered: str, label: Label) -> Iterator[Finding]:
    direct = _direct(text, lowered, label)
    if direct is not None:
        yield direct
    elif label.tells is Tells.PASSWORD:
        yield from _before(text, label)
        yield from _in_column(text, label)
    elif lowered.startswith(("login", "credential"), label.start):
        yield from _in_pair(text, label)
    yield from _beside(text, lowered, label)


def _line_around(text: str, label: Label) -> tuple[int, int]:
    """Return where the line of a label begins and ends, or what of it is near enough."""
    first, last = max(0, label.start - _LEFT), min(len(text), label.end + _RIGHT)
    end = text.find("\n", label.end, last)
    return max(text.rfind("\n", first, label.start) + 1, first), last if end < 0 else end


def _before(text: str, label: Label) -> Iterator[Finding]:
    """Return a password that stands before what says that it is one."""
    begin, _ = _line_around(text, label)
    found = _BEFORE.search(text[begin : label.start])
    if found is not None:
        start, end = found.span("value")
        value = found["value"]
        if values.is_password(value) and not values.is_placeholder(value):
            yield Finding(begin + start, begin + end, BESIDE)


def _in_column(text: str, label: Label) -> Iterator[Finding]:
    """Return the passwords of a table that are below what says that they are."""
    for start, end in columns.below(text, label.start, label.end):
        value = text[start:end]
        if values.is_password(value) and not _is_said(value):
            yield Finding(start, end, BESIDE)


def _in_pair(text: str, label: Label) -> Iterator[Finding]:
    """Return a password that stands behind a name, after what lets in both."""
    found = _PAIR.match(text, label.end)
    if found is not None and values.is_strong(found["value"]) and not _is_said(found["value"]):
        yield Finding(*found.span("value"), BESIDE)


def _is_said(value: str) -> bool:
    """Return True for words and what stands in the place of something."""
    return " " in value or values.is_placeholder(value) or values.is_named(value)


def _direct(text: str, lowered: str, label: Label) -> Finding | None:
    """Return the value that a label is given, if it is a secret."""
    for separator in (_SEPARATOR, _SAID, _NEXT, _BELOW):
        led = separator.match(text, label.end)
        found = None if led is None else _value(text, led)
        if led is None or found is None:
            continue
        if separator is _NEXT and text.startswith("--", found[0]):
            continue  # another option
        assigned = separator is _SEPARATOR
        quoted = text[led.end() - 1] in _QUOTES
        # A line of an environment's file, a connection string: nothing in it is an expression.
        plain = (
            text[label.start : label.end].isupper() or text[label.start - 1 : label.start] == ";"
        )
        env = assigned and plain and led[0] == "="
        start, end = found
        near = lowered[max(0, label.start - _LEFT) : start].rpartition("\n")[2]
        value = text[start : min(end, start + _JUDGED)]
        little = label.tells is Tells.LITTLE
        known = identifiers.is_identifier if little else identifiers.is_part
        if _is_secret(
            value, label.tells, bare=not quoted and not env, near=near, said=not assigned
        ) and not known(text, start, end):
            return Finding(start, end, ASSIGNED)
    return None


def _value(text: str, led: re.Match[str]) -> tuple[int, int] | None:
    """Return where the value begins and ends that follows a separator; None: there is none."""
    quoted = text[led.end() - 1] in _QUOTES
    found = (_QUOTED if quoted else _BARE).match(text, led.end())
    if found is None or found[0].startswith(MASK.rstrip()):
        return None
    if quoted:
        return found.span()
    called = text[found.end() : found.end() + 1] in ("(", "[")
    return None if called else (found.start(), found.start() + len(found[0].rstrip(".:")))


def _is_secret(value: str, tells: Tells, *, bare: bool, near: str, said: bool = False) -> bool:
    """Return True if a value is what its label tells of."""
    if values.is_placeholder(value) or (" " in value and tells is not Tells.PASSWORD):
        return False
    if values.is_reference(value, bare=bare and not said) or (bare and values.is_named(value)):
        return False
    if values.is_url(value):
        return any(_is_beside(part, tells, near) for part in values.parts_of_url(value))
    if values.is_uuid(value):
        return tells is Tells.PASSWORD or _UUID_SECRETS[tells].search(near) is not None
    if tells is Tells.LITTLE:
        return _is_beside(value, tells, near)
    if values.is_random(value):
        return not values.is_hex(value) or not _DIGESTS.search(near)
    if bare and _NAME.fullmatch(value) and not (tells is Tells.PASSWORD and value[-1].isdigit()):
        return False
    if tells is Tells.PASSWORD:
        said_so = said and values.is_compound(value)
        return values.is_password(value) and " " not in value and not said_so
    return not said and _is_mixed(value)


def _is_mixed(value: str) -> bool:
    """Return True for letters and digits in turn, too short to be sure without a label."""
    changes = len(re.findall(r"[A-Za-z]\d|\d[A-Za-z]", value))
    return len(value) >= 10 and changes >= 3 and value.isascii()


def _beside(text: str, lowered: str, label: Label) -> Iterator[Finding]:
    """Return what is random in the line of a label, near to it."""
    begin, end = _line_around(text, label)
    for found in _CANDIDATE.finditer(text, begin, end):
        start, last = found.span("value")
        value = found["value"].rstrip(".,")
        if text[last : last + 1].isalnum():  # an assignment, and no padding
            value = value.rstrip("=")
        # Whole words only: a piece of a longer one is no value of its own.
        cut = last == end < len(text) and text[end : end + 1].isalnum()
        overlaps = start < label.end and last > label.start
        within = 0 < begin == start and (text[begin - 1].isalnum() or text[begin - 1] in "-_./+~")
        if cut or overlaps or within:
            continue
        if "/" in text[start - 2 : start] or text.startswith("...", last):
            continue  # a part of an address, or only the beginning of something
        near = lowered[max(begin, start - _LEFT) : min(end, last + 20)]
        last = start + len(value)
        if _is_beside(value, label.tells, near) and not identifiers.is_identifier(
            text, start, last
        ):
            yield Finding(start, last, BESIDE)


def _is_beside(value: str, tells: Tells, near: str) -> bool:
    if values.is_placeholder(value) or values.is_named(value) or _PUBLIC.search(near):
        return False
    if not values.is_random(value) or values.is_reference(value, bare=False):
        return False
    if values.is_hex(value):
        return tells is not Tells.LITTLE and not _DIGESTS.search(near)
    return len(value) >= 20 or tells is not Tells.LITTLE
