"""What turns into HTML, apart from what the pages say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from closeout.server.pages import rendering


def test_an_upgrade_under_a_running_server_changes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has other files than its code knows: those of its start count, also for a page that nobody asked for before."""
    shutil.copytree(rendering.HERE / "templates", tmp_path / "templates")
    shutil.copytree(rendering.HERE / "assets", tmp_path / "assets")
    monkeypatch.setattr(rendering, "HERE", tmp_path)
    renderer = rendering.Renderer()
    before = renderer.notice(200, "Title", "text").body
    for file in tmp_path.rglob("*.*"):
        file.write_text("{{ a_name_of_another_version }}", "utf-8")
    assert renderer.notice(200, "Title", "text").body == before
    assert b"There is nothing here" in renderer.missing().body
