"""Overview, list of runs and page of a pull request in a real Chromium: seen on every width, by keyboard, live, without script."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.problems import Problem
from closeout.ports import DayTally
from closeout.server import access
from tests import axe
from tests.chromium import IN_CHROMIUM, chromium
from tests.contract.http import page_world
from tests.contract.http.page_world import NOW, World
from tests.contract.http.signed_in import SignedIn, signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = list(IN_CHROMIUM)

PAGES = (
    "/",
    "/runs?repository=acme/shop&search=stack",
    "/runs?verdict=cancelled",
    "/pull-requests/acme/shop/17",
)
OTHERS = ("/deliveries", "/deliveries/1", "/automations", "/orphans", "/health")
LONG = "a-name-without-any-blank-in-it-" * 6

_ORPHAN = {
    "resource": f"stack {LONG}",
    "state": "orphan",
    "reason": "acme/shop#3 is closed",
    "repository": "acme/shop",
    "pull_request": 3,
    "automation": "preview-cleanup",
    "created": NOW - 900_000,
}
MARKS: dict[str, Any] = {
    "report": {
        "lists": {"ended_at": NOW, "repositories": 3, "errors": [f"GitHub answered 500 for {LONG}"]},
        "orphans": {
            "ended_at": NOW,
            "found": 1,
            "unknown": 1,
            "rows": [_ORPHAN, {**_ORPHAN, "state": "unknown"}],
        },
    },
    "drill": {"last": {"ended_at": NOW, "states": {"aws-permissions": "wrong", "clock": "unknown"}}},
}


def fill(world: World) -> None:
    """Put in a run in each state, long names, a problem, a pause and some days."""
    for kind in ("success", "failure", "waiting", "running"):
        getattr(page_world, kind)(world)
    for run in world.runs.values():
        world.change(run.execution, timeout=10_800.0)
    world.add(LONG, "queued", repository=f"acme/{LONG}", reason=LONG, queue_timeout=7_200.0)
    world.problems.append(
        Problem(LONG, "1/2/x", "failure", f"stack {LONG} is left", "x", NOW, "left", "stack", repository="acme/shop", number=17)
    )  # fmt: skip
    world.tallies += [DayTally(f"2026-09-{day:02}", day, day - 1, day % 2, 0) for day in range(1, 22)]
    world.pause = "by ada@desk: incident"


class Pages:
    """Pages in the browser, with what their consoles said."""

    def __init__(self, browser: Browser, site: SignedIn) -> None:
        self._browser = browser
        self.site = site
        self.complaints: list[str] = []
        self._opened: dict[tuple[Any, bool], Page] = {}

    def open(self, path: str, width: int = 1200, *, scheme: Any = "light", script: bool = True) -> Page:
        """Open a page as somebody who is signed in."""
        page = self._opened.get((scheme, script)) or self._new(scheme, script)
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(self.site.server.url + path, wait_until="domcontentloaded")
        return page

    def _new(self, scheme: Any, script: bool) -> Page:
        context = self._browser.new_context(
            color_scheme=scheme, java_script_enabled=script, reduced_motion="reduce"
        )
        context.add_cookies([{"name": access.COOKIE, "value": self.site.secret, "url": self.site.server.url}])
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._opened[scheme, script] = page
        return page


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """One Chromium and one server for all tests here, with the configuration of the demo."""
    file = tmp_path_factory.mktemp("pages") / "closeout.yaml"
    file.write_text(files("closeout.cli.demo").joinpath("closeout.yaml").read_text("utf-8"), "utf-8")
    loaded = load(file, builtin())
    with chromium() as browser, signed_in(loaded=loaded, marks=lambda kind: MARKS.get(kind, {})) as site:
        fill(site.world)
        yield Pages(browser, site)


@pytest.fixture
def pages(shared: Pages) -> Iterator[Pages]:
    """The shared pages; a page that complains in the console fails its test."""
    shared.complaints.clear()
    yield shared
    assert shared.complaints == []


@pytest.mark.parametrize(("scheme", "widths"), [("light", (800, 390)), ("dark", (390, 1600))])
@pytest.mark.parametrize("path", PAGES)
def test_every_width_is_read_without_help(
    pages: Pages, path: str, scheme: Any, widths: tuple[int, ...]
) -> None:
    """Nothing scrolls sideways on a phone, a tablet and a wide window; axe-core finds nothing on the two ends, in a scheme each."""
    page = pages.open(path, scheme=scheme)
    for width in widths:
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width
    assert axe.findings(page) == []


@pytest.mark.parametrize("path", OTHERS)
def test_every_other_page_is_read_on_a_phone(pages: Pages, path: str) -> None:
    """Deliveries, automations, orphans and health: nothing scrolls sideways, and axe-core finds nothing."""
    page = pages.open(path, 390)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert axe.findings(page) == []


def test_the_keyboard_reaches_everything(pages: Pages) -> None:
    """First the link that skips the navigation, which can be seen then; a filter is set without a mouse."""
    page = pages.open("/runs")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text() == "Skip to the content"
    box = focused.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.locator("#filter-repository").focus()
    page.keyboard.type("acme/none")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs?repository=acme%2Fnone")
    page.get_by_role("link", name="Drop Repository: acme/none").click()
    page.wait_for_url("**/runs")


def test_everything_is_there_without_script(pages: Pages) -> None:
    """Needs, what is running, the figures, the filters behind their summary, and the story."""
    page = pages.open("/", script=False)
    assert page.locator(".need").count() >= 2
    assert page.locator("table.going tbody tr").count() == 3
    page.get_by_text("As a table").click()
    assert (
        page.get_by_role("cell", name="2026-09-21")
        .or_(page.get_by_role("rowheader", name="2026-09-21"))
        .is_visible()
    )
    page = pages.open("/runs", script=False)
    page.get_by_text("More filters").click()
    page.locator("#filter-verdict").select_option("failure")
    page.get_by_role("button", name="Filter").click()
    assert page.url.endswith("/runs?verdict=failure")
    assert page.locator("table.runs tbody tr").count() == 1
    page.get_by_role("link", name="Pull request acme/shop#17").click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("Show the basket's total")


def test_an_open_overview_follows_what_happens(pages: Pages) -> None:
    """Its live part is asked for again; what was unfolded and what had the focus stay so."""
    page = pages.open("/")
    count = page.locator(".need").count()
    assert page.title() == f"({count}) Overview · closeout"
    page.get_by_text("As a table").click()
    page.get_by_role("link", name="acme/shop#17").first.focus()
    before = page.evaluate("document.activeElement.getAttribute('href')")
    page.evaluate("document.querySelector('[data-live]').dataset.mark = 'same'")
    pages.site.world.add("docs-cleanup", "running")
    pages.site.world.problems.append(
        Problem("docs-cleanup", "1/3/x", "failure", "it is left", "x", NOW, "left", "stack")
    )
    # As when somebody comes back to the tab, so that no test waits for the timer.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_role("cell", name="docs-cleanup").wait_for()
    assert page.evaluate("document.querySelector('[data-live]').dataset.mark") == "same"
    assert page.title() == f"({count + 1}) Overview · closeout"
    assert page.evaluate("document.querySelector('details[data-key=days]').open") is True
    assert page.evaluate("document.activeElement.getAttribute('href')") == before


def test_a_session_that_ends_shows_the_way_back(pages: Pages) -> None:
    """An open page does not go on to show what its reader may no longer see."""
    page = pages.open("/runs")
    credentials = pages.site.credentials
    (number,) = credentials.rows
    held = credentials.rows[number]
    credentials.end(number)
    try:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_url("**/login")
        assert "closeout open" in page.locator("main").inner_text()
    finally:
        credentials.rows[number] = held
