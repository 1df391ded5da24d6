"""Broken links, one by one: each is named by its own check, and no other check changes but those that come after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from closeout.checks.registry import CHECKS
from closeout.testing.github import TOKEN
from tests.unit.checks.scene import ACCOUNT, ROLE, Scene

NOT_HERE = ("github-excess", "hook-ping")
"""Checks that do not apply to a fine-grained token, and to a doctor."""


class Fault(NamedTuple):
    """One broken link: the check that must name it, how, and a word of what it says."""

    check: str
    inject: Callable[[Scene], object]
    says: str
    state: str = "wrong"
    also: tuple[str, ...] = ()
    """Checks that have less to look at."""


def rewrite(scene: Scene, old: str, new: str) -> None:
    """Change the configuration."""
    text = scene.file.read_text()
    assert old in text
    scene.file.write_text(text.replace(old, new))


def lose(right: str) -> Callable[[Scene], object]:
    """Take a right from the token."""
    return lambda scene: scene.github.world.tokens[TOKEN]["rights"].pop(right)


def hook(**settings: object) -> Callable[[Scene], None]:
    """Change the webhook of acme/site."""

    def change(scene: Scene) -> None:
        for name, value in settings.items():
            setattr(scene.hooks["acme/site"], name, value)

    return change


def answer(path: str, status: int) -> Callable[[Scene], None]:
    """Let the server answer otherwise, and GitHub deliver once more."""

    def change(scene: Scene) -> None:
        scene.server.statuses[path] = status
        scene.deliver()

    return change


def other_secret(scene: Scene) -> None:
    """Let GitHub sign with another secret."""
    scene.hooks["acme/shop"].secret = "another"
    scene.deliver()


def aws_error(service: str, operation: str, code: str) -> Callable[[Scene], None]:
    """Let AWS refuse an operation."""
    return lambda scene: scene.aws.fault(
        service=service, operation=operation, code=code, status=403, message="No", times=1_000
    )


def other_account(scene: Scene) -> None:
    """Name another account than that of the credentials."""
    rewrite(
        scene,
        f"'{ACCOUNT}', region: eu-central-1, assume-role: '{ROLE}'",
        "'210987654321', region: eu-central-1",
    )


def no_hook(scene: Scene) -> None:
    """Delete the webhook of acme/site."""
    scene.github.world.repository("acme/site").hooks.clear()


def other_clock(scene: Scene) -> None:
    """Set this machine's clock back."""
    scene.now = lambda: time.time() - 400.0
    scene.patrolled(lists=460.0, logs=460.0)


def forget_url(scene: Scene) -> None:
    """Take the URL out of the file, as before the first start."""
    rewrite(scene, "public-url: env:CHECKED_URL\n", "")
    scene.base = None


def stop_server(scene: Scene) -> None:
    """End the process that holds the ledger."""
    scene.ledger.close()


def damage(scene: Scene) -> None:
    """Replace the ledger by something else."""
    other = scene.folder / "other.db"
    other.write_text("no database at all, but long enough to be looked at as one" * 20)
    scene.host.close()
    scene.ledger.close()  # or its log would hide what the file holds
    other.replace(scene.ledger.path)


def pause(scene: Scene) -> None:
    """Stop destructive calls."""
    from closeout.ledger.sqlite import Requests

    Requests(scene.ledger.path).add_request("pause", None, "an operator", None)


OF_HOOKS = tuple(check.id for check in CHECKS if check.group == "Webhook")


def notifier(url: str) -> Callable[[Scene], object]:
    """Return what gives the notifier another URL."""
    return lambda scene: (scene.folder / "notify.url").write_text(url)


def refuse_messages(scene: Scene) -> None:
    """Say that the server's notifier has failed for two hours."""
    state = {"since": time.time() - 7_200, "error": "json: error=502."}
    scene.ledger.save_mark("notifier", "file:notify.url", state)


FAULTS = (
    Fault("configuration", lambda scene: rewrite(scene, "version: 1", "version: 2"), "version"),
    Fault(
        "configuration-variables", lambda scene: rewrite(scene, "env:CHECKED_URL", "env:NOT_SET"), "NOT_SET"
    ),
    Fault("secret-webhook", lambda scene: (scene.folder / "hook.secret").chmod(0o644), "chmod 600"),
    Fault("secret-github", lambda scene: rewrite(scene, "env:CHECKED_TOKEN", "env:NOT_SET"), "NOT_SET"),
    Fault("secret-steps", lambda scene: (scene.folder / "step.secret").unlink(), "step.secret"),
    Fault("ledger", damage, "not a ledger"),
    Fault("disk", lambda scene: setattr(scene.host, "free_bytes", 100_000_000), "100 MB"),
    Fault("ledger-place", lambda scene: setattr(scene.host, "kind", "nfs4"), "nfs4"),
    Fault(
        "ledger-writable",
        lambda scene: setattr(scene.host, "forbidden", "/srv/closeout.db"),
        "/srv/closeout.db",
    ),
    Fault("server", stop_server, "no server"),
    Fault(
        "public-url-known",
        forget_url,
        "closeout's public URL is not known yet",
        "unknown",
        also=("configuration-variables",),
    ),
    Fault("public-url", lambda scene: scene.server.stop(), "healthz"),
    Fault("server-ready", answer("/readyz", 503), "disk is full"),
    Fault("notifiers", notifier("nosuch://x"), "file:notify.url: nosuch:// is not a URL"),
    Fault("notifiers", notifier("syslog://"), "reaches only this machine"),
    Fault("notifiers", notifier("json://127.0.0.1:1/x"), "json://127.0.0.1 cannot be reached"),
    Fault("notifiers", lambda scene: (scene.folder / "notify.url").unlink(), "notify.url"),
    Fault("messages", refuse_messages, "no message for 2 h: json: error=502."),
    Fault("clock", other_clock, "s behind"),
    Fault(
        "github-api", lambda scene: scene.github.faults.add("status", status=503, times=0), "503", "unknown"
    ),
    Fault("github-token", lambda scene: scene.github.world.tokens.clear(), "expired"),
    Fault("github-limit", lambda scene: setattr(scene.github, "remaining", 450), "450 of 5000"),
    Fault(
        "github-excess",
        lambda scene: scene.github.world.tokens[TOKEN].update(
            scopes=["repo", "admin:repo_hook", "delete_repo"]
        ),
        "delete_repo",
    ),
    Fault(
        "github-repositories",
        lambda scene: scene.github.world.tokens[TOKEN].update(repositories=["acme/shop"]),
        "acme/site cannot be read: GitHub: GET /repos/acme/site: 404 Not Found; it does not exist",
    ),
    Fault(
        "github-repositories",
        lambda scene: scene.github.world.rename("acme/site", "acme/page"),
        "acme/page now",
    ),
    Fault("github-pull-requests", lose("pull_requests"), "pull_requests: read"),
    Fault("github-contents", lose("contents"), "contents: read"),
    Fault("github-deployments", lose("deployments"), "deployments: read"),
    Fault("github-issues", lose("issues"), "issues: read"),
    Fault("github-actions", lose("actions"), "actions: read"),
    Fault("github-statuses", lose("statuses"), "statuses: write"),
    Fault("github-hooks", lose("repository_hooks"), "repository_hooks: read", also=OF_HOOKS),
    Fault("hook-there", no_hook, "acme/site has no webhook"),
    Fault(
        "hook-url",
        hook(url="https://me:pass@old.example.com/webhook?token=t0"),
        "to https://old.example.com/webhook,",
    ),
    Fault("hook-active", hook(active=False), "not active"),
    Fault("hook-events", hook(events=("push",)), "pull_request"),
    Fault("hook-content-type", hook(form=True), "sends form"),
    Fault("hook-answers", answer("/webhook", 502), "502", also=("hook-secret",)),
    Fault("hook-secret", other_secret, "401"),
    Fault(
        "aws-credentials",
        aws_error("sts", "GetCallerIdentity", "InvalidClientTokenId"),
        "InvalidClientTokenId",
    ),
    Fault("aws-role", aws_error("sts", "AssumeRole", "AccessDenied"), "cannot be assumed"),
    Fault("aws-account", other_account, ACCOUNT, also=("aws-role",)),
    Fault(
        "aws-permissions",
        lambda scene: scene.aws.application.simulation.denied.add("cloudformation:DeleteStack"),
        "cloudformation:DeleteStack",
    ),
    Fault(
        "aws-cloudformation-role",
        lambda scene: rewrite(scene, "role/deletes-stacks", "role/is-gone"),
        "is-gone does not exist",
    ),
    Fault("patrol-lists", lambda scene: scene.patrolled(lists=9_000.0, logs=10.0), "2 h"),
    Fault("patrol-errors", lambda scene: scene.patrolled(lists=1.0, errors=("GET /x: 502",)), "GET /x: 502"),
    Fault("empty-runs", lambda scene: setattr(scene.host, "empty", {"clean": 5}), "clean has found nothing"),
    Fault("paused", pause, "an operator"),
)


def dependents(check: str) -> frozenset[str]:
    """Return the checks that cannot be asked, or see nothing, while one is not fine."""
    found = {check}
    for one in CHECKS:
        if found & set(one.after):
            found.add(one.id)
    return frozenset(found)


def states(scene: Scene, *, pings: bool = False) -> dict[str, str]:
    """Return the state of each check."""
    return {name: one.result.state for name, one in scene.results(pings=pings).items()}


def test_every_check_passes_on_a_set_up_without_faults(whole: Scene) -> None:
    """The doctor changes nothing, and the drill sends pings."""
    before = len(whole.github.requests())
    found = states(whole)
    assert {name for name, state in found.items() if state != "fine"} == set(NOT_HERE)
    asked = whole.github.requests()[before:]
    changing = {
        (one["method"], one["path"].rpartition("/")[0], one["status"])
        for one in asked
        if one["method"] != "GET"
    }
    assert changing == {("POST", f"/repos/{name}/statuses", 422) for name in whole.hooks}
    drilled = states(whole, pings=True)
    assert {name for name, state in drilled.items() if state != "fine"} == {"github-excess"}
    logged = [one["event"] for name in whole.hooks for one in whole.github.world.repository(name).deliveries]
    assert logged.count("ping") == 2


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{one.check}: {one.says}" for one in FAULTS])
def test_each_broken_link_is_named_by_its_own_check(whole: Scene, fault: Fault) -> None:
    """Its message says what is wrong and how to fix it, and the other checks are unchanged."""
    check_named(whole, fault, pings=False)


DRILLED = (
    "hook-active",
    "hook-events",
    "hook-url",
    "github-token",
    "github-pull-requests",
    "aws-account",
    "disk",
    "clock",
)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("hook-secret", lambda scene: setattr(scene.hooks["acme/shop"], "secret", "another"), "401"),
        Fault(
            "hook-answers",
            lambda scene: scene.server.statuses.update({"/webhook": 502}),
            "502",
            also=("hook-secret",),
        ),
        *(one for one in FAULTS if one.check in DRILLED),
    ],
    ids=lambda fault: fault.check,
)
def test_a_drill_proves_what_no_delivery_has_shown_yet(whole: Scene, fault: Fault) -> None:
    """The ping shows it within one round."""
    check_named(whole, fault, pings=True)


def check_named(scene: Scene, fault: Fault, *, pings: bool) -> None:
    """Break one link, and compare with a round in which all is well."""
    fault.inject(scene)
    scene.fresh_aws = fault.check.startswith("aws-")
    after = scene.results(pings=pings)
    outcome = after[fault.check]
    wrong = {name: one.result for name, one in after.items() if one.ok is False}
    assert list(wrong) == ([fault.check] if fault.state == "wrong" else []), wrong
    assert (outcome.result.state, outcome.ok) == (fault.state, False if fault.state == "wrong" else None)
    assert fault.says in outcome.result.what
    assert outcome.fix
    unlike = {name: "skipped" for name in NOT_HERE if not (pings and name == "hook-ping")}
    others = {
        name: one.result.state
        for name, one in after.items()
        if name not in {*dependents(fault.check), *fault.also}
    }
    assert others == {name: unlike.get(name, "fine") for name in others}
    causes = {one.cause for one in after.values() if one.cause is not None}
    assert causes <= {fault.check}


@pytest.mark.parametrize(
    ("old", "new", "check", "mend"),
    [
        ("file:hook.secret", "env:NOT_SET", "secret-webhook", "set NOT_SET in the environment"),
        ("file:hook.secret", "file:not.there", "secret-webhook", "chmod 600 not.there"),
        (
            "file:hook.secret",
            "aws-secretsmanager:hook",
            "secret-webhook",
            "where aws-secretsmanager:hook says",
        ),
    ],
)
def test_the_fix_of_a_secret_depends_on_its_reference(
    whole: Scene, old: str, new: str, check: str, mend: str
) -> None:
    """`chmod` does not help with a variable."""
    rewrite(whole, old, new)
    assert mend in str(whole.results()[check].fix)


def test_a_missing_file_is_named_or_written(whole: Scene) -> None:
    """`closeout check` could only repeat that it is missing."""
    (whole.folder / "closeout.yaml").unlink()
    assert "closeout init" in str(whole.results()["configuration"].fix)


def test_the_faults_cover_the_registry() -> None:
    """Every check has a fault that it names, except those that say how far the others see."""
    assert {check.id for check in CHECKS} - {one.check for one in FAULTS} == {
        "hook-encrypted", "hook-ping", "patrol-logs", "patrol-patterns",
    }  # fmt: skip
