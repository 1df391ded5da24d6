"""The signature: GitHub's own vector, every secret tried, and one error for everything else."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.core.errors import SecretError, Unauthorized
from closeout.core.signature import MALFORMED, MISSING, UNFIT, Check, sign, verify, well_formed

SECRET = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
SIGNED = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_githubs_own_vector_verifies() -> None:
    """The example of GitHub's documentation is accepted, and signing reproduces it."""
    verify(BODY, SIGNED, [SECRET])
    assert sign(BODY, SECRET).encode() == SIGNED


@pytest.mark.parametrize("secrets", [[SECRET, b"new"], [b"new", SECRET], [b"a", b"b", SECRET]])
def test_any_active_secret_verifies(secrets: list[bytes]) -> None:
    """While a secret is rotated, deliveries under the old and the new one are both accepted."""
    verify(BODY, SIGNED, secrets)


def test_a_secret_outside_ascii_verifies() -> None:
    """GitHub takes any text as a secret and signs with its UTF-8 bytes."""
    secret = "Schlüssel 🔑".encode()
    verify(BODY, sign(BODY, secret).encode(), [secret])


SHA1 = b"sha1=" + hmac.new(SECRET, BODY, hashlib.sha1).hexdigest().encode()
REFUSED = {
    "missing": None,
    "empty": b"",
    "only the prefix": b"sha256=",
    "SHA-1": SHA1,
    "SHA-1 called SHA-256": b"sha256=" + SHA1[5:],
    "SHA-512": b"sha512=" + hmac.new(SECRET, BODY, hashlib.sha512).hexdigest().encode(),
    "no prefix": SIGNED[7:],
    "another prefix of the same length": b"md5abc=" + SIGNED[7:],
    "upper case": SIGNED[:7] + SIGNED[7:].upper(),
    "prefix in upper case": SIGNED.upper(),
    "one digit wrong": SIGNED[:-1] + b"8",
    "one digit short": SIGNED[:-1],
    "one digit more": SIGNED + b"0",
    "space before": b" " + SIGNED,
    "line break after": SIGNED[:-1] + b"\n",
    "not hexadecimal": b"sha256=" + b"g" * 64,
    "outside ASCII": b"sha256=" + "é".encode() * 32,
    "not even UTF-8": b"sha256=" + b"\xff" * 64,
    "two signatures": SIGNED + b", " + SIGNED,
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_but_the_signature_is_unauthorized(name: str) -> None:
    """Missing, malformed, of another algorithm or wrong: always the same error with the same text."""
    with pytest.raises(Unauthorized) as caught:
        verify(BODY, REFUSED[name], [SECRET])
    assert str(caught.value) == "Unauthorized request"
    why = {"missing": MISSING, "empty": MISSING, "one digit wrong": UNFIT}
    assert caught.value.why == why.get(name, MALFORMED), "our own log tells them apart"


@pytest.mark.parametrize("body", [b"", b"Hello, World", b"Hello, World!\n", b"hello, World!"])
def test_another_body_is_unauthorized(body: bytes) -> None:
    """The signature covers the exact raw bytes."""
    with pytest.raises(Unauthorized):
        verify(body, SIGNED, [SECRET])


@pytest.mark.parametrize("secrets", [[], [b""], [b"", b""]])
def test_without_secrets_nothing_verifies(secrets: list[bytes]) -> None:
    """Not even a body signed with the empty secret."""
    empty = b"sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest().encode()
    with pytest.raises(Unauthorized):
        verify(BODY, empty, secrets)


def test_an_empty_secret_next_to_a_real_one_is_ignored() -> None:
    """A secret emptied by mistake does not accept what anyone can sign."""
    empty = b"sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest().encode()
    with pytest.raises(Unauthorized):
        verify(BODY, empty, [SECRET, b""])
    verify(BODY, SIGNED, [b"", SECRET])


def test_nothing_is_signed_with_an_empty_secret() -> None:
    """`closeout deliver` does not send what anyone could have signed."""
    with pytest.raises(SecretError):
        sign(BODY, b"")


def test_the_error_does_not_contain_the_expected_signature() -> None:
    """Neither its message, its arguments nor a chained error."""
    with pytest.raises(Unauthorized) as caught:
        verify(BODY, SIGNED[:-1] + b"8", [SECRET])
    assert caught.value.args == ("Unauthorized request",)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_the_form_of_the_header_is_checked_before_the_body() -> None:
    """A header of the right form may still be wrong; one of the wrong form is refused without reading a body."""
    assert well_formed(SIGNED)
    assert well_formed(b"sha256=" + b"0" * 64)
    assert not any(well_formed(REFUSED[name]) for name in REFUSED if name != "one digit wrong")


@given(
    st.lists(st.binary(max_size=50), max_size=5),
    st.sampled_from([[SECRET], [b"new", SECRET], [b"new"], [b""], []]),
)
def test_a_body_in_pieces_verifies_like_the_whole(pieces: list[bytes], secrets: list[bytes]) -> None:
    """However it is split, with any number of secrets; an empty one verifies nothing."""
    header = sign(b"".join(pieces), SECRET).encode()
    check = Check(secrets)
    for piece in pieces:
        check.update(piece)
    if SECRET in secrets:
        check.verify(header)
        verify(b"".join(pieces), header, secrets)
    else:
        with pytest.raises(Unauthorized):
            check.verify(header)


@pytest.mark.parametrize(
    "header", [None, b"", b"sha256=", SIGNED[:-1], SIGNED.upper(), b"sha1=" + SIGNED[7:]]
)
def test_a_body_in_pieces_needs_a_well_formed_signature(header: bytes | None) -> None:
    """Like a whole one."""
    check = Check([SECRET])
    check.update(BODY)
    with pytest.raises(Unauthorized):
        check.verify(header)
