"""Confirmations in a real Chromium: by keyboard, on a phone, without script, and nothing that axe-core finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from closeout.orphans.audit import Report
from closeout.server.pages import user_actions as action_pages
from tests import axe
from tests.chromium import IN_CHROMIUM, chromium
from tests.contract.http.action_site import SECRETS, ActionSite, action_site, orphan

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = list(IN_CHROMIUM)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests here."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def world() -> Iterator[ActionSite]:
    """A server with three orphans."""
    with action_site() as it:
        it.planned.report = Report(
            (orphan(17, "preview-17"), orphan(18, "preview-18")), ("AWS: AccessDenied",)
        )
        yield it


def signed_in(browser: Browser, world: ActionSite, width: int, **options: Any) -> Page:
    """Return a page of the operator's session."""
    context = browser.new_context(viewport={"width": width, "height": 844}, **options)
    context.add_cookies([{"name": "closeout_session", "value": SECRETS["operator"], "url": world.server.url}])
    return context.new_page()


@pytest.mark.parametrize(
    ("scheme", "width", "paths"),
    [("light", 390, ("/runs/{run}/rerun", "/orphans/clean")), ("dark", 1600, ("/pause", "/orphans/clean"))],
)
def test_a_confirmation_is_readable_for_everybody(
    browser: Browser, world: ActionSite, scheme: Any, width: int, paths: tuple[str, ...]
) -> None:
    """axe-core finds nothing, on a phone and on a desk, and nothing scrolls sideways.

    The page with most on it is read in both, the others in one: their parts and styles are the same.
    """
    run = world.store.finished(scheme)
    complaints: list[str] = []
    page = signed_in(browser, world, width, color_scheme=scheme)
    page.on("console", lambda message: complaints.append(message.text))
    for path in paths:
        page.goto(world.server.url + path.format(run=run))
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert axe.findings(page) == []
    page.context.close()
    assert complaints == []


def test_a_rerun_is_confirmed_by_keyboard_and_without_script(browser: Browser, world: ActionSite) -> None:
    """The reason comes first, then the button, then the way back; the answer is the new attempt's page."""
    run = world.store.finished("by keyboard")
    page = signed_in(browser, world, 390, java_script_enabled=False)
    page.goto(f"{world.server.url}/runs/{run}/rerun")
    page.get_by_label("Reason").focus()
    page.keyboard.type("repaired")
    page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Rerun: delete 2 resources")
    assert page.locator("button:focus").inner_text() == button.inner_text()
    page.keyboard.press("Tab")
    assert page.locator("a:focus").inner_text() == "Back, change nothing"
    button.click()
    page.wait_for_url(f"{world.server.url}/runs/{run}?attempt=2")
    assert world.store.asked[-1] == ("rerun", run, "operator (pages)", "repaired")
    page.go_back()
    assert "it can be run again when it has finished" in page.inner_text("main")
    page.context.close()


def test_a_slow_plan_appears_without_script(
    browser: Browser, world: ActionSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says that it waits, which a screen reader hears, and goes on by itself."""
    monkeypatch.setattr(action_pages, "GLANCE", 0.0)
    run = world.store.finished("slowly")
    world.planned.ready.clear()
    page = signed_in(browser, world, 390)
    page.goto(f"{world.server.url}/runs/{run}/rerun")
    assert "closeout is asking AWS and GitHub" in page.get_by_role("status").inner_text()
    waiting = world.get(f"/runs/{run}/rerun")
    world.planned.ready.set()
    page.get_by_role("button", name="Rerun: delete 2 resources").wait_for()
    page.context.close()
    page = signed_in(browser, world, 390)
    page.set_content(waiting.body.decode())
    assert axe.findings(page) == []
    page.context.close()
