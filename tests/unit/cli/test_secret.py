"""When `closeout secret set` questions a value: token formats change, so it warns and does not refuse."""

from __future__ import annotations

import pytest

from closeout.cli.secret import value_warning

TOKEN = "ghp_" + "aB3" * 12


@pytest.mark.parametrize(
    ("name", "value", "doubt"),
    [
        ("github", "hunter2-hunter2-hunter2", "does not look like a GitHub token"),
        ("github", f"Bearer {TOKEN}", "does not look like a GitHub token"),
        ("github", TOKEN, None),
        ("github", "ghs_" + "aB3.x-y_" * 30, None),
        ("github", "github_pat_" + "aB3_" * 15, None),
        ("github", "0123456789abcdef0123456789abcdef01234567", None),
        ("webhook", TOKEN, "looks like a GitHub token"),
        ("webhook", "pw-1234", "shorter than 16 characters"),
        ("webhook", "f00d" * 16, None),
        ("webhook", "0123456789abcdef0123456789abcdef01234567", None),
    ],
)
def test_a_suspicious_value_is_questioned_and_never_repeated(
    name: str, value: str, doubt: str | None
) -> None:
    """A token instead of a secret, something else instead of a token, and anything easy to guess."""
    found = value_warning(name, value)
    assert len(found) == (doubt is not None)
    assert doubt is None or doubt in found[0]
    assert value not in "".join(found)
