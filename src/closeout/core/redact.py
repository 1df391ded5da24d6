"""Secrets taken out of text before it is stored, shown or sent.

It works by value (every secret that closeout has read, in the forms in which it may turn up) and by shape (what looks
like a token of GitHub's or AWS's, whoever's it is). It comes last, so that no writer has to think of it.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
SHORT = 6
"""A shorter secret is taken out only where it stands by itself: inside words it would garble everything."""
_ROUNDS = 50

_NAMED = (
    r"(?i)(\b(?:aws_?secret_?access_?key|secret_?access_?key|aws_?session_?token|session_?token"
    r"|x-github-encoded-secret|x-amz-security-token)[\"']?\s*[:=]\s*[\"']?)[A-Za-z0-9/+_=.-]{8,}"
)
_IN_URL = r"(?i)([?&;](?:x-amz-)?(?:signature|credential|security-token|access_token|token)=)[^&\s\"'<>#]+"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", MASK),
        (r"\bgh[a-z]_[A-Za-z0-9][A-Za-z0-9_.-]{15,}", MASK),
        (r"\bgithub_pat_[A-Za-z0-9_]{16,}", MASK),
        (r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", MASK),
        (r"\beyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]*", MASK),
        (r"\b(sha256=)[0-9a-fA-F]{64}", r"\1" + MASK),
        (r"\b(sha1=)[0-9a-fA-F]{40}", r"\1" + MASK),
        (r"(?i)(\b(?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)[^\"'\r\n]+", r"\1" + MASK),
        (_NAMED, r"\1" + MASK),
        (_IN_URL, r"\1" + MASK),
        (r"(?i)(\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@:\"'<>]*:[^\s/@\"'<>]+@", r"\1" + MASK + "@"),
    )
)


class Redactor:
    """Knows the secrets of this process. Safe to use from several threads."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._long: set[str] = set()
        self._short: set[str] = set()
        self._known: re.Pattern[str] | None = None
        for value in values:
            self._keep(value)
        self._compile()

    def add(self, value: str) -> None:
        """Know one more secret, from now on."""
        with self._lock:
            if self._keep(value):
                self._compile()

    def text(self, text: str) -> str:
        """Give the text with every secret replaced by `***`. Doing it twice changes nothing more."""
        for _ in range(_ROUNDS):
            done = self._by_value(_by_shape(text))
            if done == text:
                break
            text = done
        return text

    def _keep(self, value: str) -> bool:
        before = len(self._long) + len(self._short)
        for form in _forms(value):
            if form.strip("*"):
                (self._long if len(form) >= SHORT else self._short).add(form)
        return len(self._long) + len(self._short) > before

    def _compile(self) -> None:
        forms = [re.escape(form) for form in sorted(self._long, key=lambda form: (-len(form), form))]
        forms += [rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])" for form in sorted(self._short)]
        # A lookahead finds overlapping secrets too: what two of them share must not save a part of either.
        self._known = re.compile(f"(?=({'|'.join(forms)}))") if forms else None

    def _by_value(self, text: str) -> str:
        known = self._known
        if known is None:
            return text
        pieces: list[str] = []
        shown = 0
        for start, end in _joined(found.span(1) for found in known.finditer(text)):
            pieces += (text[shown:start], MASK)
            shown = end
        return "".join((*pieces, text[shown:]))


def _joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join spans that overlap or touch; they come in the order of their starts."""
    start = end = -1
    for first, last in spans:
        if first > end:
            if end > start:
                yield start, end
            start, end = first, last
        else:
            end = max(end, last)
    if end > start:
        yield start, end


def _by_shape(text: str) -> str:
    for pattern, replacement in _SHAPES:
        text = pattern.sub(replacement, text)
    return text


def _forms(value: str) -> Iterator[str]:
    """Give the forms in which a secret may turn up in a log: as it is, escaped, encoded, and line by line."""
    texts = {value, value.strip()} - {""}
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        texts |= {line for line in lines if len(line) >= 2 * SHORT}
    for text in texts:
        raw = text.encode("utf-8", "surrogatepass")
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield repr(text)[1:-1]
        yield quote(raw, safe="")
        yield quote_plus(raw)
        yield quote(raw)
        if len(text) >= SHORT:
            yield from _base64(raw)
            yield raw.hex()


def _base64(raw: bytes) -> Iterator[str]:
    """Give the secret's base64 at each of three offsets: it may be part of a longer text (`user:secret`)."""
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode("ascii")
        # Characters that also hold bits of the neighbours are left off at both ends.
        start = (offset * 8 + 5) // 6
        core = encoded.rstrip("=")[start : (offset + len(raw)) * 8 // 6]
        if len(core) >= SHORT:
            yield core
            yield core.replace("+", "-").replace("/", "_")
