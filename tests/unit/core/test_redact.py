"""Redaction, by value and by form."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, quote_plus

import pytest

from closeout.core.redact import MASK, PIECE, SHORT, Redactor

SECRET = 'p@ss "w/rd" ü+1'
PLAIN = "hunter2-hunter2"

FORMS = {
    "as it is": SECRET,
    "in JSON": json.dumps({"a": SECRET}),
    "in JSON outside ASCII": json.dumps({"a": SECRET}, ensure_ascii=False),
    "in a repr": repr({"a": SECRET}),
    "in a URL": "https://x/?q=" + quote(SECRET, safe=""),
    "in a URL's path": "https://x/" + quote(SECRET),
    "in a form": "q=" + quote_plus(SECRET),
    "in JSON in a URL": quote(json.dumps({"a": SECRET}), safe=""),
    "in base64": base64.b64encode(SECRET.encode()).decode(),
    "in URL-safe base64": base64.urlsafe_b64encode(SECRET.encode()).decode(),
    "in hexadecimal": SECRET.encode().hex(),
}


def remains(text: str, secret: str = SECRET) -> list[str]:
    """Pieces of eight characters of any form of the secret that are left in the text."""
    raw = secret.encode()
    forms = [
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        base64.b64encode(raw).decode(),
        raw.hex(),
    ]
    return [form[at : at + 8] for form in forms for at in range(len(form) - 8) if form[at : at + 8] in text]


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_redacted_in_any_form(form: str) -> None:
    """However it gets into a log; the text around it stays."""
    done = Redactor([SECRET]).text(f"before {FORMS[form]} after")
    assert remains(done) == []
    assert done.startswith("before ")
    assert done.endswith(" after")


@pytest.mark.parametrize("user", ["", "x:", "ab:", "abc:"])
def test_a_secret_inside_base64_is_found_at_every_offset(user: str) -> None:
    """Basic authentication joins user and password before it encodes them."""
    encoded = base64.b64encode(f"{user}{PLAIN}!!".encode()).decode()
    done = Redactor([PLAIN]).text(f"token {encoded}")
    assert len(done) < len("token ") + 16


@pytest.mark.parametrize("around", ["{}", "x{}", "xy{}", "{}x", "x{}x", "xy{}x"])
@pytest.mark.parametrize("secret", ["k" * (SHORT - 1) + "9", "k" * SHORT + "9"])
def test_the_shortest_secrets_are_found_inside_base64_and_hexadecimal(secret: str, around: str) -> None:
    """Their base64 may be shorter than the pieces searched for longer secrets."""
    raw = around.format(secret).encode()
    redactor = Redactor([secret])
    assert redactor.text(f"a{secret}b") == ("a***b" if len(secret) >= SHORT else f"a{secret}b")
    for encoded in (base64.b64encode(raw).decode(), raw.hex()):
        done = redactor.text(f"token {encoded} is it")
        assert len(done.replace("***", "")) <= len("token  is it") + 8
        assert (done.count("***"), done[:6], done[-6:]) == (1, "token ", " is it")


@pytest.mark.parametrize(
    "inner", [json.dumps, partial(json.dumps, ensure_ascii=False), partial(quote, safe="")]
)
def test_a_secret_in_json_or_a_url_is_found_inside_base64_and_hexadecimal(
    inner: Callable[[str], str],
) -> None:
    """If an escape follows each letter, no piece of it is a piece of the secret itself."""
    secret = 'a"\u00e9"b"\u00fc"c"\u00e9"d'
    raw = inner(secret).encode()
    for encoded in (base64.b64encode(raw).decode(), raw.hex()):
        assert len(Redactor([secret]).text(f"x {encoded} y")) <= len("x *** y") + 8


@pytest.mark.parametrize("char", ["\uffff", "\U00010000", "\U0001f600"])
def test_a_character_may_be_two_escapes(char: str) -> None:
    """The text around it is kept completely."""
    secret = f"k{char}-secret-{char}"
    assert Redactor([secret]).text(f"x {json.dumps(secret)} y") == 'x "***" y'


def test_a_secret_that_looks_encoded_is_found_decoded_too() -> None:
    """Unless it is short enough to be an ordinary word."""
    assert Redactor(["%41bcdef"]).text("x Abcdef y") == "x *** y"
    assert Redactor(["%41bcde"]).text("x Abcde y") == "x Abcde y"


def test_overlapping_and_adjacent_secrets_are_redacted_completely() -> None:
    """Nothing of what two secrets share remains."""
    redactor = Redactor(["abcdefgh", "efghijkl"])
    assert redactor.text("abcdefghijkl") == "***"
    assert redactor.text("abcdefghefghijkl!") == "***!"
    assert redactor.text("abcdefgh efghijkl") == "*** ***"


def test_the_longer_of_two_secrets_is_redacted() -> None:
    """A secret that begins like another leaves no rest behind."""
    assert Redactor(["secret-one", "secret-one-more"]).text("secret-one-more") == "***"


def test_a_short_secret_is_redacted_as_a_whole_word() -> None:
    """Words that only contain it stay readable."""
    redactor = Redactor(["abc"])
    assert redactor.text("abc, x=abc abcd xabc (abc)") == "***, x=*** abcd xabc (***)"


@pytest.mark.parametrize("value", ["", " ", "\n", "***", "******"])
def test_an_empty_value_redacts_nothing(value: str) -> None:
    """It would match everywhere."""
    assert Redactor([value]).text("a b ****** c") == "a b ****** c"


def test_each_line_of_a_long_secret_is_redacted() -> None:
    """A private key is often logged line by line."""
    key = "-----BEGIN X-----\nMIIEpAIBAAKCAQEA7\nzq8Yx0Zb1k2l3m4n5\n-----END X-----\n"
    done = Redactor([key]).text("line: zq8Yx0Zb1k2l3m4n5")
    assert done == "line: ***"
    lines = Redactor(["twelve-chars\n eleven-char"])
    assert lines.text("a twelve-chars eleven-char") == "a *** eleven-char", "a short line is any word"


def test_a_secret_in_base64_with_short_lines_is_redacted() -> None:
    """Each line alone is too short to be recognized."""
    encoded = base64.b64encode(SECRET.encode()).decode()
    lines = [encoded[at : at + PIECE - 2] for at in range(0, len(encoded), PIECE - 2)]
    done = Redactor([SECRET]).text("\n".join(lines))
    assert len(done) <= len(MASK) + 4, done


@pytest.mark.parametrize("text", ["&#1114111;", "&#1114112;", "&#x110000;", "&#99999999;"])
def test_an_invalid_character_number_causes_no_error(text: str) -> None:
    """Anyone may write one into a pull request's title."""
    assert Redactor([PLAIN]).text(f"{text} {PLAIN}") == f"{text} ***"


def test_a_secret_is_found_without_its_final_line_break() -> None:
    """Secrets in files end with one."""
    assert Redactor([PLAIN + "\n"]).text(f"x {PLAIN} y") == "x *** y"


def test_redacting_may_not_join_a_new_secret() -> None:
    """Redaction is repeated until nothing more is found."""
    assert "ab***yz" not in Redactor(["ab***yz", "SECRET"]).text("abSECRETyz")


SHAPES = [
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a is", "*** is"),
    ("x ghs_" + "a" * 36, "x ***"),
    ("ghs_1234_eyJhbGciOi.JSUzI1NiJ9.abc-d", "***"),
    ("github_pat_11ABCDEFG0aaaaaaaaaaaa_bbbb", "***"),
    (f"TOKEN=closeout_{'a' * 43}.{'b' * 43} curl", "TOKEN=*** curl"),
    (
        "open http://127.0.0.1:8080/login?code=1790000000.act.YWRh.x.y now",
        "open http://127.0.0.1:8080/login?code=*** now",
    ),
    ("id AKIAIOSFODNN7EXAMPLE.", "id ***."),
    ("ASIAIOSFODNN7EXAMPLE", "***"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = ***"),
    ('"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"', '"SecretAccessKey": "***"'),
    ("AWS_SESSION_TOKEN=IQoJb3JpZ2luX2VjEJr//x==", "AWS_SESSION_TOKEN=***"),
    ("Authorization: Bearer abc.def", "Authorization: ***"),
    ("authorization: token abc\nnext", "authorization: ***\nnext"),
    ('{"Authorization": "Basic dTpw", "a": 1}', '{"Authorization": "***", "a": 1}'),
    ("X-Hub-Signature-256: sha256=" + "0a" * 32, "X-Hub-Signature-256: sha256=***"),
    ("sha1=" + "0a" * 20, "sha1=***"),
    ("https://x/runs/1?expires=2&signature=abcd&a=b", "https://x/runs/1?expires=2&signature=***&a=b"),
    ("https://x/?X-Amz-Signature=abcd", "https://x/?X-Amz-Signature=***"),
    ("https://user:pass@host/x", "https://***@host/x"),
    ("https://:pass@host/x", "https://***@host/x"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "***"),
    ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", "***\nx"),
    ("-----BEGIN PRIVATE KEY-----\nabc-def", "***"),
    ("X-Github-Encoded-Secret: abcdefgh1234", "X-Github-Encoded-Secret: ***"),
    (
        "<AccessKeyId>x1y2</AccessKeyId><SecretAccessKey>wJalr/K7+x=</SecretAccessKey><SessionToken>IQoJ//x==</SessionToken>",
        "<AccessKeyId>***</AccessKeyId><SecretAccessKey>***</SecretAccessKey><SessionToken>***</SessionToken>",
    ),
    ("&lt;SessionToken&gt;IQoJ//x==&lt;/SessionToken&gt;", "&lt;SessionToken&gt;***&lt;/SessionToken&gt;"),
    ("\x1b[32mghp_\x1b[1m16C7e42F292c6912E7710c838347Ae178B4a\x1b[0m is", "\x1b[32m***\x1b[0m is"),
    ("AKIA\x1b]8;;http://x\x07IOSF\u200bODNN7EXAMPLE.", "***."),
    ("Authorization%3A%20Bearer%20abc.def", "Authorization%3A%20***"),
    ("x eyJhbGciOiJIUzI1NiJ9eyJ.eyJzdWIiOiIxIn0.c2ln y", "x *** y"),
]
PLAIN_TEXTS = [
    "deleting stack preview-17 in eu-central-1",
    "commit 0123456789abcdef0123456789abcdef01234567",
    "https://github.com/acme/shop/pull/17",
    "arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-17/0a1b2c3d-0a1b",
    "run pymponzrdmw4hmxsnhoxqollan-1 took 3.2 s",
    "ghost_town and ghp_short",
    "closeout_deliveries_total and closeout_session, at /login?next=1",
    "http://127.0.0.1:8080/runs/x?attempt=1",
    "",
]


@pytest.mark.parametrize(("text", "expected"), SHAPES)
def test_tokens_are_recognized_by_their_form(text: str, expected: str) -> None:
    """A token of GitHub's or AWS's is redacted, whether closeout knows it or not."""
    assert Redactor().text(text) == expected
    assert Redactor().text(expected) == expected


@pytest.mark.parametrize("text", PLAIN_TEXTS)
def test_ordinary_lines_stay_unchanged(text: str) -> None:
    """Redaction keeps logs readable."""
    assert Redactor([PLAIN]).text(text) == text


def test_a_secret_is_redacted_from_the_moment_it_is_read() -> None:
    """Rotation and steps bring new ones; earlier ones stay known."""
    redactor = Redactor([PLAIN])
    redactor.add("another-secret")
    assert redactor.text(f"{PLAIN} another-secret") == "*** ***"


def test_threads_may_add_and_redact_at_once() -> None:
    """A line that is written meanwhile is redacted with the old or the new set."""
    redactor = Redactor([PLAIN])
    adders = [threading.Thread(target=redactor.add, args=(f"secret-number-{n}",)) for n in range(20)]
    for thread in adders:
        thread.start()
    assert PLAIN not in redactor.text(f"x {PLAIN}")
    for thread in adders:
        thread.join()
    assert redactor.text(" ".join(f"secret-number-{n}" for n in range(20))).strip("* ") == ""


@pytest.mark.parametrize(
    "text",
    [
        "-eyJ" * 62_500,
        "-eyJabcdefgh" * 20_000 + ".abcdefgh",
        "authorization" * 19_250,
        "authorization" + " " * 250_000,
        "a" * 250_000 + "://",
        "a://" * 62_500,
        "-----BEGIN PRIVATE KEY----- " * 9_000,
        "x:" * 125_000,
        "%41b" * 62_500,
        "&#65;" * 50_000,
        "\\" * 250_000,
        "\\u0041a" * 35_000,
        "\x9d" * 250_000,
        "\x1b]" * 125_000,
        "\x1b[" + "1" * 250_000,
        "a\n" * 125_000,
        "A" * 250_000,
        "<SessionToken>" * 17_500,
        "aHVudGVyM" * 27_500,
    ],
    ids=lambda text: repr(text[:14]),
)
@pytest.mark.timeout(60)
def test_a_hostile_line_costs_little(text: str) -> None:
    """Outsiders write titles and branch names: a quarter of a megabyte must not make redaction explode."""
    Redactor([PLAIN]).text(text)
