"""Remove secrets from text before it is stored, shown or sent.

It works by value (every secret that closeout has read, also in encoded form) and by shape (anything that looks like a token
of GitHub's or AWS's). It is the last step, so that no writer has to think of it.

Encodings are decoded instead of listed: a text is searched unchanged, and again after escape sequences are removed and
JSON, URL, HTML and Python escapes are decoded, up to twice. A find is masked in the original text.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote

from closeout.core.terminal import HIDDEN, INTRODUCED

MASK = "***"
SHORT = 6
"""A shorter secret is masked only where it is a word of its own: inside words it would garble everything."""
PIECE = 8
"""Characters of a secret's base64 or hexadecimal that are masked anywhere, because tools break both into lines."""
_ROUNDS = 50
_DECODINGS = 2

Span = tuple[int, int]
Stretch = tuple[int, int, int]


class _Shape(NamedTuple):
    """A pattern, of which the group is masked. It is tried only if the text in lower case contains a needle."""

    needles: tuple[str, ...]
    pattern: re.Pattern[str]


_NAMED = (
    r"(?i)\b(?:aws_?secret_?access_?key|secret_?access_?key|aws_?session_?token|session_?token"
    r"|x-github-encoded-secret|x-amz-security-token)[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9/+_=.-]{8,})"
)
_IN_URL = r"(?i)[?&;](?:x-amz-)?(?:signature|credential|security-token|access_token|token)=([^&\s\"'<>#]+)"
# Both dots are checked once, where a part begins: otherwise each `eyJ` of a row would look for them again.
_JWT = (
    r"(?<![A-Za-z0-9_-])(?=[A-Za-z0-9_-]{11,}+\.[A-Za-z0-9_-]{8,}+\.)"
    r"[A-Za-z0-9_-]*?\b(eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*+)"
)
_SHAPES = tuple(
    _Shape(tuple(needles.split()), re.compile(pattern))
    for needles, pattern in (
        (
            "-----begin",
            r"(-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z))",
        ),
        ("gh", r"\b(gh[a-z]_[A-Za-z0-9][A-Za-z0-9_.-]{15,})"),
        ("github_pat_", r"\b(github_pat_[A-Za-z0-9_]{16,})"),
        ("closeout_", r"\b(closeout_[A-Za-z0-9_-]{40,}\.[A-Za-z0-9_-]{40,})"),
        ("/login?code=", r"/login\?code=([A-Za-z0-9_.-]+)"),
        ("akia asia abia acca", r"\b((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})\b"),
        ("eyj", _JWT),
        ("sha256=", r"\bsha256=([0-9a-fA-F]{64})"),
        ("sha1=", r"\bsha1=([0-9a-fA-F]{40})"),
        ("authorization", r"(?i)\b(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?([^\"'\r\n]+)"),
        ("secret session token", _NAMED),
        ("signature= credential= token=", _IN_URL),
        ("<", r"(?i)<(?:access_?key_?id|secret_?access_?key|session_?token)>([^<]+)"),
        ("://", r"(?i)\b[a-z][a-z0-9+.-]{1,20}://([^\s/@:\"'<>]*:[^\s/@\"'<>]+)@"),
    )
)


class _Known(NamedTuple):
    """What is searched for: whole values, short ones that must be whole words, and pieces of encoded values."""

    values: tuple[str, ...] = ()
    short: re.Pattern[str] | None = None
    pieces: frozenset[str] = frozenset()


class Redactor:
    """Redacts the secrets of this process. Safe to use from several threads."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._pieces: set[str] = set()
        self._known = _Known()
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Add a secret, for all texts from now on."""
        with self._lock:
            new = set(_texts(value)) - self._values
            if not new:
                return
            for text in new:
                whole, pieces = _encoded(text)
                self._values |= whole
                self._pieces |= pieces
            short = sorted(re.escape(text) for text in self._values if len(text) < SHORT)
            self._known = _Known(
                tuple(sorted(text for text in self._values if len(text) >= SHORT)),
                re.compile(rf"(?<![A-Za-z0-9])(?=({'|'.join(short)})(?![A-Za-z0-9]))") if short else None,
                frozenset(self._pieces),
            )

    def text(self, text: str) -> str:
        """Return the text with every secret replaced by `***`. A second call changes nothing."""
        for _ in range(_ROUNDS):
            done = _masked(text, sorted(self._found(text)))
            if done == text:
                break
            text = done
        return text

    def _found(self, text: str) -> Iterator[Span]:
        known, views = self._known, tuple(_decodings(_View(text)))
        for view in views:
            for start, end in itertools.chain(_by_shape(view.text), _by_value(view.text, known)):
                yield view.locate(start, end)
            if known.pieces:
                joined = _changed(view, _BREAK, _nothing) if "\n" in view.text else None
                for lines in (view, joined) if joined else (view,):
                    for start, end in _by_piece(lines.text, known.pieces):
                        yield lines.locate(start, end)
        for below in views[:_DECODINGS] if known.values or known.short else ():
            for view in _by_kind(below):
                for start, end in _by_value(view.text, known):
                    yield view.locate(start, end)


def _masked(text: str, spans: Iterable[Span]) -> str:
    """Replace spans, which are in order; those that overlap or touch become one mask."""
    pieces: list[str] = []
    shown = start = end = 0
    beyond = len(text) + 1
    for first, last in itertools.chain(spans, ((beyond, beyond),)):
        if first <= end:
            end = max(end, last)
            continue
        if end > start:
            pieces += (text[shown:start], MASK)
            shown = end
        start, end = first, last
    return "".join((*pieces, text[shown:])) if pieces else text


# --- where secrets are ----------------------------------------------------------------------------------


def _by_shape(text: str) -> Iterator[Span]:
    lower = text.lower()
    for needles, pattern in _SHAPES:
        if any(needle in lower for needle in needles):
            yield from (found.span(1) for found in pattern.finditer(text))


def _by_value(text: str, known: _Known) -> Iterator[Span]:
    for value in known.values:
        start = text.find(value)
        while start >= 0:
            yield start, start + len(value)
            start = text.find(value, start + 1)  # two secrets may overlap, and so may one with itself
    if known.short is not None:
        for found in known.short.finditer(text):
            yield found.span(1)


_RUN = re.compile(r"[A-Za-z0-9+/_-][A-Za-z0-9+/_-]{7,}")
_HEX = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f]{7,}")


def _by_piece(text: str, pieces: frozenset[str]) -> Iterator[Span]:
    for pattern in (_RUN, _HEX):
        for found in pattern.finditer(text):
            word, start = found[0], found.start()
            if pattern is _HEX:
                if word.islower():
                    continue  # the first pattern found it, too
                word = word.lower()
            for at in range(len(word) - PIECE + 1):
                if word[at : at + PIECE] in pieces:
                    yield start + at, start + at + PIECE


# --- decodings of a text --------------------------------------------------------------------------------


class _View(NamedTuple):
    """A decoded text, and for each stretch of it (its start here, its start in `below`, characters there for each here)."""

    text: str
    below: _View | None = None
    stretches: tuple[Stretch, ...] = ()

    def locate(self, start: int, end: int) -> Span:
        """Return the span of a part of this text in the original text."""
        if self.below is None:
            return start, end
        return self.below.locate(self._locate(start)[0], self._locate(end - 1)[1])

    def _locate(self, at: int) -> Span:
        begin, origin, width = self.stretches[bisect_right(self.stretches, (at, len(self.text) * 99)) - 1]
        first = origin + (at - begin) * width
        return first, first + width


def _decodings(whole: _View) -> Iterator[_View]:
    """Yield a text unchanged, decoded, and decoded twice."""
    view: _View | None = whole
    for _ in range(_DECODINGS + 1):
        if view is None:
            return
        yield view
        view = _changed(view, _ENCODED, _decoded)


def _by_kind(below: _View) -> Iterator[_View]:
    """Yield a text with escapes of several kinds, each kind decoded alone.

    A secret may itself look encoded: in JSON the `%2B` of `"%2B` was not escaped, and must not be decoded.
    """
    kinds = [pattern for mark, pattern in _KINDS.items() if mark in below.text]
    for pattern in kinds if len(kinds) > 1 else ():
        if view := _changed(below, pattern, _decoded):
            yield view


def _changed(
    below: _View, pattern: re.Pattern[str], change: Callable[[re.Match[str]], Iterable[tuple[str, int]]]
) -> _View | None:
    """Return the view with each find replaced by what `change` returns: (characters, how many each was); None without a find."""
    text, at, last = below.text, 0, 0
    pieces: list[str] = []
    stretches: list[Stretch] = []
    for found in pattern.finditer(text):
        position = found.start()
        if position > last:
            pieces.append(text[last:position])
            stretches.append((at, last, 1))
            at += position - last
        for characters, width in change(found):
            pieces.append(characters)
            stretches.append((at, position, width))
            at += len(characters)
            position += len(characters) * width
        last = found.end()
    if not last:
        return None
    pieces.append(text[last:])
    stretches.append((at, last, 1))
    return _View("".join(pieces), below, tuple(stretches))


_URL = r"(?<=%)(?P<url>[0-9A-Fa-f]{2}(?:%[0-9A-Fa-f]{2})*+)"
_BACKSLASH = (
    r"(?<=\\)(?:(?P<byte>x[0-9A-Fa-f]{2}(?:\\x[0-9A-Fa-f]{2})*+)"
    r"|(?P<code>u[0-9A-Fa-f]{4}(?:\\u[0-9A-Fa-f]{4})*+)"
    r"|(?P<mark>[\\/\"'nrtbf](?:\\[\\/\"'nrtbf])*+))"
)
_HTML = r"(?<=&)(?P<entity>amp|lt|gt|quot|apos|\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6});"
_INVISIBLE = rf"(?<=[{HIDDEN}]){INTRODUCED}(?:[{HIDDEN}]{INTRODUCED})*+"
# Each begins with one class of characters, so that `re` can skip everything else quickly.
_ENCODED = re.compile(rf"[%\\&{HIDDEN}](?:{_URL}|{_BACKSLASH}|{_HTML}|{_INVISIBLE})")
_KINDS = {
    "%": re.compile(rf"[%{HIDDEN}](?:{_URL}|{_INVISIBLE})"),
    "\\": re.compile(rf"[\\{HIDDEN}](?:{_BACKSLASH}|{_INVISIBLE})"),
    "&": re.compile(rf"[&{HIDDEN}](?:{_HTML}|{_INVISIBLE})"),
}
_BREAK = re.compile(r"[\r\n](?<=[A-Za-z0-9+/_-][\r\n])\n?[ \t]*(?=[A-Za-z0-9+/_-])")
_MARKS = str.maketrans("nrtbf", "\n\r\t\b\f")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def _nothing(_found: re.Match[str]) -> tuple[tuple[str, int], ...]:
    return ()


def _decoded(found: re.Match[str]) -> Iterable[tuple[str, int]]:
    kind, text = found.lastgroup, found[0]
    if kind in {"url", "byte"}:
        width = 3 if kind == "url" else 4
        return _utf8(bytes.fromhex(text.replace("%", "").replace("\\x", "")), width)
    if kind == "code":
        units = bytes.fromhex(text.replace("\\u", ""))
        return _equal(
            units.decode("utf-16-be", "surrogatepass"), lambda char: 6 if char < "\U00010000" else 12
        )
    if kind == "mark":
        return ((text[1::2].translate(_MARKS), 2),)
    if kind == "entity":
        return ((_entity(found["entity"]), len(text)),)
    return ()


def _utf8(data: bytes, width: int) -> Iterable[tuple[str, int]]:
    """Decode bytes, each of which was `width` characters; those that are not UTF-8 are read as Latin-1."""
    if data.isascii():
        return ((data.decode(), width),)
    try:
        return _equal(data.decode(), lambda char: width * len(char.encode()))
    except UnicodeDecodeError:
        return ((data.decode("latin-1"), width),)


def _equal(text: str, width: Callable[[str], int]) -> Iterable[tuple[str, int]]:
    """Split a text into stretches whose characters are equally wide."""
    for size, characters in itertools.groupby(text, width):
        yield "".join(characters), size


def _entity(name: str) -> str:
    if name in _ENTITIES:
        return _ENTITIES[name]
    code = int(f"0{name[1:]}", 16) if name[1] in "xX" else int(name[1:])
    return chr(code) if code < 0x110000 else "\N{REPLACEMENT CHARACTER}"


# --- forms of a secret ----------------------------------------------------------------------------------


def _texts(value: str) -> Iterator[str]:
    """Yield the texts that are secret: the value, and each long line of it, since logs are made of lines."""
    lines = (line.strip() for line in value.splitlines())
    for text in (value, value.strip(), *(line for line in lines if len(line) >= 2 * SHORT)):
        if text.strip("*"):
            yield text


def _encoded(text: str) -> tuple[set[str], set[str]]:
    """Return the encoded forms that are not decoded here: whole texts, and pieces of base64 and hexadecimal.

    The encoded text may itself have been JSON or part of a URL. A form has `+` for a space. A secret that itself looks
    encoded is decoded together with its encoding.
    """
    read = {text} | {view.text for view in _decodings(_View(text)) if len(view.text) >= SHORT}
    whole = read | {form.replace(" ", "+") for form in read if " " in form.strip()}
    if len(text) < SHORT:
        return whole, set()
    pieces: set[str] = set()
    for source in {
        text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        quote(text, safe="", errors="surrogatepass"),
    }:
        raw = source.encode("utf-8", "surrogatepass")
        for form in (*_base64(raw), raw.hex()):
            if len(form) < PIECE:
                whole.add(form)
            pieces |= {form[at : at + PIECE] for at in range(len(form) - PIECE + 1)}
    return whole, pieces


def _base64(raw: bytes) -> Iterator[str]:
    """Yield the secret's base64 at each of three offsets: it may be part of a longer text (`user:secret`)."""
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode("ascii")
        # Characters that also hold bits of neighbours are dropped at both ends.
        start = (offset * 8 + 5) // 6
        core = encoded.rstrip("=")[start : (offset + len(raw)) * 8 // 6]
        yield core
        yield core.replace("+", "-").replace("/", "_")
