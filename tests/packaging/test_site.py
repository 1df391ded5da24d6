"""The site of the documentation as a reader has it, from files and in Chromium: `make docs` builds it first."""

from __future__ import annotations

import re
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.architecture.tree import ROOT
from tests.chromium import chromium, in_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SITE = ROOT / "site"
SPHINX = ROOT / ".venv-docs/bin/sphinx-build"

pytestmark = pytest.mark.skipif(not SPHINX.exists(), reason="`make docs` installs Sphinx and builds the site")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests here."""
    with chromium() as started:
        yield started


def test_every_page_of_the_docs_is_in_the_site() -> None:
    """Each Markdown file of docs/ has its page."""
    pages = [path.relative_to(ROOT).with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")]
    assert len(pages) > 40
    assert [str(page) for page in pages if not (SITE / page).is_file()] == []


@in_chromium
def test_the_site_opens_and_leads_to_a_page(browser: Browser) -> None:
    """The root opens the first page; its navigation has the four kinds of docs, and a link in it leads on."""
    page = browser.new_page()
    page.goto((SITE / "index.html").as_uri())
    page.wait_for_url("**/docs/index.html")
    assert page.get_by_role("heading", level=1).first.inner_text().startswith("closeout")
    captions = page.locator(".bd-links .caption-text").all_inner_texts()
    assert captions == ["Tutorials", "How-to guides", "Reference", "Explanation", "Project"]
    page.locator(".bd-links").get_by_role("link", name="Your first teardown").click()
    page.wait_for_url("**/first-teardown.html")
    assert page.locator("article pre").count() > 3


@in_chromium
def test_a_search_finds_a_page(browser: Browser) -> None:
    """The search works from files, without a server; its first results lead to pages that have the words."""
    page = browser.new_page()
    page.goto((SITE / "search.html").as_uri() + "?q=" + urllib.parse.quote("rotate secret"))
    found = page.locator("#search-results li a").first
    found.wait_for()
    links = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")
    assert any("rotate-the-webhook-secret" in link for link in links)


@in_chromium
@pytest.mark.parametrize("width", [390, 1200])
def test_a_page_does_not_scroll_sideways(browser: Browser, width: int) -> None:
    """A page with wide tables and long lines of code stays within a phone's width."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto((SITE / "docs/reference/guards.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("target", "complaint"),
    [("absent.md", "absent"), ("guide.md#absent", "absent")],
    ids=["page", "anchor"],
)
def test_a_broken_link_breaks_the_build(tmp_path: Path, target: str, complaint: str) -> None:
    """The build checks links and anchors: Sphinx ends with an error where one leads nowhere."""
    docs = tmp_path / "docs"
    docs.mkdir()
    conf = (ROOT / "docs/conf.py").read_text("utf-8")
    (docs / "conf.py").write_text(conf, "utf-8")
    (docs / "index.md").write_text(f"# First\n\n## A part\n\n[there]({target})\n", "utf-8")
    (docs / "how-to").mkdir()
    (docs / "how-to" / "guide.md").write_text("# Guide\n", "utf-8")
    command = [str(part) for part in (SPHINX, "-q", "-W", "-n", "-c", docs, tmp_path, tmp_path / "site")]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode != 0
    assert re.search(rf"index.md:5: .*{complaint}", built.stderr), built.stderr
