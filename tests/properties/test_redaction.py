"""The law of redaction: whichever way a secret was encoded on its way into a text, it does not come out."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from hypothesis import example, given, settings
from hypothesis import strategies as st

from closeout.core.redact import Redactor
from closeout.core.terminal import stripped

Encode = Callable[[str], str]

LEFT = 20
"""Characters that may be left of an encoded secret: quotes, padding, and what also holds bits of its neighbours."""


def wrapped(text: str, width: int, before: str = "", end: str = "\n") -> str:
    """Encode as base64 in lines of this width, as `base64` and MIME do."""
    encoded = base64.b64encode(f"{before}{text}".encode()).decode()
    return end.join(encoded[at : at + width] for at in range(0, len(encoded), width))


def coloured(text: str) -> str:
    """Put what a terminal obeys, and what has no width, between the characters."""
    marks = (
        "\x1b[31m",
        "\x1b[0;1m",
        "\u200b",
        "\x1b]8;;http://x\x07",
        "\x9b32m",
        "\x00",
        "\u202e",
        "\x1b(B",
        "\xad",
    )
    return text[0] + "".join(mark + char for mark, char in zip(marks * len(text), text[1:], strict=False))


ESCAPED: dict[str, Encode] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON beyond ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON with slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in upper case": lambda text: "".join(
        rf"\u{unit:04X}" for unit in memoryview(text.encode("utf-16-le")).cast("H")
    ),
    "URL": lambda text: quote(text, safe=""),
    "URL in lower case": lambda text: re.sub(
        r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text, safe="")
    ),
    "every byte of a URL": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "form": quote_plus,
    "HTML": html.escape,
    "HTML by number": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "HTML by hexadecimal number": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "repr": repr,
    "repr of bytes": lambda text: repr(text.encode()),
    "every byte of a repr": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "colours": coloured,
}
ONE_WAY: dict[str, Encode] = {
    "base64": lambda text: wrapped(text, 10_000),
    "URL-safe base64": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 after one": lambda text: wrapped(text, 10_000, ":"),
    "base64 after two": lambda text: wrapped(text, 10_000, "u:"),
    "base64 in lines of 64": lambda text: wrapped(text, 64, "u:"),
    "base64 in lines of 76": lambda text: wrapped(text, 76, ":", "\r\n"),
    "indented base64": lambda text: wrapped(text, 64, "", "\n    "),
    "hexadecimal": lambda text: text.encode().hex(),
    "upper-case hexadecimal": lambda text: text.encode().hex().upper(),
}
INSIDE = ("as it is", "JSON", "JSON beyond ASCII", "URL")
"""What may be inside of a one-way encoding."""

secrets = st.text(
    st.sampled_from("abcXYZ0189/+_-.~ \"'\\&<>%=#?:@{}|^`$!,;n\u00fc\u20ac\U0001f600"),
    min_size=10,
    max_size=60,
).map(lambda text: f"k{text}Z9")
plain = secrets.filter(lambda text: not re.search(r"%[0-9a-fA-F]{2}|\\\\|&#?\w+;", text))
two_escapes = st.tuples(st.sampled_from(list(ESCAPED)), st.sampled_from(list(ESCAPED))).filter(
    lambda by: by != ("colours", "colours")
)
one_way = st.tuples(st.sampled_from(INSIDE), st.sampled_from(list(ONE_WAY)))
one_way_escaped = st.tuples(
    st.sampled_from(list(ONE_WAY)), st.sampled_from(["JSON", "URL", "HTML", "colours"])
)
EVERY = ESCAPED | ONE_WAY


@settings(max_examples=200)
@example(secret="k00000\\b%00Z9", by="JSON")
@given(secret=secrets, by=st.sampled_from(list(EVERY)))
def test_a_secret_is_found_through_any_encoding(secret: str, by: str) -> None:
    """Even one that looks encoded itself."""
    found(secret, EVERY[by](secret))


@settings(max_examples=300)
@example(secret='p@ss "w/rd" \u00fc+1', by=("repr of bytes", "JSON"))
@example(secret='k000000\\"\\bZ9', by=("HTML", "JSON in upper case"))
@example(secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", by=("as it is", "JSON with slashes"))
@given(secret=plain, by=two_escapes | one_way | one_way_escaped)
def test_a_secret_is_found_through_two_encodings(secret: str, by: tuple[str, str]) -> None:
    """JSON in a URL, base64 in JSON, and so on."""
    first, second = (EVERY[name] for name in by)
    found(secret, second(first(secret)))


def found(secret: str, text: str) -> None:
    """Assert that all of it is masked, and that what stands around it is still there."""
    done = Redactor([secret]).text(f"before: {text} :after")
    assert done.startswith("before: ")
    assert done.endswith(" :after")
    assert "***" in done
    assert len(stripped(done)) <= len("before: *** :after") + LEFT, done


@settings(max_examples=100)
@given(
    secret=st.text("abcdefXYZ0123456789/+", min_size=48, max_size=150),
    before=st.binary(max_size=60),
    width=st.sampled_from([60, 64, 76]),
)
def test_a_secret_in_a_file_that_is_logged_as_base64_line_by_line_goes(
    secret: str, before: bytes, width: int
) -> None:
    """`base64 credentials.json` prints lines that begin and end anywhere: of each eleven characters at most are left."""
    encoded = base64.b64encode(before + secret.encode() + b"...").decode()
    begin, end = -(-len(before) * 8 // 6) + 1, (len(before) + len(secret)) * 8 // 6 - 1
    redactor = Redactor([secret])
    for at in range(0, len(encoded), width):
        held = encoded[max(at, begin) : min(at + width, end)]
        done = redactor.text(encoded[at : at + width])
        assert not any(held[first : first + 11] in done for first in range(len(held) - 10)), (held, done)


@settings(max_examples=200)
@given(text=st.text(st.characters(), max_size=60), secret=st.text(min_size=1, max_size=12))
def test_redaction_takes_any_text_and_is_done_once(text: str, secret: str) -> None:
    """Nothing raises, and a second time changes nothing."""
    redactor = Redactor([secret])
    done = redactor.text(text)
    assert redactor.text(done) == done
