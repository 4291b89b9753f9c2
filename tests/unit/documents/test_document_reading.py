"""Files of all kinds: what is text is read, and what is not is called by its name."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_supervisor.documents import pdf, reading
from khive_supervisor.documents.encodings import Unreadable, decode
from khive_supervisor.documents.model import DocumentProblem, LeftOut
from khive_supervisor.documents.reading import read
from khive_supervisor.documents.walk import DocumentSource, name_of


def read_file(path: Path, form: str = "text", root: str | None = None) -> list[Any]:
    return list(read(DocumentSource(str(path), name_of(str(path)), form, 0, root), lambda _: None))


def contents(items: list[Any]) -> list[str]:
    return [item["content"] for item in items if isinstance(item, dict)]


TEXT = "Ünïcode – 字\n"


@pytest.mark.parametrize("form", ["text", "markdown", "jsonl"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_text_with_a_mark_is_read(tmp_path: Path, encoding: str, form: str) -> None:
    written = TEXT if form != "jsonl" else '{"content": "' + TEXT.strip() + '"}\n'
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (tmp_path / "f").write_bytes(mark + written.encode(encoding))
    assert contents(read_file(tmp_path / "f", form)) == [TEXT.strip()]


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x")
    return file.getvalue()


NO_TEXT = {
    "UTF-16LE without": "plain text".encode("utf-16-le"),
    "UTF-16BE without": "plain text\nof two lines".encode("utf-16-be"),
    "UTF-16LE without a": "Русский текст, 日本\n".encode("utf-16-le"),
    "UTF-16BE without a": "Ein Satz.\n".encode("utf-16-be"),
    "not UTF-8": "café".encode("latin-1"),
    "not UTF-8: ": "日本".encode("shift-jis"),
    "not UTF-16": b"\xff\xfea",
    "a binary file": b"\0\1\2",
    "a binary file, ": bytes(range(256)) * 4,
    "a Word document": zipped("word/document.xml"),
    "an Excel workbook": zipped("xl/workbook.xml"),
    "an EPUB book": zipped("mimetypeapplication/epub+zip"),
    "a zip archive": zipped("a.txt"),
    "a gzip archive": gzip.compress(b"text"),
    "a PNG image": b"\x89PNG\r\n\x1a\n",
    "a JPEG image": b"\xff\xd8\xff\xe0",
    "an RTF document": b"{\\rtf1\\ansi text}",
    "a PostScript file": b"%!PS-Adobe-3.0\n",
    "a SQLite database": b"SQLite format 3\0",
    "a program": b"\x7fELF\2\1",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
}


@pytest.mark.parametrize("form", ["text", "markdown", "jsonl"])
@pytest.mark.parametrize("what", NO_TEXT)
def test_what_is_no_text_is_called_by_its_name(tmp_path: Path, what: str, form: str) -> None:
    (tmp_path / "f").write_bytes(NO_TEXT[what])
    (problem,) = read_file(tmp_path / "f", form)
    assert isinstance(problem, DocumentProblem)
    assert problem.why.startswith(what)
    if "without" in what:
        assert f"iconv -f {what.split()[0]} -t UTF-8" in problem.why


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(decode(data), str)


@given(
    st.text(st.characters(exclude_characters="\0"), max_size=200),
    st.sampled_from(["utf-8-sig", "utf-16"]),
)
def test_any_marked_text_is_read_whole(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding, "replace")) == text.encode(encoding, "replace").decode(
        encoding
    )


def test_an_empty_file_is_left_out(tmp_path: Path) -> None:
    for number, data in enumerate([b"", b"\n \n", b"\xef\xbb\xbf"]):
        (tmp_path / f"{number}.md").write_bytes(data)
        assert read_file(tmp_path / f"{number}.md", "markdown") == [
            LeftOut(str(tmp_path / f"{number}.md"), "empty", ".md")
        ]


def test_a_file_that_is_too_large_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SIZE_LIMIT", 10)
    (tmp_path / "f").write_text("more than ten")
    (problem,) = read_file(tmp_path / "f")
    assert "too large" in problem.why


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    (problem,) = read_file(tmp_path / "nothing")
    assert problem.why == "No such file or directory"


# --- pipes ---------------------------------------------------------------------------------------


def from_pipe(path: Path, notes: list[str]) -> list[Any]:
    return list(read(DocumentSource(str(path), "", "text", 0), notes.append))


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("x" * 100_000,))
    writer.start()
    assert len("".join(contents(from_pipe(tmp_path / "pipe", [])))) == 100_000
    writer.join()


def test_a_pipe_without_a_writer_ends_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PIPE_NOTE", 0.0)
    monkeypatch.setattr(reading, "PIPE_IDLE", 0.0)
    os.mkfifo(tmp_path / "pipe")
    notes: list[str] = []
    (problem,) = from_pipe(tmp_path / "pipe", notes)
    assert "nothing came" in problem.why
    assert str(tmp_path / "pipe") in notes[0]


# --- PDF -----------------------------------------------------------------------------------------


def write_pdf(path: Path, pages: list[str], change: Callable[[Any], None] | None = None) -> None:
    """A PDF with a line of text on each page."""
    import pypdf
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = pypdf.PdfWriter()
    font = DictionaryObject(
        {NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1"),
         NameObject("/BaseFont"): NameObject("/Helvetica")}
    )  # fmt: skip
    for text in pages:
        page = writer.add_blank_page(200, 200)
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if change is not None:
        change(writer)
    writer.write(str(path))


def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    def titled(writer: Any) -> None:
        writer.add_metadata({"/Title": "Heron manual"})

    write_pdf(tmp_path / "a.pdf", ["first page", "", "third page"], titled)
    items = read_file(tmp_path / "a.pdf", "pdf")
    found = [(i["title"], i["content"], i["locator"]) for i in items if isinstance(i, dict)]
    assert found == [
        ("Heron manual > page 1", "first page", "page 1"),
        ("Heron manual > page 3", "third page", "page 3"),
    ]
    assert [item.why for item in items if isinstance(item, LeftOut)] == [
        "a page of a PDF without text"
    ]


def test_a_pdf_under_another_suffix_is_none_of_its_text(tmp_path: Path) -> None:
    write_pdf(tmp_path / "a.txt", ["the page"])
    assert contents(read_file(tmp_path / "a.txt", "text")) == ["the page"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"%PDF-1.4\n" + b"garbage " * 50, "a broken PDF"),
        (b"%PDF-1.4\ntrailer << /Root 1 0 R >>\nstartxref\n0\n%%EOF", "a broken PDF"),
        (b"%PDF-1.4\n", "a broken PDF"),
    ],
)
def test_a_broken_pdf_is_a_problem(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "a.pdf").write_bytes(data)
    (problem,) = read_file(tmp_path / "a.pdf", "pdf")
    assert isinstance(problem, DocumentProblem)
    assert problem.why.startswith(why)


def test_an_encrypted_pdf_is_a_problem(tmp_path: Path) -> None:
    write_pdf(
        tmp_path / "a.pdf", ["secret"], lambda writer: writer.encrypt("x", algorithm="RC4-40")
    )
    (problem,) = read_file(tmp_path / "a.pdf", "pdf")
    assert problem.why == "a PDF that needs a password"


def test_a_pdf_that_takes_for_ever_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def for_ever(argv: list[str], **options: Any) -> None:
        assert argv[0] == sys.executable
        raise subprocess.TimeoutExpired(argv, options["timeout"])

    monkeypatch.setattr(pdf.subprocess, "run", for_ever)
    write_pdf(tmp_path / "a.pdf", ["x"])
    (problem,) = read_file(tmp_path / "a.pdf", "pdf")
    assert "takes more than" in problem.why


def test_without_the_extra_a_pdf_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "available", lambda: False)
    write_pdf(tmp_path / "a.pdf", ["x"])
    (named,) = read_file(tmp_path / "a.pdf", "pdf")
    assert named == DocumentProblem(str(tmp_path / "a.pdf"), pdf.NEEDED)
    (found,) = read_file(tmp_path / "a.pdf", "pdf", root=str(tmp_path))
    assert found == LeftOut(str(tmp_path / "a.pdf"), pdf.NEEDED, ".pdf")
