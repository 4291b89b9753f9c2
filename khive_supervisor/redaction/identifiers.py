"""What everybody may know, by its form or by the name before it: identifiers and digests; pure.

Nothing here is asked before something was taken for a secret, so that most texts do not pay for it.
"""

from __future__ import annotations

import hashlib
import re

#: Characters before a value in which its name, or what it is a part of, is looked for.
_BEFORE = 200
#: A resource's name at Amazon, up to a place in it.
_IN_ARN = re.compile(r"\barn:[\w-]*:[\w-]*:[\w-]*:[\w+.@:/*$-]*$")
#: What names an algorithm before its digest: `sha512-...`, `SHA256:...`.
_IN_DIGEST = re.compile(r"\b(?:sha-?\d{1,3}|md5|blake\w{1,4}|xxh\w{1,4})[-:=]$", re.IGNORECASE)
_IDENTITY = (
    r"(?:(?<![A-Za-z])(?:ids?|ID|arn|ARN|uid|UID|guid|GUID|urn|[eE][tT]ag|[iI]dentifier|[vV]ersion"
    r"|[fF]ingerprint|[nN]once)"
    r"|[a-z](?:Ids?|ID|Arn|ARN|Uid|UID|Guid|Identifier|VersionId)"
    r"|(?:client|session|user|request|trace|span|key|token|account|tenant|object|message|event"
    r"|device|credential|correlation|run|build|job)id)(?:-\d)?"
)
_GIVEN = r"\\?[\"'`\])]{0,3}(?:\s{0,3}(?:=>|:=|[:=]|\bis\b)\s{0,3}|\s{1,3})\\?[\"'`\[({]{0,4}$"
#: A name that says that its value is an identifier, and what leads to the value.
_IDENTIFIED = re.compile(_IDENTITY + _GIVEN)
_IDENTITY_END = re.compile(_IDENTITY + r"$")
#: But these are what one is let in by.
_ENTRY = re.compile(r"secret[ _-]?id|cookie", re.IGNORECASE)
#: Names of resources that programs make: words, and a number in hexadecimal digits or a short one.
_RESOURCE = re.compile(
    r"[A-Za-z][A-Za-z0-9]{0,15}(?:[-/.][A-Za-z][A-Za-z0-9]{0,15})*"
    r"(?:[-/][0-9a-f]{8}|[-/][0-9a-f]{16,17}|-[0-9a-f]{8,10}-[a-z0-9]{5})"
    r"|A(?:IDA|ROA|GPA|IPA|NPA|NVA|PKA|SCA|CCA)[A-Z0-9]{12,17}"
    r"|AAAA[BCEG][0-9A-Za-z]Nz[\w+/=]*|AAAAE2Vj[\w+/=]*|.*\.apps\.googleusercontent\.com"
)
_CODE = re.compile(r"&&|\.length\b")
_CALLED = re.compile(r"[A-Za-z_][\w.]*")
_ANCHOR = re.compile(r"(?:href=[\"']?|\]\()[^\s\"'()]*#$")
#: Keys and other things in PEM's armour that are made to be shown, and a manual's key.
_PUBLIC_BLOCK = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}(?:CERTIFICATE(?: REQUEST)?|PUBLIC KEY(?: BLOCK)?|CRL|MESSAGE"
    r"|SIGNATURE|PARAMETERS|PRIVATE KEY-----(?:\s|\\+[nrt])*EXAMPLE)(?:-----)?"
    r"(?:(?:\s|\\+[nrt])*[A-Za-z0-9+/=]{24,})*"
)
_BASE64_BEFORE = re.compile(r"[A-Za-z0-9+/]{0,76}$")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{40,200}")
#: Examples of standards and manuals that have no mark: the first 16 digits of their SHA-256.
_PUBLISHED = frozenset(
    {
        # RFC 6749
        "a35b81a7d7927b70", "6c96130f130ab0d6", "00cf4c781dc37003", "ca7459e2b26776de",
        "53f5da0aaa93d64c", "e9974c507d2a8021",
        # RFC 6750, 7617, 7636, 6455
        "b8e148545b13c78b", "cf4d418ed3de92d7", "ad62d48d8b069026", "687da00b09c83361",
        "13d31e961a1ad8ec", "0d299b1eb548708d", "15cef4b629cc2d07", "507e2ce3c522082b",
        # RFC 7519, jwt.io (two generations), PyJWT
        "8d4ef6536dc8895f", "7f75367e78812551", "da816f9f2c16e6c5", "c794fa6d20c64efb",
        "bf145d9380bbe05b", "5d85794fc96254df",
        # the emulators of Azure's storage and Cosmos DB
        "0011cc25eb432071", "aa6547439583c3a2",
    }
)  # fmt: skip


def is_published(value: str) -> bool:
    """Return True for an example that everybody copies out of a standard or a manual."""
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:16] in _PUBLISHED


def is_named_so(name: str) -> bool:
    """Return True for the name of a field whose value is an identifier."""
    return _IDENTITY_END.search(name) is not None and not _ENTRY.search(name)


def is_part(text: str, start: int, end: int) -> bool:
    """Return True for a part of a resource's name, for a digest, and for a published example."""
    before = text[max(0, start - _BEFORE) : start]
    if _IN_ARN.search(before) or _IN_DIGEST.search(before):
        return True
    return is_published(text[start:end])


def is_identifier(text: str, start: int, end: int) -> bool:
    """Return True for what is so by its form, or by what stands before or after it."""
    if is_part(text, start, end):
        return True
    value, before = text[start:end], text[max(0, start - _BEFORE) : start].rpartition("\n")[2]
    if _RESOURCE.fullmatch(value) or _CODE.search(value):
        return True
    if text[end : end + 1] == "(" and _CALLED.fullmatch(value):
        return True
    if before.endswith("#") and _ANCHOR.search(before):
        return True
    return _IDENTIFIED.search(before) is not None and not _ENTRY.search(before)


def public_blocks(text: str) -> list[tuple[int, int]]:
    """Return where certificates, public keys and the like are."""
    return [found.span() for found in _PUBLIC_BLOCK.finditer(text)] if "-----B" in text else []


def base64_around(text: str, start: int, end: int) -> str:
    """Return the long run of base64 that a part of a text is in; empty: it is in none."""
    left = _BASE64_BEFORE.search(text, max(0, start - 76), start)
    found = _BASE64.match(text, start if left is None else left.start())
    return found[0] if found is not None and found.end() >= end else ""
