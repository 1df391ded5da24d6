"""What the checks of webhooks make of GitHub's answers: an organization's webhooks, pings that do not come, logs."""

from __future__ import annotations

from closeout.core.records import NewDelivery
from closeout.testing.github import TOKEN
from tests.unit.checks.scene import SECRET, Scene


def test_a_webhook_of_the_organization_counts_for_its_repositories(whole: Scene) -> None:
    """It has the events of all of them."""
    for name in ("acme/shop", "acme/site"):
        whole.github.world.repository(name).hooks.clear()
    organization = whole.github.world.organizations["acme"]
    hook = next(iter(whole.hooks.values()))
    organization.hooks[hook.id] = hook
    found = whole.results(pings=True)
    assert [found[name].ok for name in ("hook-there", "hook-url", "hook-active", "hook-answers")] == [
        True
    ] * 4
    assert found["hook-ping"].result.what == "GitHub sent a ping through 1 webhook"


def delivery(scene: Scene, repository: str, hook: str) -> None:
    """Store a delivery."""
    new = NewDelivery(hook, "g", "pull_request", None, repository, b"{}", False, 1.0, "github")
    scene.ledger.accept_wait(new, ())


def test_where_the_organizations_webhooks_are_hidden_a_delivery_proves_one(whole: Scene) -> None:
    """Without one it is a finding, which says what could not be read."""
    whole.github.world.repository("acme/site").hooks.clear()
    whole.github.world.organizations.clear()
    missing = whole.results()["hook-there"]
    assert (missing.ok, "of its organization cannot be read" in missing.result.what) == (False, True)
    delivery(whole, "acme/site", "77")
    assert whole.results()["hook-there"].ok is True


def test_a_ping_that_may_not_be_asked_for_is_unknown(whole: Scene) -> None:
    """The newest delivery in the log still says what it says."""
    whole.github.faults.add("status", method="POST", path=r"/repos/.*/pings", status=403, times=0)
    found = whole.results(pings=True)
    assert (found["hook-ping"].result.state, "cannot be pinged" in found["hook-ping"].result.what) == (
        "unknown",
        True,
    )
    assert (found["hook-secret"].ok, found["hook-answers"].ok) == (True, True)


def test_a_ping_that_never_shows_in_the_log_is_unknown(whole: Scene) -> None:
    """The drill looks some thirty times, and then says so."""
    whole.github.faults.add("status", method="POST", path=r"/repos/.*/pings", status=204, times=0, body={})
    found = whole.results(pings=True)["hook-ping"]
    assert (found.result.state, "no ping within 30 s" in found.result.what) == ("unknown", True)


def test_a_log_that_cannot_be_read_is_no_good_news(whole: Scene) -> None:
    """An error is not the answer that all went well."""
    whole.github.faults.add("status", path=r"/repos/.*/deliveries", status=500, times=0)
    found = whole.results()
    assert found["hook-answers"].result.state == "unknown"
    assert found["hook-secret"].result.state == "unknown"


def test_a_webhook_without_a_delivery_proves_nothing(whole: Scene) -> None:
    """The doctor says so, and the drill sends one."""
    for name in whole.hooks:
        whole.github.world.repository(name).deliveries.clear()
    assert whole.results()["hook-secret"].result.state == "skipped"
    assert whole.results(pings=True)["hook-secret"].ok is True


def test_payloads_in_the_clear_are_a_finding(whole: Scene) -> None:
    """Over http to another machine, or over TLS whose certificate nobody checks."""
    exposed = whole.hooks["acme/shop"]
    for url, insecure, ok in (
        ("http://closeout.example.com/webhook", False, False),
        ("https://closeout.example.com/webhook", True, False),
        ("https://closeout.example.com/webhook", False, True),
    ):
        exposed.url, exposed.insecure, exposed.secret = url, insecure, SECRET
        whole.hooks["acme/site"].url = url
        whole.hooks["acme/site"].insecure = insecure
        whole.file.write_text(
            whole.file.read_text().replace("env:CHECKED_URL", "https://closeout.example.com")
        )
        if url.startswith("http:"):
            whole.file.write_text(whole.file.read_text().replace("https://closeout", "http://closeout"))
        else:
            whole.file.write_text(whole.file.read_text().replace("http://closeout", "https://closeout"))
        assert whole.results()["hook-encrypted"].ok is ok


def test_a_token_without_any_right_is_told_each_right_that_it_lacks(whole: Scene) -> None:
    """One finding for each, not one for all."""
    whole.github.world.tokens[TOKEN]["rights"] = {}
    found = {name for name, one in whole.results().items() if one.ok is False}
    rights = {"pull-requests", "contents", "deployments", "issues", "actions", "statuses", "hooks"}
    assert found == {f"github-{right}" for right in rights}


def test_another_programs_webhook_is_not_taken_for_closeouts(whole: Scene) -> None:
    """A URL that ends alike is a guess, and the advice says so; a webhook that has delivered here is known."""
    moved = whole.hooks["acme/site"]
    moved.url = "https://ci.example.com/webhook"
    guessed = whole.results()["hook-url"]
    assert (guessed.ok, str(guessed.fix).startswith("if this webhook is closeout's, ")) == (False, True)
    delivery(whole, "acme/site", str(moved.id))
    known = whole.results()["hook-url"]
    assert (known.ok, str(known.fix).startswith("set its Payload URL to ")) == (False, True)
    moved.url = "https://ci.example.com/github-hook/"
    assert whole.results()["hook-url"].ok is False


def test_one_repository_whose_webhooks_are_hidden_hides_no_others(whole: Scene) -> None:
    """A finding that stays must not keep a drill from what breaks later; where all are hidden, nobody knows."""
    whole.github.faults.add("status", path="/repos/acme/site/hooks", status=403, times=0)
    whole.hooks["acme/shop"].active = False
    found = whole.results()
    assert {name for name, one in found.items() if one.ok is False} == {"github-hooks", "hook-active"}
    whole.github.faults.add("status", path="/repos/acme/shop/hooks", status=403, times=0)
    hidden = {one.result.state for one in whole.results().values() if one.check.group == "Webhook"}
    assert hidden == {"unknown", "skipped"}
    assert whole.results()["hook-active"].result.state == "unknown"
