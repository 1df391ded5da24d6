"""Decisions are numbered without a gap, have one form, and are listed."""

from __future__ import annotations

import re

from tests.architecture.tree import ROOT

FOLDER = ROOT / "docs/adr"


def test_every_decision_is_listed_and_has_context_decision_and_consequences() -> None:
    """The index names each page, and each page can be read in the same order."""
    pages = sorted(FOLDER.glob("[0-9]*.md"))
    index = (FOLDER / "index.md").read_text("utf-8")
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.name[:4]}. "), page.name
        assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Decision", "Consequences"], page.name
        assert f"]({page.name})" in index, f"{page.name} is not in docs/adr/index.md"
