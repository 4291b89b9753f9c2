"""What a name has for a value in a file: line by line, by the forms that languages write; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

#: Characters of a value that are looked at, and definitions and lines of one name in a file.
LONGEST_VALUE, MOST_FOUND, MOST_LINES = 2000, 20, 200

_CLOSING = {"(": ")", "[": "]", "{": "}"}
_ASSIGNED = r"(?:\s*:\s*[^=\n]{1,80}?)?\s*(?::=|=(?!=))\s*"
#: The same where a type may follow the name without a colon.
_TYPED = r"(?:\s*:\s*[^=\n]{1,80}?|[ \t]+[\w.*\[\]]{1,60})?\s*(?::=|=(?!=))\s*"
#: Before an assigned name, in the languages that put words there.
_BEFORE = (
    r"(?:(?:export|default|pub(?:\([a-z]+\))?|public|private|protected|static|final|readonly|"
    r"const|constexpr|let|mut|var|val|declare|local|set|self\.|cls\.|this\.|#define|[A-Z]\w*|"
    r"int|long|double|float|bool|boolean|string|String|char)\s+){0,5}"
)
_DEFINED = (
    r"^[ \t]*(?:(?:export|default|pub(?:\([a-z]+\))?|public|private|protected|static|abstract|"
    r"async|unsafe|final)\s+)*(?:def|class|function\*?|func(?:\s*\([^)\n]*\))?|fn|struct|enum|"
    r"interface|trait|type|module|namespace|macro_rules!)\s+{name}\b"
)
_DEFINE = r"^[ \t]*#\s*define\s+{name}\s+(?P<value>.+)$"


@lru_cache(maxsize=256)
def _forms(name: str, suffix: str) -> tuple[re.Pattern[str], ...]:
    """Return the forms in which a file of that suffix gives a name a value."""
    word = re.escape(name)
    keyed = rf"^[ \t]*(?:-[ \t]+)?[\"']?{word}[\"']?[ \t]*:[ \t]*(?P<value>\S.*)$"
    equal = rf"^[ \t]*(?:export[ \t]+)?[\"']?{word}[\"']?[ \t]*[=:][ \t]*(?P<value>.*)$"
    assigned = rf"^[ \t]*{_BEFORE}{word}{_TYPED}(?P<value>\S.*)$"
    if suffix in (".yaml", ".yml", ".json", ".json5", ".jsonc"):
        found = [keyed, rf"[{{,]\s*\"{word}\"\s*:\s*(?P<value>[^\n]+)"]
    elif suffix in (".toml", ".ini", ".cfg", ".conf", ".env", ".properties", ".sh", ".bash", ""):
        found = [equal]
    elif suffix in (".py", ".pyi"):
        found = [rf"^[ \t]*{word}{_ASSIGNED}(?P<value>\S.*)$"]
    else:
        found = [assigned, _DEFINE.format(name=word), keyed]
    return tuple(re.compile(one, re.MULTILINE) for one in found)


def values(text: str, name: str, suffix: str) -> list[str]:
    """Return the values that a file gives a name, in its order; `Class.name` looks in the class.

    A name that is only defined (a function, a class) has the value "" once.
    """
    scope, _, last = name.rpartition(".")
    if last not in text:
        return []
    if scope:
        text = _inside(text, scope.rpartition(".")[2], suffix)
    found = [
        (match.start(), _whole(text, match.start("value")))
        for start, end in _lines(text, last)
        for form in _forms(last, suffix)
        for match in _first(form.finditer(text, start, end))
    ]
    if suffix in (".py", ".pyi") and not scope:
        # At the top of a module the name is the module's; what is further in may be another one.
        found = [one for one in found if text[one[0]] not in " \t"] or found
    if found:
        return [value for _, value in sorted(set(found))]
    defined = re.search(_DEFINED.replace("{name}", re.escape(last)), text, re.MULTILINE)
    return [""] if defined else []


def _lines(text: str, word: str) -> Iterator[tuple[int, int]]:
    """Yield where the lines that hold a word begin and end; the first `MOST_LINES` of them."""
    end = -1
    for _ in range(MOST_LINES):
        place = text.find(word, end + 1)
        if place < 0:
            return
        start = text.rfind("\n", 0, place) + 1
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        yield start, end


def _first(matches: Iterator[re.Match[str]]) -> list[re.Match[str]]:
    return [match for match, _ in zip(matches, range(MOST_FOUND), strict=False)]


def _inside(text: str, scope: str, suffix: str) -> str:
    """Return the lines of a class, a section or a mapping; nothing if there is no such one."""
    word = re.escape(scope)
    if suffix in (".toml", ".ini", ".cfg", ".conf"):
        head = re.search(rf"^[ \t]*\[+[^\]\n]*\b{word}\]+[ \t]*$", text, re.MULTILINE)
        if head is None:
            return ""
        rest = text[head.end() :]
        end = re.search(r"^[ \t]*\[", rest, re.MULTILINE)
        return rest[: end.start()] if end else rest
    head = re.search(
        r"^([ \t]*)(?:[^\n]*\b(?:class|struct|enum|impl|interface|object|const|var|let|type)"
        rf"\s+{word}\b"
        rf"|[\"']?{word}[\"']?\s*:)[^\n]*$",
        text,
        re.MULTILINE,
    )
    if head is None:
        return ""
    rest = text[head.end() :]
    indent = len(head[1])
    end = re.search(rf"^[ \t]{{0,{indent}}}[^\s#/)\]}}]", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def _whole(text: str, start: int) -> str:
    """Return a value from its first character: to the line's end, or to the bracket that closes."""
    depth: list[str] = []
    quote = ""
    end = start
    limit = min(len(text), start + LONGEST_VALUE)
    while end < limit:
        sign = text[end]
        if quote:
            if sign == "\\":
                end += 1
            elif text.startswith(quote, end):
                end += len(quote) - 1
                quote = ""
            elif sign == "\n" and len(quote) == 1:
                break
        elif sign in "\"'`":
            quote = sign * 3 if text.startswith(sign * 3, end) else sign
            end += len(quote) - 1
        elif sign in _CLOSING:
            depth.append(_CLOSING[sign])
        elif depth and sign == depth[-1]:
            depth.pop()
        elif not depth and (sign in "\n;" or sign in ",}])" or _comment(text, end, start)):
            break
        elif depth and sign == "#" and text[end - 1] in " \t\n":
            end = text.find("\n", end)
            if end < 0:
                return text[start:limit]
        end += 1
    return text[start : min(end, limit)]


def _comment(text: str, place: int, start: int) -> bool:
    if place == start or text[place - 1] not in " \t":
        return False
    return text[place] == "#" or text.startswith(("//", "/*", "-- "), place)


_TYPED_NUMBER = re.compile(r"(-?\d[\d_]*(?:\.\d+)?)(?:[uif](?:8|16|32|64|128|size)|[uUlLfF]{1,3})?")


def same(declared: str, found: str) -> bool:
    """Return True if two values are written alike, but for quotes, spaces and ways of a number."""
    return canonical(declared) == canonical(found)


def canonical(value: str) -> str:
    """Return a value without the ways of writing that do not change it."""
    text = re.sub(r"#[^\n]*\n", "\n", value.strip()) if "\n" in value else value.strip()
    if number := _TYPED_NUMBER.fullmatch(text):
        return number[1].replace("_", "")
    text = re.sub(r"\s+", "", text) if text[:1] in "([{" else " ".join(text.split())
    text = text.replace("'", '"')
    if text[:1] in "([{":
        text = re.sub(r",([)\]}])", r"\1", text)
    if len(text) >= 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        text = text[1:-1]
    return {"True": "true", "False": "false", "None": "null", "nil": "null"}.get(text, text)
