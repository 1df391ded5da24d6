"""What turns into HTML, apart from what the pages say."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from closeout.ports.access import READ
from closeout.server.access import Visitor
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


def test_a_browser_takes_the_style_of_a_page() -> None:
    """The policy names it by its hash, and allows no other."""
    page = rendering.Renderer().html(200, "notice.html", title="Title", text="text")
    policy = page.headers["content-security-policy"]
    (style,) = re.findall("<style>(.*?)</style>", bytes(page.body).decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in policy


def test_an_icon_is_a_drawing_in_its_own_address() -> None:
    """Each tone has another one, so that a tab in the background tells how things are."""
    icons = [rendering.favicon(tone) for tone in ("failure", "running", "success", "none")]
    assert len(set(icons)) == 4
    for icon in icons:
        kind, _, drawing = icon.partition(",")
        assert kind == "data:image/svg+xml"
        assert ElementTree.fromstring(unquote(drawing)).tag.endswith("svg")


def test_only_who_is_signed_in_is_shown_where_to_go() -> None:
    """A link that anybody may open leads nowhere else."""
    renderer = rendering.Renderer()
    renderer.paths = ("/deliveries",)
    pages = [
        renderer.html(200, "notice.html", visitor, title="Title", text="text")
        for visitor in (None, Visitor("ada", READ, 1, None))
    ]
    assert [b'href="/deliveries"' in bytes(page.body) for page in pages] == [False, True]
    # A page with a form to sign out needs its origin; what anybody may open tells nobody where it was.
    assert [page.headers["referrer-policy"] for page in pages] == ["no-referrer", "same-origin"]
