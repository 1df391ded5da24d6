"""What holds a secret has a text form without it: a traceback or a failing test shows objects as text."""

from __future__ import annotations

import pytest

from closeout.cli.rotation import Value
from closeout.core.secrets import Active
from closeout.stack.sigv4 import Credentials
from closeout.wiring.stack import StoredSecret

HOLDERS = (
    Active("the-value", 1.0),
    StoredSecret("the-value", "version", 1.0),
    Value("the-value", "version", 1.0, generated=True),
    Credentials("key", "the-value", "the-value"),
)


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_what_holds_a_secret_does_not_show_it(holder: object) -> None:
    """Neither alone nor inside something else."""
    assert "the-value" not in f"{holder} {holder!r} {[holder]} { {'a': (holder,)} }"
