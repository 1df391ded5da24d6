"""Take the pictures of the operator's pages: `python docs/page_pictures.py` writes docs/overview-*.png, docs/runs.png and docs/pull-request.png.

The pages are real ones, after four scenes of `closeout demo`: a preview that is gone, one of a pull request that was reopened,
one with something left, and one without a webhook. Chromium signs in with a link like that of `closeout open`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from closeout.cli.demo.narrator import Narrator
from closeout.cli.demo.processes import Children
from closeout.cli.demo.scenes import STUCK, main_job, reopened, stuck, untold
from closeout.cli.demo.stage import build
from closeout.cli.demo.story import Stage
from closeout.ledger.sqlite import Views
from closeout.server import access, details
from tests.chromium import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTH = 1100
SCENES = (main_job, reopened, stuck, untold)
PICTURES: tuple[tuple[str, str, Literal["light", "dark"], int], ...] = (
    ("overview-light", "/", "light", 1080),
    ("overview-dark", "/", "dark", 1080),
    ("runs", "/runs", "light", 560),
    ("pull-request", f"/pull-requests/acme/shop/{STUCK}", "light", 740),
)
"""File, path, colours and height of each."""


def main() -> int:
    """Play the scenes, and write the pictures."""
    narrator = Narrator()
    with (
        tempfile.TemporaryDirectory(prefix="closeout-pictures-") as folder,
        Children(Path(folder)) as children,
    ):
        stage = build(Path(folder), children, narrator)
        for scene in SCENES:
            scene(stage)
        with chromium() as browser:
            for picture in PICTURES:
                _take(browser, stage, *picture)
    return 1 if narrator.failed else 0


def _take(
    browser: Browser, stage: Stage, name: str, path: str, scheme: Literal["light", "dark"], height: int
) -> None:
    context = browser.new_context(
        viewport={"width": WIDTH, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(_link(stage))
    page.goto(stage.server.url + path)
    page.screenshot(path=DOCS / f"{name}.png")
    context.close()


def _link(stage: Stage) -> str:
    """Return a link that signs in once."""
    views = Views(stage.server.db)
    key = views.setting(details.KEY_SETTING)
    views.close()
    assert key is not None
    return access.login_link(stage.server.url, key, "ada@ops", time.time())


if __name__ == "__main__":
    sys.exit(main())
