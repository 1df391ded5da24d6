"""What axe-core finds wrong with a page: rules of accessibility, checked in the browser on what is rendered.

axe-core comes with a package of `requirements/dev.txt`, so that no test asks for Node or for the network.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def findings(page: Page) -> list[str]:
    """Return what breaks a rule on a page as it is now, one sentence for each element."""
    # Evaluated by the browser's own tools, and so outside of the page's Content-Security-Policy.
    page.evaluate(_source())
    found: list[dict[str, Any]] = page.evaluate(
        "(rules) => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then((all) => all.violations)",
        RULES,
    )
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:200]} ({node['failureSummary'].splitlines()[-1].strip()})"
        for rule in found
        for node in rule["nodes"]
    ]


@cache
def _source() -> str:
    return resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
