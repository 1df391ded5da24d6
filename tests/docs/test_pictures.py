"""The pictures as a browser draws them: no text over another, over a box's border, or under an arrow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.chromium import chromium, in_chromium
from tests.docs.pages import ROOT, pages

PICTURES = sorted((ROOT / "docs").glob("*.svg"))
OVERLAPS = """() => {
  const texts = [...document.querySelectorAll('text')].map(t => ({said: t.textContent, at: t.getBBox()}));
  const boxes = [...document.querySelectorAll('rect')].map(r => r.getBBox());
  const arrows = [...document.querySelectorAll('path.line, path.ask')];
  const meet = (a, b, by) =>
    a.x < b.x + b.width && b.x < a.x + a.width && a.y + by < b.y + b.height && b.y + by < a.y + a.height;
  const holds = (b, a) => a.x >= b.x + 3 && a.x + a.width <= b.x + b.width - 3 && a.y >= b.y &&
    a.y + a.height <= b.y + b.height;
  const found = [];
  texts.forEach((one, n) => {
    for (const two of texts.slice(n + 1)) if (meet(one.at, two.at, 2)) found.push(`${one.said} | ${two.said}`);
    for (const box of boxes) if (meet(one.at, box, 0) && !holds(box, one.at)) found.push(`${one.said} | a border`);
    for (const arrow of arrows)
      for (let way = 0; way <= arrow.getTotalLength(); way += 2) {
        const point = arrow.getPointAtLength(way);
        if (meet(one.at, {x: point.x, y: point.y, width: 1, height: 1}, 1)) {
          found.push(`${one.said} | an arrow`);
          break;
        }
      }
  });
  return found;
}"""


@in_chromium
def test_nothing_in_a_picture_covers_another_thing() -> None:
    """Measured with the fonts of this machine, which are wider than most."""
    found = {}
    with chromium() as browser:
        for picture in PICTURES:
            page = browser.new_page()
            page.goto(picture.as_uri())
            assert page.locator("text").count() > 20
            found[picture.name] = page.evaluate(OVERLAPS)
    assert found == {picture.name: [] for picture in PICTURES}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_picture_says_in_words_what_it_shows(picture: Path) -> None:
    """It has a title and a description, and a page shows it with a text of its own."""
    text = picture.read_text("utf-8")
    assert 'aria-labelledby="title told"' in text
    assert "<title" in text
    assert "<desc" in text
    shown = [page for page in pages() if f"/{picture.name})" in page.read_text("utf-8")]
    assert shown
    assert all(f"![](docs/{picture.name})" not in page.read_text("utf-8") for page in shown)


def test_the_readme_shows_a_run_page_in_light_and_dark() -> None:
    """Both pictures that `make pictures` takes are there, are small, and are told in words."""
    text = (ROOT / "README.md").read_text("utf-8")
    shown = re.findall(r'(?:srcset|src)="(docs/[\w-]+\.png)"', text)
    assert shown == ["docs/run-page-dark.png", "docs/run-page-light.png"]
    assert all((ROOT / name).stat().st_size < 150_000 for name in shown)
    assert re.search(r'<img alt="[^"]{20,}"', text)
