"""What the pages of deliveries say, from values."""

from __future__ import annotations

from closeout.ports import DeliveryView
from closeout.server.pages import deliveries_page
from closeout.wiring.delivery_reasons import DeliveryDetail, Reason

NOW = 1_790_000_000.0
CLOSED = DeliveryView(
    7, "9f1c", "12", "pull_request", "closed", "acme/shop", 17, 4_015, "github", NOW - 120, ("aaaa", "bbbb")
)
PUSH = CLOSED._replace(id=8, event="push", action=None, number=None, runs=(), origin="delivery-log")


def test_a_list_says_what_came_and_what_it_started() -> None:
    """And by which way."""
    page = deliveries_page.shown([PUSH, CLOSED], {"event": "push", "cursor": "x"}, NOW, older="older-7")
    push, closed = page.rows
    assert (push.event, push.about, push.about_url, push.runs) == ("push", "acme/shop", None, "no run")
    assert push.heard == "read from GitHub's delivery log"
    assert (closed.event, closed.about, closed.runs) == ("pull_request.closed", "acme/shop#17", "2 runs")
    assert (closed.url, closed.about_url) == ("/deliveries/7", "/pull-requests/acme/shop/17")
    assert closed.ago == "2 min ago"
    assert page.older == "/deliveries?event=push&cursor=older-7"
    assert [(chip.label, chip.value, chip.without) for chip in page.chips] == [
        ("Event", "push", "/deliveries")
    ]


def test_a_list_that_filters_left_empty_says_which() -> None:
    """A choice is named by its label; a value that the form does not offer is kept."""
    page = deliveries_page.shown([], {"since": "1d", "guid": "9f1c"}, NOW)
    assert page.advice == "No delivery meets all of these filters together. Drop one of them:"
    assert [chip.value for chip in page.chips] == ["The last day", "9f1c"]
    only = deliveries_page.shown([], {"since": "3d"}, NOW)
    assert only.advice == "No delivery meets the filter Received in: 3d."
    (since,) = (field for field in only.fields if field.name == "since")
    assert since.options[-1].value == "3d"


def test_one_delivery_says_why_for_each_automation() -> None:
    """In the words of `closeout explain`."""
    reasons = (
        Reason("a", True, "run", "matched"),
        Reason("b", False, "nothing", "branch main matches none of develop"),
        Reason("c", False, "fail", "its `if` fails", "expression-failed"),
    )
    detail = DeliveryDetail(CLOSED, (("X-GitHub-Event", "pull_request"),), "{}", False, reasons)
    page = deliveries_page.one(detail)
    assert [(row.word, row.tone) for row in page.reasons] == [
        ("Starts a run", "good"), ("No match", "none"), ("Fails", "bad"),
    ]  # fmt: skip
    assert page.runs == (("aaaa", "/runs/aaaa"), ("bbbb", "/runs/bbbb"))
    assert page.replay == "/deliveries/7/replay"
