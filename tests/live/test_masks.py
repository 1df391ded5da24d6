"""What a fixture of a real account must not hold, and what the masks leave so that two recordings can be compared."""

from __future__ import annotations

import datetime
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live.masks import ACCOUNT, NAME, TIME, Masks, leaks

NUMBER, RECORDING = "987654321098", "closeout-rec-0a1b2c"
KNOWN = {NUMBER: ACCOUNT, RECORDING: NAME}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"arn:aws:lambda:us-east-1:{NUMBER}:function:f", f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"),
        (
            "arn:aws:iam::210987654321:role/somebody-else",
            "arn:aws:iam::999999999999:role/somebody-else",
        ),
        (f"{RECORDING}-probe-RoleAB12CD34-1A2B3C4D5E6F", f"{NAME}-probe-RoleAB12CD34-SUFFIX"),
        (f"{RECORDING}-watch-bodies12345678-1a2b3c4d5e6f", f"{NAME}-watch-bodies12345678-SUFFIX"),
        (
            f"arn:aws:secretsmanager:us-east-1:{NUMBER}:secret:{RECORDING}/webhook-a1b2c3d4-Zz9aB1",
            f"arn:aws:secretsmanager:us-east-1:{ACCOUNT}:secret:{NAME}/webhook-SUFFIX-SUFFIX",
        ),
        ("at 2026-11-28T02:20:01.123Z from 203.0.113.7", f"at {TIME} from 192.0.2.1"),
        ("key AKIAABCDEFGHIJKLMNOP", "key AKIAIOSFODNN7EXAMPLE"),
    ],
)
def test_a_text_keeps_its_form_and_loses_what_is_private(text: str, masked: str) -> None:
    """Account, names, ids, addresses, keys and times are replaced; the rest stays."""
    assert Masks(KNOWN).text(text) == masked


def test_one_id_gets_one_number() -> None:
    """Whether two answers are about the same execution can still be seen."""
    masks = Masks({})
    one, two = "1f0e6f3c-6a5e-4a7c-9d57-0d0d2f6b1a11", "2f0e6f3c-6a5e-4a7c-9d57-0d0d2f6b1a11"
    first, second = masks.text(one), masks.text(two)
    assert (masks.text(one), masks.text(two)) == (first, second)
    assert first != second
    assert first == "00000000-0000-4000-8000-000000000001"


def test_json_in_a_text_is_masked_as_json() -> None:
    """The payload of an event and the body of a message are read: their receipts and tokens go."""
    body = json.dumps({"ReceiptHandle": "secret", "SecretString": "secret", "detail": {"account": NUMBER}})
    assert Masks(KNOWN).mask({"Body": body}) == {"Body": {"detail": {"account": ACCOUNT}}}


@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.integers(),
            st.just(datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)),
            st.text(max_size=20).map(lambda text: f"{text}{NUMBER}{text}"),
            st.text(max_size=20).map(lambda text: f"{RECORDING}{text}".encode()),
        ),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
)
def test_no_value_keeps_the_account_or_the_name(value: object) -> None:
    """Whatever botocore returns becomes JSON without either."""
    text = json.dumps(Masks(KNOWN).mask({"answer": value}))
    assert leaks(text, {NUMBER: "the account", RECORDING: "the name"}) == []


def test_a_leak_is_named_by_what_it_is() -> None:
    """The message says what was found, and not the secret itself."""
    assert leaks(f"… {NUMBER} …", {NUMBER: "the account's number"}) == ["the account's number"]
