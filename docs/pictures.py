"""Take the pictures of a run page: `python docs/pictures.py` writes docs/run-page-light.png and docs/run-page-dark.png.

The page is a real one. The first scene of `closeout demo` runs here, with its emulated AWS, its fake GitHub and a real
`closeout serve`, and Chromium opens the Details link that the commit's status got.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Literal

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from closeout.cli.demo.narrator import Narrator
from closeout.cli.demo.processes import Children
from closeout.cli.demo.scenes import main_job
from closeout.cli.demo.stage import build
from tests.chromium import chromium

WIDTH, HEIGHT = 1100, 640
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def main() -> int:
    """Tear down a preview, and write one picture of its page for each colour scheme."""
    narrator = Narrator()
    with (
        tempfile.TemporaryDirectory(prefix="closeout-pictures-") as folder,
        Children(Path(folder)) as children,
    ):
        stage = build(Path(folder), children, narrator)
        main_job(stage)
        (url,) = stage.github.details().values()
        with chromium() as browser:
            for scheme in SCHEMES:
                context = browser.new_context(
                    viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, device_scale_factor=1.25
                )
                page = context.new_page()
                page.goto(url)
                page.screenshot(path=DOCS / f"run-page-{scheme}.png")
                context.close()
    return 1 if narrator.failed else 0


if __name__ == "__main__":
    sys.exit(main())
