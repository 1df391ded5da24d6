"""What the pages of deliveries show: the list, and one delivery with the reasons why automations start a run or not.

Pure, so that each sentence is tested without a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from closeout.core.closing import heard_by
from closeout.core.terminal import escaped_json
from closeout.ports import DeliveryView
from closeout.run.explain import FAIL, NOTHING, RUN, SKIP, UNKNOWN
from closeout.server.pages.filter_form import PERIODS, Chip, Field, FilterForm, advice
from closeout.server.pages.presentation import clean
from closeout.server.pages.wording import ago, counted, pull_request_path, run_path
from closeout.wiring.delivery_reasons import DeliveryDetail

PATH = "/deliveries"
FORM = FilterForm(
    PATH,
    {
        "repository": "Repository",
        "pull-request": "Pull request",
        "event": "Event",
        "guid": "GUID",
        "since": "Received in",
        "until": "Received before",
    },
    {
        "repository": "acme/shop",
        "pull-request": "17 or acme/shop#17",
        "event": "pull_request",
        "guid": "X-GitHub-Delivery",
        "until": "2026-03-14",
    },
    {"since": PERIODS},
)
HEARD = {
    "webhook": "by webhook",
    "delivery-log": "read from GitHub's delivery log",
    "closed-list": "found by patrol in GitHub's list of closed pull requests",
    "inventory": "found by what was left behind",
    "recheck": "found by a recheck",
}
OUTCOMES = {
    RUN: ("Starts a run", "good"),
    SKIP: ("Skipped", "none"),
    FAIL: ("Fails", "bad"),
    NOTHING: ("No match", "none"),
    UNKNOWN: ("Unknown", "wait"),
}
"""For each outcome its words and the tone of their colour."""


class DeliveryLine(NamedTuple):
    """A delivery in the list. `url` and `about_url` are paths."""

    url: str
    event: str
    about: str
    about_url: str | None
    heard: str
    guid: str
    runs: str
    at: float
    ago: str


class Deliveries(NamedTuple):
    """Everything that the list shows."""

    rows: tuple[DeliveryLine, ...]
    fields: tuple[Field, ...]
    chips: tuple[Chip, ...]
    newer: str | None
    older: str | None
    error: str | None
    advice: str


class ReasonLine(NamedTuple):
    """What the delivery means to one automation."""

    automation: str
    word: str
    tone: str
    reason: str


class OneDelivery(NamedTuple):
    """Everything that the page of one delivery shows."""

    title: str
    about: str
    about_url: str | None
    heard: str
    runs: tuple[tuple[str, str], ...]
    """Id and path of each run that it started."""
    headers: tuple[tuple[str, str], ...]
    reasons: tuple[ReasonLine, ...]
    payload: str
    is_cut: bool
    delivery: DeliveryView
    replay: str
    """The path at which somebody may replay it."""


def path_of(delivery: DeliveryView) -> str:
    """Return the path of a delivery's page."""
    return f"{PATH}/{quote(str(delivery.id), safe='')}"


def shown(
    deliveries: Sequence[DeliveryView],
    given: Mapping[str, str],
    now: float,
    *,
    newer: str | None = None,
    older: str | None = None,
    error: str | None = None,
) -> Deliveries:
    """Return the list for filters as the query gives them. `newer` and `older` are cursors, `error` what is wrong with one."""
    filters = FORM.set(given)
    chips = FORM.chips(filters)
    return Deliveries(
        rows=tuple(_line(delivery, now) for delivery in deliveries),
        fields=FORM.fields(filters),
        chips=chips,
        newer=FORM.url(filters, cursor=newer) if newer else None,
        older=FORM.url(filters, cursor=older) if older else None,
        error=error,
        advice=advice("delivery", chips) if chips else "No delivery has arrived yet.",
    )


def one(detail: DeliveryDetail) -> OneDelivery:
    """Return the page of one delivery."""
    delivery = detail.delivery
    return OneDelivery(
        title=_event(delivery),
        about=_about(delivery),
        about_url=pull_request_path(delivery.repository, delivery.number),
        heard=_heard(delivery),
        runs=tuple((run, run_path(run)) for run in delivery.runs),
        headers=tuple((name, clean(value)) for name, value in detail.headers),
        reasons=tuple(
            ReasonLine(clean(each.automation), *OUTCOMES[each.outcome], clean(each.reason))
            for each in detail.reasons
        ),
        # A mark that turns the direction of text would change what is read.
        payload=escaped_json(detail.payload),
        is_cut=detail.is_cut,
        delivery=delivery,
        replay=f"{path_of(delivery)}/replay",
    )


def _line(delivery: DeliveryView, now: float) -> DeliveryLine:
    return DeliveryLine(
        url=path_of(delivery),
        event=_event(delivery),
        about=_about(delivery),
        about_url=pull_request_path(delivery.repository, delivery.number),
        heard=_heard(delivery),
        guid=clean(delivery.guid),
        runs=counted(len(delivery.runs), "run") if delivery.runs else "no run",
        at=delivery.received_at,
        ago=ago(delivery.received_at, now),
    )


def _event(delivery: DeliveryView) -> str:
    return clean(f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event)


def _about(delivery: DeliveryView) -> str:
    repository = clean(delivery.repository or "")
    return f"{repository}#{delivery.number}" if delivery.number else repository


def _heard(delivery: DeliveryView) -> str:
    heard = heard_by(delivery.origin)
    return HEARD.get(heard, heard)
