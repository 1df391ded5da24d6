"""From headers and bytes to a decision: what is stored, and which runs it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeout import livecheck
from closeout.core import closing, ids
from closeout.core.automation import Automation
from closeout.core.closing import Closing
from closeout.core.errors import BadDelivery, PayloadRefused, Unauthorized
from closeout.core.rules import compile_rules, read_rules
from closeout.intake import Decision, Receiver
from closeout.run.explain import explain
from closeout.testing import deliveries

SECRET = b"one"
CLEANUP = Automation(
    name="cleanup",
    triggers=({"event": "pull_request", "types": ["closed"], "branches": ["develop", "release/**"]},),
    repositories=("acme/*",),
    queue_timeout=60.0,
)
BRANCH = Automation(name="branches", triggers=({"event": "delete"}, {"event": "push", "paths": ["src/**"]}))
EVERYTHING = Automation(name="all", triggers=({"event": "pull_request", "types": ["closed", "opened"]},), senders=("octo-*",))  # fmt: skip


def receiver(*automations: Automation, secrets: Sequence[bytes] = (SECRET,)) -> Receiver:
    """A receiver with these automations."""
    return Receiver.of(automations, lambda: secrets)


def raw(event: str, body: bytes, guid: str = "g-1", **more: Any) -> dict[bytes, bytes]:
    """Signed headers in lower case, as bytes."""
    headers = deliveries.signed_headers(event, body, more.pop("secret", SECRET), guid, **more)
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


def decide(event: str, payload: Mapping[str, Any], *automations: Automation, **more: Any) -> Decision:
    """Return the decision about a signed delivery."""
    form = bool(more.get("form", False))
    body = deliveries.encode(dict(payload), form=form)
    return receiver(*automations).decide(raw(event, body, **more), body, 12.5)


def test_a_matching_delivery_starts_a_run_of_each_automation() -> None:
    """Delivery and runs are ready to be stored together, in the order of the file."""
    payload = deliveries.pull_request(closed_at="2026-03-14T09:26:53Z")
    decision = decide("pull_request", payload, CLEANUP, EVERYTHING, BRANCH)
    assert decision.delivery is not None
    assert decision.delivery.closing == "501001/1700017/2026-03-14T09:26:53Z"
    assert decision.delivery.guid == "g-1"
    assert decision.delivery.hook == "400001"
    assert (decision.delivery.event, decision.delivery.action) == ("pull_request", "closed")
    assert decision.delivery.repository == "acme/shop"
    assert (decision.delivery.received_at, decision.delivery.origin) == (12.5, "github")
    assert [run.automation for run in decision.runs] == ["cleanup", "all"]
    first = decision.runs[0]
    assert first.run_id == Closing(501_001, 1_700_017, "2026-03-14T09:26:53Z").run_id("cleanup")
    assert first.key == "cleanup|501001|17"
    assert first.definition == CLEANUP.canonical()
    assert first.queue_timeout == 60.0


def test_a_closing_has_one_run_whatever_its_guid() -> None:
    """Closed again later, it has another; other events, or an incomplete closing, have a run per GUID."""
    payload = deliveries.pull_request(closed_at="2026-03-14T09:26:53Z")
    opened = Automation(name="all", triggers=({"event": "pull_request", "types": ["closed", "edited"]},))

    def run(guid: str, **changes: Any) -> str:
        changed = {**payload, **changes}
        return decide("pull_request", changed, opened, guid=guid).runs[0].run_id

    def pull(**changes: Any) -> dict[str, Any]:
        return {"pull_request": payload["pull_request"] | changes}

    assert run("g-1") == run("g-2")
    assert (
        len({run("g-1"), run("g-1", **pull(closed_at="2026-03-14T09:26:54Z")), run("g-1", **pull(id=5))}) == 3
    )
    lacks: list[dict[str, Any]] = [
        pull(closed_at=None),
        pull(closed_at="a\nb"),
        pull(id="5"),
        {"action": "edited"},
        {"repository": {}},
    ]
    for lacking in lacks:
        assert (run("g-1", **lacking), run("g-2", **lacking)) == (
            ids.run_id("g-1", "all"),
            ids.run_id("g-2", "all"),
        )


def test_closings_are_the_events_with_a_live_check_of_a_pull_request() -> None:
    """Otherwise each would be acted upon once for every delivery, or not at all."""
    checked = [(one.event, one.action) for one in livecheck.CHECKS if one.kind == "pull request"]
    assert checked == [(closing.EVENT, closing.ACTION)]


def test_a_delivery_that_matches_nothing_is_still_stored() -> None:
    """`explain` and `replay` need it: it is stored without a run."""
    decision = decide("pull_request", deliveries.pull_request(base="main"), CLEANUP)
    assert decision.delivery is not None
    assert decision.runs == ()


def test_an_unknown_event_is_stored() -> None:
    """GitHub adds events without notice."""
    decision = decide("unheard_of", {"something": 1}, CLEANUP)
    assert decision.delivery is not None
    assert (decision.delivery.event, decision.delivery.action, decision.runs) == ("unheard_of", None, ())


def test_a_ping_is_neither_stored_nor_run() -> None:
    """It only checks that the receiver is there and has the right secret."""
    assert decide("ping", deliveries.ping(), CLEANUP) == Decision(None)
    with pytest.raises(PayloadRefused, match="JSON"):
        receiver(CLEANUP).decide(raw("ping", b'{"zen": '), b'{"zen": ', 12.5)


def test_a_form_is_stored_as_it_was_signed() -> None:
    """The signature covers the raw form; its JSON is matched."""
    decision = decide("pull_request", deliveries.pull_request(), CLEANUP, form=True)
    assert decision.delivery is not None
    assert decision.delivery.form
    assert decision.delivery.body.startswith(b"payload=")
    assert [run.automation for run in decision.runs] == ["cleanup"]


def test_events_that_closeout_caused_start_nothing() -> None:
    """Otherwise its own status would start the automation that set it."""
    watching = Automation(name="watch", triggers=({"event": "status"},))
    own = decide("status", deliveries.status("closeout/cleanup"), watching)
    other = decide("status", deliveries.status("ci/test"), watching)
    assert (len(own.runs), len(other.runs)) == (0, 1)


def test_a_concurrency_template_reads_the_payload() -> None:
    """The receiver makes the key from any plain path of the payload; a missing value becomes one fixed word."""
    keyed = Automation(
        name="keyed",
        triggers=({"event": "push"},),
        concurrency="${{ event.repository.full_name }}/${{ event.nothing.here }}",
    )
    (run,) = decide("push", deliveries.push(), keyed).runs
    assert run.key == "keyed|acme/shop/<missing>"


@pytest.mark.parametrize("missing", [b"x-github-event", b"x-github-delivery"])
def test_a_delivery_without_its_headers_is_bad(missing: bytes) -> None:
    """A missing GUID cannot be invented: duplicates would no longer be detected."""
    body = deliveries.encode(deliveries.pull_request())
    headers = raw("pull_request", body)
    del headers[missing]
    with pytest.raises(BadDelivery):
        receiver(CLEANUP).decide(headers, body, 0.0)


def test_a_form_without_a_payload_is_bad() -> None:
    """The field `payload` has the JSON; nothing else is read."""
    body = b"other=1"
    with pytest.raises(BadDelivery):
        receiver(CLEANUP).decide(raw("push", body, form=True), body, 0.0)


@pytest.mark.parametrize("body", [b"[1]", b"nonsense", b'{"a": NaN}', b'{"a": "\\ud800"}', b"\xef\xbb\xbf{}", b'{"a": "\\u0000"}'])  # fmt: skip
def test_an_invalid_payload_is_refused(body: bytes) -> None:
    """Decoders disagree on it, so it is not accepted."""
    with pytest.raises(PayloadRefused):
        receiver(CLEANUP).decide(raw("push", body), body, 0.0)


def test_every_active_secret_is_tried() -> None:
    """During a rotation there are two; either may sign."""
    body = b"{}"
    two = receiver(secrets=(b"new", SECRET))
    two.verify(raw("push", body), body)
    two.verify(raw("push", body, secret=b"new"), body)
    with pytest.raises(Unauthorized):
        two.verify(raw("push", body, secret=b"third"), body)


def test_without_a_secret_every_delivery_is_refused() -> None:
    """A missing or empty secret never disables the check (the server does not even start)."""
    body = b"{}"
    for secrets in ((), (b"",)):
        with pytest.raises(Unauthorized):
            receiver(secrets=secrets).verify(raw("push", body, secret=b""), body)


def test_secrets_are_read_for_each_request() -> None:
    """A secret that was read again counts from the next request on."""
    active = [b"old"]
    asking = Receiver.of((), lambda: active)
    body = b"{}"
    with pytest.raises(Unauthorized):
        asking.verify(raw("push", body), body)
    active[:] = [SECRET]
    asking.verify(raw("push", body), body)


def test_a_replay_matches_a_stored_payload_again() -> None:
    """`runs` returns what today's automations would start."""
    text = deliveries.encode(deliveries.pull_request())
    assert [run.automation for run in receiver(CLEANUP).runs("pull_request", "g-9", text)] == ["cleanup"]


def test_a_closing_that_only_its_base_excludes_is_a_candidate() -> None:
    """If the automation counts earlier bases, the run asks GitHub, since the receiver has no time for it."""
    trigger = {**CLEANUP.triggers[0], "types": ["closed", "reopened"]}
    ever = replace(CLEANUP, triggers=(trigger,), bases="ever")
    into_main = deliveries.pull_request(base="main", repository="acme/shop")
    assert [run.automation for run in decide("pull_request", into_main, ever).runs] == ["cleanup"]
    assert decide("pull_request", into_main, CLEANUP).runs == ()
    for other in (
        deliveries.pull_request("reopened", base="main", repository="acme/shop"),
        deliveries.pull_request(base="main", repository="other/shop"),
    ):
        assert decide("pull_request", other, ever).runs == ()
    assert decide("pull_request", into_main, replace(ever, senders=("nobody",))).runs == ()


def test_compiled_rules_say_which_bases_count() -> None:
    """The receiver on AWS reads them; rules from an earlier release count the base at the close."""
    text = compile_rules([replace(CLEANUP, bases="ever")], ())
    assert read_rules(text)[0][0].bases == "ever"
    old = json.loads(text)
    del old["rules"][0]["bases"]
    assert read_rules(json.dumps(old))[0][0].bases == "at-close"


def test_a_status_that_the_configuration_sets_starts_nothing() -> None:
    """Otherwise `status: ci/teardown` and an automation on `status` events would trigger each other forever."""
    sets = Automation(name="sets", triggers=({"event": "push"},), status_context="ci/teardown")
    hears = Automation(name="hears", triggers=({"event": "status"},), status_context="other-name")
    for own in ("ci/teardown", "other-name", "closeout/anything"):
        payload = {"context": own, "repository": {"full_name": "acme/shop"}}
        assert decide("status", payload, sets, hears).runs == ()
        assert receiver(sets, hears).runs("status", "g-2", deliveries.encode(payload)) == ()
        (_, row) = explain([sets, hears], "status", payload)
        assert (row["matched"], row["reason"]) == (False, "closeout itself caused this event")
    assert [run.automation for run in decide("status", {"context": "ci/build"}, sets, hears).runs] == [
        "hears"
    ]


text = st.text(max_size=30).map(lambda value: value.encode("utf-8", "surrogatepass"))
header_values = st.one_of(st.none(), st.binary(max_size=300), text, st.sampled_from([b"push", b"ping", b"pull_request"]))  # fmt: skip


@settings(max_examples=60)
@given(
    st.fixed_dictionaries(
        dict.fromkeys((b"x-github-event", b"x-github-delivery", b"x-github-hook-id", b"content-type", b"x-github-hook-installation-target-type", b"x-github-hook-installation-target-id"), header_values)
    ),
    st.one_of(st.binary(max_size=80), st.sampled_from([b"{}", b"payload=%7B%7D", b"payload=%ff", b"payload=", b'{"commits":[{}]}'])),
)  # fmt: skip
def test_any_headers_and_body_yield_a_decision_or_a_named_error(
    headers: dict[bytes, bytes | None], body: bytes
) -> None:
    """A sender with the secret can still send nonsense: it gets a 400, never a 500."""
    given_headers = {name: value for name, value in headers.items() if value is not None}
    try:
        decision = receiver(CLEANUP, BRANCH).decide(given_headers, body, 0.0)
    except BadDelivery:
        return
    assert decision.delivery is None or decision.delivery.guid.isascii()
