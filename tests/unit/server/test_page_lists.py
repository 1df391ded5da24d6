"""The lists of runs and deliveries: rows, filters, links to drop them, pages and what an empty list says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closeout.ledger.filters import RUN_FILTERS
from closeout.ports import DeliveryView, ListPage
from closeout.server.pages import lists
from closeout.server.pages.filter_form import FilterForm, ListPageData
from closeout.server.pages.rendering import Renderer
from tests.contract.http import page_world
from tests.contract.http.page_world import NOW, World

CLOSED = DeliveryView(
    7, "9f1c", "12", "pull_request", "closed", "acme/shop", 17, 4_015, "github", NOW - 120, ("aaaa", "bbbb")
)
PUSH = CLOSED._replace(id=8, event="push", action=None, number=None, runs=(), origin="delivery-log")


def listed(
    given: Mapping[str, str],
    form: FilterForm = lists.RUNS,
    newer: str | None = None,
    older: str | None = None,
) -> ListPageData:
    """Return a page without rows."""
    return form.listed(ListPage((), newer, older), form.set(given))


def shown(form: FilterForm, template: str, rows: Sequence[Any], now: float) -> str:
    """Return the list's part of the page."""
    renderer = Renderer()
    page = form.listed(ListPage(rows, None, None), {})
    return " ".join(renderer.fragment(template, page=page, now=now).split())


def test_the_form_has_every_filter_that_the_url_takes() -> None:
    """In the form, in the URL and on the command line they have the same names."""
    assert set(lists.RUNS.labels) == set(RUN_FILTERS)
    assert [field.name for field in listed({}).fields] == list(lists.RUNS.labels)


def test_a_row_says_what_a_run_came_to() -> None:
    """Its result, what it is about, its summary, and links to it and to its pull request."""
    world = World()
    page_world.failure(world)
    (run,) = world.runs.values()
    text = shown(lists.RUNS, "_runs_list.html", [run], NOW + 3600)
    assert 'tone-failure"><svg' in text
    assert f'<a href="/runs/{run.id}">acme/shop#17</a>' in text
    assert 'href="/pull-requests/acme/shop/17">Pull request' in text
    assert "<p>1 of 3 steps failed" in text
    assert ">preview-cleanup</td>" in text
    assert ">1 min 36 s</td>" in text
    assert ">1 h ago</time>" in text


def test_only_a_pull_request_has_a_page_of_its_own() -> None:
    """A push is about a repository, and an issue has a number too."""
    world = World()
    world.add("nightly", "queued", event="push", number=None)
    world.add("triage", "queued", event="issues")
    assert "/pull-requests" not in shown(lists.RUNS, "_runs_list.html", list(world.runs.values()), NOW)


def test_a_row_says_what_came_and_what_it_started() -> None:
    """And by which way."""
    push = shown(lists.DELIVERIES, "_deliveries_list.html", [PUSH], NOW)
    assert '<a href="/deliveries/8">push<' in push
    assert '"About">acme/shop</td>' in push
    assert "found by patrol in GitHub&#39;s delivery log" in push
    assert ">no run</td>" in push
    closed = shown(lists.DELIVERIES, "_deliveries_list.html", [CLOSED], NOW)
    assert '<a href="/deliveries/7">pull_request.closed<' in closed
    assert '<a href="/pull-requests/acme/shop/17">acme/shop#17</a>' in closed
    assert ">by webhook</td>" in closed
    assert ">2 runs</td>" in closed
    assert ">2 min ago</time>" in closed


def test_each_filter_that_is_set_can_be_dropped_alone() -> None:
    """The order of filters in a URL is fixed, so that a list has one URL; a cursor does not survive a change."""
    given = {
        "state": "finished",
        "search": "stack preview-17",
        "repository": "acme/shop",
        "cursor": "older-9",
        "x": "y",
    }
    page = listed(given)
    assert [(chip.label, chip.value, chip.without) for chip in page.chips] == [
        ("State", "Finished", "/runs?search=stack+preview-17&repository=acme%2Fshop"),
        ("Words", "stack preview-17", "/runs?repository=acme%2Fshop&state=finished"),
        ("Repository", "acme/shop", "/runs?search=stack+preview-17&state=finished"),
    ]


def test_pages_keep_the_filters() -> None:
    """Newer and older lead to the same list; where there is nothing more there is no link."""
    page = listed({"verdict": "failure", "repository": "a/b"}, newer="newer-8")
    assert page.newer == "/runs?repository=a%2Fb&verdict=failure&cursor=newer-8"
    assert page.older is None


def test_an_empty_list_says_which_filter_to_drop() -> None:
    """One filter is named; of several each can be dropped."""
    one = listed({"since": "7d"})
    assert one.advice == "No run meets the filter Accepted in: The last 7 days."
    several = listed({"verdict": "failure", "repository": "a/b"})
    assert several.advice == "No run meets all of these filters together. Drop one of them:"
    assert len(several.chips) == 2


def test_the_form_keeps_what_a_url_says_beyond_it() -> None:
    """A time that the form does not offer is chosen in it all the same, so sending the form changes nothing else."""
    fields = {field.name: field for field in listed({"since": "3d"}).fields}
    assert fields["since"].value == "3d"
    assert fields["since"].options[-1] == ("3d", "3d")


def test_deliveries_have_filters_of_their_own() -> None:
    """A choice is named by its label; a value that the form does not offer is kept."""
    page = listed({"since": "1d", "guid": "9f1c"}, lists.DELIVERIES, older="older-7")
    assert page.advice == "No delivery meets all of these filters together. Drop one of them:"
    assert [chip.value for chip in page.chips] == ["The last day", "9f1c"]
    assert page.older == "/deliveries?guid=9f1c&since=1d&cursor=older-7"
    assert listed({"since": "3d"}, lists.DELIVERIES).advice == "No delivery meets the filter Received in: 3d."


def test_a_tab_keeps_where_and_when() -> None:
    """It changes verdict and state alone, and is the current one only if these are what it says."""
    shown = lists.tabs({"verdict": "failure", "repository": "a/b", "cursor": "older-9"})
    assert [label for label, _, is_current in shown if is_current] == ["Failed"]
    found = {label: path for label, path, _ in shown}
    assert found["All"] == "/runs?repository=a%2Fb"
    assert found["Running"] == "/runs?repository=a%2Fb&state=running"
    assert not any(is_current for _, _, is_current in lists.tabs({"verdict": "failure", "state": "finished"}))
