"""Why a delivery starts what it starts, over a ledger in memory."""

from __future__ import annotations

import json
from typing import Any

from closeout.actions.registry import builtin
from closeout.config.load import load_text
from closeout.core.errors import PayloadRefused
from closeout.core.records import NewDelivery
from closeout.testing.deliveries import pull_request
from closeout.testing.durable import FakeClock
from closeout.wiring.delivery_reasons import DeliveryDetail, read_delivery
from tests.memory_ledger import MemoryLedger

CONFIG = """\
version: 1
secrets: { webhook: env:W }
automations:
  develop:
    repositories: [acme/shop]
    "on": { pull_request: { types: [closed], branches: [develop] } }
    steps: [{ uses: shell, with: { run: "true" } }]
  release:
    repositories: [acme/shop]
    "on": { pull_request: { types: [closed], branches: [release] } }
    steps: [{ uses: shell, with: { run: "true" } }]
"""


def read(body: bytes, origin: str = "github") -> DeliveryDetail:
    """Return a delivery of this body."""
    ledger = MemoryLedger(FakeClock())
    delivery = NewDelivery("77", "g1", "pull_request", "closed", "acme/shop", body, False, 1.0, origin, 17)
    accepted = ledger.accept_wait(delivery, [])
    automations = load_text(CONFIG, builtin()).automations
    found = read_delivery(ledger, accepted.delivery, automations, lambda text: text.replace("hunter2", "***"))
    assert found is not None
    return found


def payload(**changes: Any) -> bytes:
    """Return the payload of a closed pull request into develop."""
    return json.dumps({**pull_request(base="develop"), **changes}).encode()


def test_each_automation_says_why_it_matches_or_not() -> None:
    """With the texts of `closeout explain`."""
    found = read(payload())
    assert [(one.automation, one.matched, one.outcome) for one in found.reasons] == [
        ("develop", True, "run"),
        ("release", False, "nothing"),
    ]
    assert "release" in found.reasons[1].reason
    told = found.to_json()
    assert told["automations"][0]["automation"] == "develop"
    assert (json.loads(told["payload"])["number"], told["payload_is_cut"]) == (17, False)


def test_the_payload_is_shown_without_secrets() -> None:
    """Indented, with the stored headers; a recovered delivery has none."""
    found = read(payload(note="hunter2"))
    assert json.loads(found.payload)["note"] == "***"
    assert "\n" in found.payload
    assert not found.is_cut
    assert dict(found.headers)["X-GitHub-Hook-ID"] == "77"
    assert read(payload(), "closed-list").headers == ()


def test_a_long_payload_is_cut_between_two_values() -> None:
    """Half a secret would be shown, because redaction could not recognize it."""
    secrets = {f"note-{number:06}": "hunter2" for number in range(12_000)}
    for shift in range(8, 22):
        found = read(payload(shift="x" * shift, **secrets))
        assert found.is_cut
        assert "hunter" not in found.payload
        assert found.payload.endswith('"***",')


def test_an_unreadable_payload_fails_every_automation() -> None:
    """It is shown unchanged."""
    found = read(b'{"a": NaN, "b": "hunter2"}')
    assert found.payload == '{"a": NaN, "b": "***"}'
    assert {(one.outcome, one.code) for one in found.reasons} == {("fail", PayloadRefused.code)}


def test_an_unknown_delivery_is_not_shown() -> None:
    """Anyone can guess a number."""
    assert read_delivery(MemoryLedger(FakeClock()), 7, ()) is None
