"""What a script passes to later steps, in the form of GitHub Actions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.actions.general import outputs
from closeout.core.errors import ActionFailed


def test_lines_and_blocks() -> None:
    """The last value of a name counts, as in GitHub Actions."""
    written = b"rows=7\nurl=https://x/?a=b\n\nempty=\nlog<<EOF\none\n\ntwo=2\nEOF\r\nrows=8\n"
    assert outputs.parse(written) == {
        "rows": "8",
        "url": "https://x/?a=b",
        "empty": "",
        "log": "one\n\ntwo=2",
    }
    assert outputs.parse(b"") == {}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"a=1\nrows 7\n", "line 2 of its outputs is not NAME=value"),
        (b"9=x", "line 1"),
        (b"log<<EOF\nx\n", "begins on line 1 has no line `EOF`"),
        (b"a=\xff", "not UTF-8"),
        (b"a=x\0y", "NUL"),
        (b"a=" + b"x" * outputs.LIMIT, "longer than 100,000 bytes"),
    ],
)
def test_a_malformed_output_is_an_error(written: bytes, said: str) -> None:
    """It is never accepted in part."""
    with pytest.raises(ActionFailed, match=said):
        outputs.parse(written)


@given(st.binary(max_size=200) | st.text(alphabet="a=<E\n\r ", max_size=60).map(str.encode))
def test_any_bytes_yield_outputs_or_the_named_error(written: bytes) -> None:
    """Whatever a script writes."""
    try:
        found = outputs.parse(written)
    except ActionFailed:
        return
    assert all("\0" not in text for text in (*found, *found.values()))
