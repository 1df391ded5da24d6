"""Run pages in a real Chromium: what is seen, on what width, with and without script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from closeout.core import ids
from closeout.server import details
from closeout.server.pages import run_page
from closeout.testing import deliveries
from tests import axe
from tests.chromium import IN_CHROMIUM, chromium
from tests.contract.http import page_world
from tests.contract.http.page_world import NOW, World
from tests.contract.http.serving import KEY, Running, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = list(IN_CHROMIUM)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests here."""
    with chromium() as started:
        yield started


class Pages:
    """Pages in the browser, with what their consoles said."""

    def __init__(self, browser: Browser, server: Running, world: World) -> None:
        self._browser = browser
        self.server = server
        self.world = world
        self.complaints: list[str] = []
        self._opened: dict[tuple[Any, bool], Page] = {}

    def open(self, execution: str, width: int = 1200, *, scheme: Any = "light", script: bool = True) -> Page:
        """Open a run's page where one of the same scheme was open: a page of its own is a process of its own."""
        page = self._opened.get((scheme, script)) or self._new(scheme, script)
        page.set_viewport_size({"width": width, "height": 844})
        page.goto(details.link(self.server.url, KEY, execution, NOW), wait_until="domcontentloaded")
        return page

    def _new(self, scheme: Any, script: bool) -> Page:
        # What turns on a page is drawn sixty times a second, and here not by a graphics card.
        page = self._browser.new_context(
            color_scheme=scheme, java_script_enabled=script, reduced_motion="reduce"
        ).new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self._opened[scheme, script] = page
        return page

    def leave(self) -> None:
        """Leave what a test has opened: a run's page goes on to ask the server."""
        for page in self._opened.values():
            page.goto("about:blank")


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[Pages]:
    """A server with pages."""
    world = World()
    with serving(views=world, clock=lambda: NOW + 100) as server:
        yield Pages(browser, server, world)


@pytest.fixture
def pages(shared: Pages) -> Iterator[Pages]:
    """The shared pages; a page that complains in the console fails its test."""
    shared.complaints.clear()
    yield shared
    shared.leave()
    assert shared.complaints == []


def test_a_run_is_read_at_a_glance(pages: Pages) -> None:
    """One main heading says the verdict, and the page's title too."""
    page = pages.open(page_world.failure(pages.world))
    assert page.get_by_role("heading", level=1).inner_text() == "Failed"
    assert page.title() == "Failed: preview-cleanup"
    headings = [text.split("\n")[0] for text in page.locator("h2").all_inner_texts()]
    assert headings[:3] == ["What went wrong", "Steps", "Log"]
    assert headings[4:] == ["Time line", "Delivery"]
    assert page.locator("ol.steps > li").count() == 3
    assert page.get_by_text("its policy denies s3:DeleteBucket").count() == 1, (
        "an error stands once on a page"
    )
    assert page.get_by_role("table").first.locator("caption").count() == 1


@pytest.mark.parametrize(
    ("kind", "scheme", "width"),
    [
        ("failure", "light", 390),
        ("failure", "dark", 1600),
        ("running", "dark", 390),
        ("waiting", "light", 1600),
        ("again", "light", 800),
    ],
)
def test_axe_finds_nothing(pages: Pages, kind: str, scheme: Any, width: int) -> None:
    """On a phone, a tablet and a wide window, in both schemes."""
    execution = getattr(page_world, kind)(pages.world)
    assert axe.findings(pages.open(execution, width, scheme=scheme)) == []


def test_axe_is_heard(pages: Pages) -> None:
    """A page without a title and a picture without a text are found."""
    page = pages.open(page_world.success(pages.world))
    page.evaluate(
        "document.title = ''; document.querySelector('main').appendChild(document.createElement('img'))"
    )
    assert {found.partition(":")[0] for found in axe.findings(page)} >= {"document-title", "image-alt"}


@pytest.mark.parametrize("kind", ["success", "failure", "waiting", "running"])
def test_no_width_scrolls_sideways(pages: Pages, kind: str) -> None:
    """From a phone to a wide window everything is within the width, long names included."""
    execution = getattr(page_world, kind)(pages.world)
    page = pages.open(execution)
    for width in (390, 800, 1600):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_very_long_name_breaks_instead_of_scrolling(pages: Pages) -> None:
    """A branch of 200 characters without a space, on a phone."""
    name = "x" * 200
    payload = deliveries.pull_request(head=name, title=name)
    execution = pages.world.add(
        "a", "finished", "success", payload=payload, lines=((None, name),), summary=name
    )
    assert pages.open(execution, 390).evaluate("document.documentElement.scrollWidth") == 390


def contrast(page: Page, selector: str) -> float:
    """The contrast of an element's text against what is behind it."""
    return float(
        page.locator(selector).first.evaluate(
            """(element) => {
              const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
              const light = (c) => [0, 1, 2].map((i) => c[i] / 255)
                .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
                .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
              let behind = element, back;
              do { back = rgb(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
              while (behind && back.length === 4 && back[3] === 0);
              const pair = [light(rgb(getComputedStyle(element).color)), light(back)].sort((a, b) => b - a);
              return (pair[0] + 0.05) / (pair[1] + 0.05);
            }"""
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(pages: Pages, scheme: Any) -> None:
    """At least 4.5 to 1 for every kind of text, in both schemes."""
    failing = pages.open(page_world.failure(pages.world), scheme=scheme)
    selectors = ["h1", ".verdict p", ".took", "dt", "dd a", ".chip", ".uses", ".says a", ".error", ".left code", ".advice",
                 "td:nth-child(3)", ".outcome", ".log time", ".log li > span", ".log .bad > span", ".log .warned > span",
                 ".fold small", ".history time", "footer"]  # fmt: skip
    faint = {selector: contrast(failing, selector) for selector in selectors}
    waiting = pages.open(page_world.waiting(pages.world), scheme=scheme)
    faint |= {
        f"waiting {selector}": contrast(waiting, selector)
        for selector in ("h1", ".chip", ".tone-pending .chip")
    }
    assert {name: ratio for name, ratio in faint.items() if ratio < 4.5} == {}


def test_an_open_page_follows_the_run(pages: Pages) -> None:
    """Log lines, steps and the verdict arrive without a reload, and what was unfolded stays so."""
    world = pages.world
    execution = page_world.running(world)
    run_id, _ = ids.parse_execution(execution)
    page = pages.open(execution)
    page.evaluate("window.same = true")
    page.locator("details.plan summary").first.click()
    world.log(run_id, "objects", "deleted 300 of 412 <b>versions</b>")
    page.get_by_text("deleted 300 of 412 <b>versions</b>").first.wait_for()
    assert page.locator("li.step.tone-running .says").inner_text().startswith("deleted 300 of 412")
    assert "0969da" in icon(page)
    world.log(run_id, None, "status success")
    world.change(execution, state="finished", verdict="success", finished_at=NOW + 100, summary="all gone")
    page.locator("h1", has_text="Succeeded").wait_for()
    assert page.title() == "Succeeded: preview-cleanup"
    assert "1a7f37" in icon(page)
    assert page.locator("#history").inner_text().rstrip().endswith("Succeeded")
    assert page.evaluate("window.same") is True
    assert not page.locator("details.plan").first.evaluate("element => element.open")


def icon(page: Page) -> str:
    """Return the address of the page's icon."""
    return page.locator("link[rel=icon]").get_attribute("href") or ""


def test_an_update_leaves_the_reader_where_they_are(pages: Pages) -> None:
    """Focus stays while times go on, and a screen reader hears only of where the run stands."""
    execution = page_world.running(pages.world)
    page = pages.open(execution)
    for timeout, said in ((5_000.0, "1 h 23 min"), (6_000.0, "1 h 40 min"), (6_600.0, "1 h 50 min")):
        page.locator("details.plan summary").first.focus()
        page.evaluate("window.same = true; document.activeElement.mark = 'kept'")
        pages.world.change(execution, timeout=timeout)
        page.get_by_text(f"of at most {said}").wait_for()
        if page.evaluate("window.same"):
            break  # else a busy server refused an answer, and the page was loaded again
    assert page.evaluate("document.activeElement.mark") == "kept"
    assert page.locator("#aloud").inner_text() == "Running Current step: Delete its uploads."
    assert page.locator("[aria-live]").count() == 0


def test_a_failure_says_what_to_do_when_it_comes(pages: Pages) -> None:
    """A page that was open while the run failed says the same as one that is opened then."""
    execution = page_world.running(pages.world)
    page = pages.open(execution)
    assert page.get_by_role("heading", name="What went wrong").count() == 0
    failed = page_world.step("stack", "failure", reason="AccessDenied: no", code="service-error")
    pages.world.change(execution, state="finished", verdict="failure", finished_at=NOW + 100, steps=(failed,))
    page.get_by_role("heading", name="What went wrong").wait_for()
    assert "closeout permissions" in page.locator(".advice").inner_text()
    assert page.locator(".command").inner_text().startswith("closeout runs rerun ")


def test_lines_that_arrive_are_folded_with_their_step(pages: Pages) -> None:
    """A line of the run stays with the step that is under way; another step begins a fold."""
    execution = page_world.running(pages.world)
    run_id, _ = ids.parse_execution(execution)
    page = pages.open(execution)
    for step, text in (("objects", "one more"), (None, "status pending: 3/3"), ("comment", "plan: comment")):
        pages.world.log(run_id, step, text)
    page.get_by_text("plan: comment").wait_for()
    said = page.locator(".fold summary").all_inner_texts()
    assert [text.split("\n")[0] for text in said] == [
        "Run",
        "Delete the preview's stack",
        "Delete its uploads",
        "Say so on the pull request",
    ]
    assert "3 lines" in said[2]


def test_the_log_is_filtered_while_one_types(pages: Pages) -> None:
    """Steps without a match go, and come back as they were; Enter searches the whole log on the server."""
    page = pages.open(page_world.failure(pages.world))
    page.locator(".fold summary").first.click()
    field = page.get_by_role("searchbox", name="Search the log")
    field.fill("delete_failed")
    assert page.locator(".log li:visible").count() == 1
    assert page.locator("#found").inner_text().startswith("1 line here contains")
    field.fill("")
    assert page.locator(".fold").evaluate_all("folds => folds.map((fold) => fold.open)") == [
        False,
        True,
        True,
    ]
    field.fill("delete_failed")
    field.press("Enter")
    page.locator("mark").first.wait_for()
    assert page.locator("mark").all_inner_texts() == ["DELETE_FAILED"]
    page.get_by_role("link", name="Show the whole log").click()
    assert page.locator("mark").count() == 0


@pytest.mark.parametrize("script", [True, False])
def test_a_line_has_an_address(pages: Pages, script: bool) -> None:
    """A link to a line opens its step and marks it."""
    execution = page_world.failure(pages.world)
    page = pages.open(execution, script=script)
    page.locator(".fold summary").nth(1).click()
    href = page.locator("li.bad a").first.get_attribute("href")
    page.goto(f"{page.url.partition('#')[0]}{href}")
    line = page.locator(f"li{href}")
    assert line.evaluate("(line) => line.matches(':target') && line.closest('details').open") is True
    assert line.is_visible()


def test_the_address_of_a_line_finds_the_part_of_the_log_that_has_it(pages: Pages) -> None:
    """A log is shown 2,000 lines at a time, and a link to a line was perhaps made when it was among the newest."""
    execution = pages.world.add(
        "a", "finished", "success", lines=tuple((None, f"line-{n}.") for n in range(2100))
    )
    page = pages.open(execution)
    page.evaluate("location.hash = '#L50'")
    page.get_by_text("line-49.", exact=True).wait_for()
    assert page.locator("li#L50").evaluate("(line) => line.matches(':target')") is True


def test_the_keyboard_reaches_what_the_mouse_does(pages: Pages) -> None:
    """The first key leads past the bar; then come the links, the folds and the search."""
    page = pages.open(page_world.failure(pages.world))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.tagName"))
    assert {"A", "SUMMARY", "INPUT", "BUTTON"} <= set(seen)


def test_a_page_works_without_script(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reloads itself until the run has finished."""
    monkeypatch.setattr(run_page, "REFRESH_SECONDS", 1)
    world = pages.world
    execution = page_world.waiting(world)
    page = pages.open(execution, script=False)
    assert page.locator("h1").inner_text() == "Waiting"
    world.change(execution, state="finished", verdict="success", summary="all gone", finished_at=NOW + 100)
    page.locator("h1", has_text="Succeeded").wait_for()


def test_hostile_texts_do_nothing(pages: Pages) -> None:
    """A title, a branch and a log line that try to run script are shown as they are."""
    bad = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    payload = deliveries.pull_request(title=bad, head=bad)
    payload["pull_request"]["html_url"] = "javascript:document.title='owned'"
    execution = pages.world.add("a", "running", payload=payload, lines=(("s", bad),), reason=bad)
    page = pages.open(execution)
    run_id, _ = ids.parse_execution(execution)
    pages.world.log(run_id, None, "later " + bad)
    page.get_by_text("later <img").wait_for()
    assert page.title() == "Running: a"
    assert page.locator("img").count() == 0
    assert page.locator("#about-title a").count() == 0


def test_a_page_sends_no_referrer_and_loads_nothing_from_elsewhere(pages: Pages) -> None:
    """Every request of the page goes to the server that it came from."""
    page = pages.open(page_world.success(pages.world))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.wait_for_timeout(200)
    assert asked
    assert all(url.startswith((pages.server.url, "data:")) for url in asked)
    assert page.evaluate("document.referrer") == ""
