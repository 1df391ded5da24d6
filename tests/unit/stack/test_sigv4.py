"""The signer against AWS's published examples, and against botocore's on requests of any form."""

from __future__ import annotations

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from closeout.stack import sigv4
from closeout.stack.sigv4 import Credentials, Request

EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
AT = "20150830T123600Z"
HOST = {"host": "example.amazonaws.com"}

# Name, request, signature: AWS's Signature Version 4 test suite.
PUBLISHED = [
    ("get-vanilla", Request("GET", "/", HOST, b""), "service", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("post-vanilla", Request("POST", "/", HOST, b""), "service", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "service", "signature"), [row[1:] for row in PUBLISHED], ids=[row[0] for row in PUBLISHED])  # fmt: skip
def test_published_examples(request_: Request, service: str, signature: str) -> None:
    """The signature is the published one."""
    signed = sigv4.sign(request_, EXAMPLE, service=service, region="us-east-1", at=AT)
    assert signed["authorization"].endswith(f"Signature={signature}")


segment = st.text(st.sampled_from("abcXYZ019-._~:@!$&'()*+,;="), min_size=1, max_size=12).filter(
    lambda text: text not in {".", ".."}
)
word = st.text(st.sampled_from("abcdefghijklmnop-"), min_size=1, max_size=8)


@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=st.lists(segment, max_size=4),
    headers=st.dictionaries(word.map("x-amz-meta-".__add__), st.text(st.sampled_from("ab c=/"), max_size=9)),
    body=st.binary(max_size=100),
    service=st.sampled_from(["dynamodb", "lambda", "secretsmanager", "s3"]),
    token=st.none() | word,
)
def test_botocore_signs_the_same(
    method: str,
    path: list[str],
    headers: dict[str, str],
    body: bytes,
    service: str,
    token: str | None,
) -> None:
    """Any request gets the signature that botocore gives it."""
    place = "/" + sigv4.encode("/".join(path), "/")
    own = Request(method, place, {"host": "aws.test", **headers}, body)
    keys = Credentials("AKIDEXAMPLE", "secret", token)
    signed = sigv4.sign(own, keys, service=service, region="eu-central-1", at=AT)

    theirs = AWSRequest(method, f"https://aws.test{place}", data=body, headers={**headers, **_given(signed)})
    theirs.context["timestamp"] = AT
    theirs.context["payload_signing_enabled"] = True
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(
        BotoCredentials(keys.access_key, keys.secret_key, keys.token), service, "eu-central-1"
    )
    text_to_sign = signer.string_to_sign(theirs, signer.canonical_request(theirs))
    assert signed["authorization"].endswith(f"Signature={signer.signature(text_to_sign, theirs)}")


def _given(signed: dict[str, str]) -> dict[str, str]:
    """The headers that the signer added, in botocore's spelling, without the signature."""
    return {name: value for name, value in signed.items() if name != "authorization"}


def test_keys_are_not_shown() -> None:
    """A log that prints credentials prints nothing of them."""
    assert "secret" not in f"{Credentials('a', 'secret', 'token')} {Credentials('a', 'secret', 'token')!r}"
