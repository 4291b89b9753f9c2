"""What the bytes of a file are: text that can be read, or something that is called by its name."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

#: Bytes that are looked at to tell a text from a binary file.
PROBE = 8192
#: Of UTF-16 that is text, this share of signs is known; and of `_text_share`, so much is left.
_KNOWN_SHARE, _TEXT_SHARE = 0.98, 0.6
#: Byte order marks, and what follows them. UTF-32's begin as UTF-16's do, so they come first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: How files of well-known kinds begin. Some of them are ASCII, so no NUL gives them away.
_MAGIC = (
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF87a", "a GIF image"),
    (b"GIF89a", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"SQLite format 3\x00", "a SQLite database"),
    (b"\x7fELF", "a program"),
    (b"bplist00", "a binary property list"),
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS, not the file itself"),
)
#: What a zip archive with such a name in it is.
_ZIPPED = (
    (b"word/", "a Word document"),
    (b"xl/", "an Excel workbook"),
    (b"ppt/", "a PowerPoint presentation"),
    (b"application/epub+zip", "an EPUB book"),
    (b"application/vnd.oasis.opendocument", "an OpenDocument file"),
)
_CONVERT = "convert it first, for example with iconv -f {encoding} -t UTF-8"


class Unreadable(Exception):
    """The bytes are no text that is read here; the message says what they are."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a text is encoded, and how many bytes of a mark precede it."""

    name: str
    mark: int


def is_pdf(head: bytes) -> bool:
    """Return True for the beginning of a PDF."""
    return head.lstrip(codecs.BOM_UTF8 + b" \t\r\n\f\0")[:5] == b"%PDF-"


def encoding_of(head: bytes) -> Encoding:
    """Return the encoding of a text that begins with these bytes (PROBE of them suffice).

    Raises:
        Unreadable: it is no text, or a text without a mark that says how it is encoded.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return Encoding(name, len(mark))
    if known := kind_of(head):
        raise Unreadable(known)
    if b"\0" in head:
        raise Unreadable(_without_mark(head))
    return Encoding("utf-8", 0)


def kind_of(head: bytes) -> str:
    """Return what a file is that begins with these bytes, if that is well known; else nothing."""
    if head.startswith(b"PK\x03\x04"):
        return next((kind for name, kind in _ZIPPED if name in head), "a zip archive")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "a WebP image"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def _without_mark(head: bytes) -> str:
    """Return what a file with zeros in it is: UTF-16 if that makes text of it, of some script."""
    names = ("UTF-16LE", "UTF-16BE")
    shares = {name: _text_share(head[: len(head) // 2 * 2], name) for name in names}
    best = max(names, key=lambda name: shares[name])
    if shares[best] < _TEXT_SHARE:
        return "a binary file, not text"
    return f"{best} without a byte order mark; {_CONVERT.format(encoding=best)}"


def _text_share(data: bytes, encoding: str) -> float:
    """How much of a text the bytes make in an encoding, 0 to 1; half of it is how common it is.

    The wrong order of bytes makes rare signs of Latin letters, and blanks of nothing.
    """
    # The last character may be cut in two.
    text = data.decode(encoding, "replace").removesuffix("\N{REPLACEMENT CHARACTER}")
    if not text:
        return 0.0
    known = sum(sign.isprintable() or sign in "\t\n\r" for sign in text) / len(text)
    if known < _KNOWN_SHARE or "\0" in text:
        return 0.0
    blocks = len({ord(sign) >> 8 for sign in text}) / len(text)
    return known - blocks / 2


def decode(data: bytes) -> str:
    """Return the text of a whole file.

    Raises:
        Unreadable: see `encoding_of`; or some bytes are not of that encoding.
    """
    encoding = encoding_of(data[:PROBE])
    try:
        return data[encoding.mark :].decode(encoding.name)
    except UnicodeDecodeError as error:
        raise Unreadable(not_decoded(error, encoding)) from None


def not_decoded(error: UnicodeDecodeError, encoding: Encoding) -> str:
    """Return why a text could not be decoded, with the place in the file."""
    name = encoding.name.upper().removesuffix("-LE").removesuffix("-BE")
    hint = f"; {_CONVERT.format(encoding='ENCODING')}" if name == "UTF-8" else ""
    return f"not {name}: {error.reason} at byte {error.start + encoding.mark}{hint}"
