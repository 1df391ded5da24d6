"""What the headers alone decide, before the body is read."""

from __future__ import annotations

import pytest

from closeout.core.errors import BadDelivery, CloseoutError, PayloadTooLarge, Unauthorized
from closeout.intake import headers

GOOD = b"sha256=" + b"0a" * 32


def pairs(**headers: bytes) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(name.replace("_", "-").encode(), value) for name, value in headers.items()]


def test_a_well_formed_request_is_accepted() -> None:
    """The headers are returned by name if the signature's size and form are right."""
    checked = headers.check(pairs(content_length=b"10", x_hub_signature_256=GOOD, x_other=b"1"))
    assert checked[b"x-other"] == b"1"


@pytest.mark.parametrize(
    "signature",
    [b"", b"sha1=" + b"a" * 40, GOOD[:-1], GOOD + b"0", GOOD.upper(), "sha256=é".encode() + b"0" * 62, b"sha256=" + b"g" * 64],
    ids=["empty", "sha-1", "short", "long", "upper case", "non-ASCII", "not hex"],
)  # fmt: skip
def test_a_malformed_signature_is_unauthorized(signature: bytes) -> None:
    """Anything but `sha256=` and 64 hex digits is refused without an HMAC, with the one message."""
    with pytest.raises(Unauthorized) as refused:
        headers.check(pairs(x_hub_signature_256=signature))
    assert refused.value.message == "Unauthorized request"
    assert refused.value.why == ("its signature is malformed" if signature else "it has no signature")


def test_a_missing_signature_is_unauthorized() -> None:
    """Even if the old SHA-1 signature is there."""
    with pytest.raises(Unauthorized):
        headers.check(pairs(x_hub_signature=b"sha1=" + b"a" * 40))


def test_two_signatures_are_unauthorized() -> None:
    """The sender could choose which one counts, so neither does, equal or not."""
    with pytest.raises(Unauthorized):
        headers.check([(headers.SIGNATURE, GOOD), (headers.SIGNATURE, GOOD)])


def test_another_header_sent_twice_is_accepted() -> None:
    """Only the signature must be unique: proxies repeat other headers."""
    assert headers.check([(b"via", b"1"), (b"via", b"2"), (headers.SIGNATURE, GOOD)])


@pytest.mark.parametrize("length", [b"26214401", b"99999999999999999999999999"])
def test_an_announced_size_over_the_cap_is_too_large(length: bytes) -> None:
    """413 comes before 401, and needs no signature."""
    with pytest.raises(PayloadTooLarge):
        headers.check(pairs(content_length=length))


def test_a_size_at_the_cap_is_accepted() -> None:
    """GitHub delivers up to 25 MB."""
    assert headers.check(pairs(content_length=str(headers.MAX_BODY).encode(), x_hub_signature_256=GOOD))


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"0x10", b" ", "१".encode()])
def test_a_size_that_is_not_a_number_is_refused(length: bytes) -> None:
    """An HTTP server should have refused it; nothing here relies on that."""
    with pytest.raises(BadDelivery):
        headers.check(pairs(content_length=length, x_hub_signature_256=GOOD))


def test_every_refusal_is_the_senders_mistake() -> None:
    """Each is an error of ours with a status below 500."""
    assert all(
        issubclass(error, CloseoutError) and error.status < 500 for error in (Unauthorized, PayloadTooLarge)
    )
