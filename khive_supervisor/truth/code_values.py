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

#: The form of Python's files, of any name: compiling one for each name would take longer.
_PYTHON = re.compile(
    rf"^[ \t]*(?P<name>\w+){_ASSIGNED}(?:\w+\s*=(?!=)\s*)*(?P<value>\S.*)$", re.MULTILINE
)


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
    python = suffix in (".py", ".pyi")
    found = [
        (match.start(), _whole(text, match.start("value"), commas=python))
        for start, end in _lines(text, last)
        for form in ((_PYTHON,) if python else _forms(last, suffix))
        for match in _first(form.finditer(text, start, end))
        if not python or match["name"] == last
    ]
    if python and not scope:
        # At the top of a module the name is the module's; what is further in may be another one.
        found = [one for one in found if text[one[0]] not in " \t"] or found
    elif python:
        # Further in are the arguments of methods, and of calls.
        found = [one for one in found if _indent_at(text, one[0]) == _indent_at(text)]
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
    if suffix in (".toml", ".ini", ".cfg", ".conf"):
        section = rf"^[ \t]*\[+[^\]\n]*\b{re.escape(scope)}\]+[ \t]*$"
        head = re.search(section, text, re.MULTILINE)
        return _until(r"^[ \t]*\[", text[head.end() :]) if head else ""
    for start, end in _lines(text, scope):
        line = text[start:end]
        if _begins(line, scope):
            indent = len(line) - len(line.lstrip(" \t"))
            return _until(rf"^[ \t]{{0,{indent}}}[^\s#/)\]}}]", text[end:])
    return ""


def _until(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return text[: found.start()] if found else text


def _indent_at(text: str, start: int = 0) -> str:
    """Return what stands before the first sign of a statement, after empty lines."""
    found = _INDENT.match(text, start)
    return found[1] if found else ""


#: The indent of a statement, after empty lines.
_INDENT = re.compile(r"\s*?^([ \t]*)(?=\S)", re.MULTILINE)
#: What begins a scope, with its name; and what follows the name of one that is a key.
_SCOPES = re.compile(r"\b(?:class|struct|enum|impl|interface|object|const|var|let|type)\s+(\w+)\b")
_KEY_ENDS = re.compile(r"[\"']?\s*:")


def _begins(line: str, scope: str) -> bool:
    """Return True if a line begins a class or a mapping of that name."""
    bare = line.lstrip(" \t\"'")
    if bare.startswith(scope) and _KEY_ENDS.match(bare, len(scope)):
        return True
    return any(found[1] == scope for found in _SCOPES.finditer(line))


def _whole(text: str, start: int, *, commas: bool = False) -> str:
    """Return a value from its first character: to the line's end, or to the bracket that closes.

    `commas`: they are part of it, as in the statements of Python.
    """
    depth: list[str] = []
    quote = ""
    end = start
    stops = "\n;}])" if commas else "\n;,}])"
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
        elif sign == "\\" and text.startswith("\n", end + 1):
            end += 1
        elif not depth and (sign in stops or _comment(text, end, start)):
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


#: The letters before a text, whose order says nothing.
_PREFIX = re.compile(r"^[bfruBFRU]{2}(?=[\"'])")
#: One value between parentheses, which could do without.
_ALONE = re.compile(r"\(\s*([bfru]{0,2}(?:\"[^\"\n\\]*\"|'[^'\n\\]*')|[\w.+-]+)\s*\)")


def _without_parentheses(text: str) -> str:
    found = _ALONE.fullmatch(text)
    return found[1] if found else text


def canonical(value: str) -> str:
    """Return a value without the ways of writing that do not change it."""
    text = re.sub(r"#[^\n]*\n", "\n", value.strip()) if "\n" in value else value.strip()
    if number := _TYPED_NUMBER.fullmatch(text):
        return number[1].replace("_", "")
    text = _without_parentheses(text.replace("\\\n", " "))
    text = re.sub(r"\s+", "", text) if text[:1] in "([{" else " ".join(text.split())
    text = _PREFIX.sub(lambda found: "".join(sorted(found[0].lower())), text)
    text = text.replace("'", '"')
    if text[:1] in "([{":
        text = re.sub(r",([)\]}])", r"\1", text)
    if len(text) >= 2 and text[0] == text[-1] == '"' and '"' not in text[1:-1]:
        text = text[1:-1]
    return {"True": "true", "False": "false", "None": "null", "nil": "null"}.get(text, text)
