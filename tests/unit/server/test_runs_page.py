"""The list of runs as values: filters, links to drop them, pages and what an empty list says."""

from __future__ import annotations

from closeout.ledger.filters import RUN_FILTERS
from closeout.server.pages import runs_page
from tests.contract.http import page_world
from tests.contract.http.page_world import NOW, World


def test_the_form_has_every_filter_that_the_url_takes() -> None:
    """In the form, in the URL and on the command line they have the same names."""
    assert set(runs_page.FORM.labels) == set(RUN_FILTERS)
    assert [field.name for field in runs_page.shown((), {}, NOW).fields] == list(runs_page.FORM.labels)


def test_a_row_says_what_a_run_came_to() -> None:
    """Its result, what it is about, its summary, and links to it and to its pull request."""
    world = World()
    page_world.failure(world)
    (run,) = world.runs.values()
    (row,) = runs_page.shown([run], {}, NOW + 3600).rows
    assert (row.tone, row.word, row.about, row.automation) == (
        "failure",
        "Failed",
        "acme/shop#17",
        "preview-cleanup",
    )
    assert row.says.startswith("1 of 3 steps failed")
    assert (row.url, row.about_url) == (f"/runs/{run.id}", "/pull-requests/acme/shop/17")
    assert (row.took, row.ago) == ("1 min 36 s", "1 h ago")


def test_only_a_pull_request_has_a_page_of_its_own() -> None:
    """A push is about a repository, and an issue has a number too."""
    world = World()
    world.add("nightly", "queued", event="push", number=None)
    world.add("triage", "queued", event="issues")
    rows = runs_page.shown(list(world.runs.values()), {}, NOW).rows
    assert [row.about_url for row in rows] == [None, None]


def test_each_filter_that_is_set_can_be_dropped_alone() -> None:
    """The order of filters in a URL is fixed, so that a list has one URL; a cursor does not survive a change."""
    given = {
        "state": "finished",
        "search": "stack preview-17",
        "repository": "acme/shop",
        "cursor": "older-9",
        "x": "y",
    }
    page = runs_page.shown((), given, NOW)
    assert [(chip.label, chip.value, chip.without) for chip in page.chips] == [
        ("State", "Finished", "/runs?search=stack+preview-17&repository=acme%2Fshop"),
        ("Words", "stack preview-17", "/runs?repository=acme%2Fshop&state=finished"),
        ("Repository", "acme/shop", "/runs?search=stack+preview-17&state=finished"),
    ]


def test_pages_keep_the_filters() -> None:
    """Newer and older lead to the same list; where there is nothing more there is no link."""
    page = runs_page.shown((), {"verdict": "failure", "repository": "a/b"}, NOW, newer="newer-8", older=None)
    assert page.newer == "/runs?repository=a%2Fb&verdict=failure&cursor=newer-8"
    assert page.older is None


def test_an_empty_list_says_which_filter_to_drop() -> None:
    """One filter is named; of several each can be dropped."""
    one = runs_page.shown((), {"since": "7d"}, NOW)
    assert one.advice == "No run meets the filter Accepted in: The last 7 days."
    several = runs_page.shown((), {"verdict": "failure", "repository": "a/b"}, NOW)
    assert several.advice == "No run meets all of these filters together. Drop one of them:"
    assert len(several.chips) == 2


def test_the_form_keeps_what_a_url_says_beyond_it() -> None:
    """A time that the form does not offer is chosen in it all the same, so sending the form changes nothing else."""
    fields = {field.name: field for field in runs_page.shown((), {"since": "3d"}, NOW).fields}
    assert fields["since"].value == "3d"
    assert fields["since"].options[-1] == ("3d", "3d")


def test_a_tab_keeps_where_and_when() -> None:
    """It changes verdict and state alone, and is the current one only if these are what it says."""
    page = runs_page.shown((), {"verdict": "failure", "repository": "a/b"}, NOW)
    tabs = {tab.label: tab for tab in page.tabs}
    assert [tab.label for tab in page.tabs if tab.is_current] == ["Failed"]
    assert tabs["All"].url == "/runs?repository=a%2Fb"
    assert tabs["Running"].url == "/runs?repository=a%2Fb&state=running"
    both = runs_page.shown((), {"verdict": "failure", "state": "finished"}, NOW)
    assert not any(tab.is_current for tab in both.tabs)
