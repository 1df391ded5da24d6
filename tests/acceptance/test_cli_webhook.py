"""`closeout webhook`: from a deployed stack to a hook whose ping has arrived, without a secret ever being shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.testing.aws import FakeAws
from tests.acceptance.machine import REPOSITORY
from tests.acceptance.stack_world import FIRST, GITHUB_SECRET, STACK, StackWorld, stack_world
from tests.openapi.description import check


@pytest.fixture
def world(tmp_path: Path, cloud: FakeAws) -> Iterator[StackWorld]:
    """A deployed stack with a server behind it; what GitHub was asked is held against its description."""
    with stack_world(tmp_path, cloud) as it:
        yield it
        check(it.github.requests())


def create(world: StackWorld, *more: str, target: str = REPOSITORY, ok: bool = True) -> tuple[int, str, str]:
    """`closeout webhook create`; return exit code, standard output and standard error."""
    done = world.closeout("webhook", "create", target, "--stack", STACK, *more, check=ok)
    return done.returncode, done.stdout, done.stderr


def test_a_created_hook_works_and_its_secret_is_nowhere_to_be_seen(world: StackWorld) -> None:
    """URL and secret are the stack's, events are those that this repository's automations use, and the ping arrived."""
    _, out, err = create(world)
    (hook,) = world.hooks()
    assert hook["config"]["url"] == world.hook_url
    assert hook["config"]["content_type"] == "json"
    assert hook["events"] == ["delete", "pull_request"]
    assert "The ping of hook" in out
    assert "200" in out
    assert FIRST not in out + err + world.log()
    assert world.github.token not in out + err

    world.github.world.open_pull(REPOSITORY, number=17)
    world.github.world.change_pull(REPOSITORY, 17, "closed")
    assert world.github.sender.settle()
    kept = world.github.world.repository(REPOSITORY).deliveries
    assert [one["status_code"] for one in kept if one["event"] == "pull_request"] == [202, 202]
    assert world.finished(1)[0]["automation"] == "preview-cleanup"


def test_what_a_program_reads_is_json(world: StackWorld) -> None:
    """With --json one document says what was made and that the ping was answered."""
    told = json.loads(create(world, "--json")[1])
    (hook,) = world.hooks()
    assert told["ping"].pop("id") > 0
    guid = told["ping"].pop("guid")
    assert guid == world.github.world.repository(REPOSITORY).deliveries[0]["guid"]
    assert told == {
        "target": REPOSITORY,
        "hook": hook["id"],
        "url": world.hook_url,
        "events": ["delete", "pull_request"],
        "outcome": "created",
        "differs": [],
        "ping": {"status_code": 200},
    }


def test_a_hook_that_is_there_already_is_left_alone(world: StackWorld) -> None:
    """The second call says so and asks GitHub to change nothing."""
    create(world)
    world.github.clear_requests()
    code, out, _ = create(world)
    assert code == 0
    assert "already has this webhook" in out
    assert "Nothing was changed." in out
    assert world.asked("POST", "PATCH", "DELETE") == []


def test_a_hook_made_by_hand_under_the_other_path_is_the_same_hook(world: StackWorld) -> None:
    """The webhook answers at `/` too: no second hook is made beside it."""
    base = world.hook_url.removesuffix("webhook")
    world.github.add_hook(REPOSITORY, url=base, secret=FIRST, events=("delete", "pull_request"))
    assert create(world)[0] == 0
    assert len(world.hooks()) == 1


def test_a_hook_that_differs_is_named_and_changed_only_on_demand(world: StackWorld) -> None:
    """Exit code 1 says that it differs; --update sets events and secret anew and sees the ping."""
    made = world.github.add_hook(
        REPOSITORY, url=world.hook_url, secret="wrong", events=("push", "pull_request"), content_type="form"
    )
    code, out, _ = create(world, ok=False)
    assert code == 1
    for text in (
        "the event delete is missing",
        "the event push starts nothing",
        "content type is form",
        "--update",
    ):
        assert text in out
    assert made.secret == "wrong"

    _, out, _ = create(world, "--update")
    assert f"Hook {made.id} of {REPOSITORY} updated" in out
    assert (made.secret, made.form, made.events) == (FIRST, False, ("delete", "pull_request"))
    assert len(world.hooks()) == 1
    assert create(world)[0] == 0


def test_an_organizations_hook_gets_every_event_of_the_file(world: StackWorld) -> None:
    """It brings the events of all its repositories, so all automations count."""
    create(world, target="acme")
    (hook,) = world.github.world.organizations["acme"].hooks.values()
    assert hook.events == ("delete", "pull_request", "push")
    assert world.closeout("webhook", "ping", "acme", "--stack", STACK).stdout.count("200") == 1


def test_a_target_that_no_automation_is_about_gets_no_hook(world: StackWorld) -> None:
    """A misspelt name is found before GitHub is asked for anything."""
    code, _, err = create(world, target="acme-typo/shop", ok=False)
    assert code == 2
    assert "No automation matches acme-typo/shop" in err
    assert world.asked("GET", "POST") == []


def test_a_ping_that_is_refused_is_a_failure_that_says_why(world: StackWorld) -> None:
    """A hook with another secret than the stack's: exit code 1, and the hook stays for a look."""
    made = world.github.add_hook(REPOSITORY, url=world.hook_url, secret="wrong", events=("pull_request",))
    done = world.closeout("webhook", "ping", REPOSITORY, "--stack", STACK, check=False)
    assert done.returncode == 1
    assert "the ping was answered with 401" in done.stderr
    assert "the webhook's secret differs from the stack's" in done.stderr
    assert made.id in world.github.world.repository(REPOSITORY).hooks


def test_a_ping_counts_only_if_it_is_new(world: StackWorld) -> None:
    """An older ping that was answered with 200 proves nothing about now."""
    create(world)
    (hook,) = world.github.world.repository(REPOSITORY).hooks.values()
    hook.secret = "changed-by-hand"
    done = world.closeout("webhook", "ping", REPOSITORY, "--stack", STACK, check=False)
    assert done.returncode == 1
    assert "401" in done.stderr


def test_the_list_says_which_hooks_are_the_stacks(world: StackWorld) -> None:
    """Others' hooks are listed too, and told apart."""
    world.github.add_hook(REPOSITORY, url="https://ci.example/hook", secret="x", events=("push",))
    create(world)
    listed = json.loads(world.closeout("webhook", "list", REPOSITORY, "--stack", STACK, "--json").stdout)
    assert [(hook["stack"], hook["url"]) for hook in listed] == [
        (False, "https://ci.example/hook"),
        (True, world.hook_url),
    ]
    table = world.closeout("webhook", "list", REPOSITORY, "--stack", STACK).stdout.splitlines()
    assert table[0].split() == ["STACK", "ACTIVE", "LAST", "ID", "EVENTS", "URL"]
    *first, _, events, url = table[2].split()
    assert (first, events) == (["yes", "yes", "200"], "delete,pull_request")
    assert world.hook_url.startswith(url.rstrip("…"))


def test_only_the_stacks_hook_is_deleted_and_only_when_that_is_confirmed(world: StackWorld) -> None:
    """Without a terminal --yes is needed; somebody else's hook is never removed, named or not."""
    other = world.github.add_hook(REPOSITORY, url="https://ci.example/hook", secret="x", events=("push",))
    create(world)
    arguments = ("webhook", "delete", REPOSITORY, "--stack", STACK)
    assert world.closeout(*arguments, check=False).returncode == 3
    assert len(world.hooks()) == 2
    refused = world.closeout(*arguments, "--hook", str(other.id), "--yes", check=False)
    assert refused.returncode == 1
    assert f"no hook {other.id} that reaches the stack" in refused.stderr
    world.closeout(*arguments, "--yes")
    assert [hook["id"] for hook in world.hooks()] == [other.id]
    assert world.closeout(*arguments, "--yes", check=False).returncode == 1


def test_of_two_hooks_one_must_be_named(world: StackWorld) -> None:
    """Which of two is meant is not guessed."""
    first = world.github.add_hook(REPOSITORY, url=world.hook_url, secret=FIRST)
    base = world.hook_url.removesuffix("/webhook")
    world.github.add_hook(REPOSITORY, url=base, secret=FIRST)
    for arguments in (("create",), ("delete", "--yes"), ("ping",)):
        name, *more = arguments
        done = world.closeout("webhook", name, REPOSITORY, "--stack", STACK, *more, check=False)
        assert done.returncode == 2
        assert "several hooks" in done.stderr
    world.closeout("webhook", "delete", REPOSITORY, "--stack", STACK, "--hook", str(first.id), "--yes")
    assert len(world.hooks()) == 1


def test_the_token_is_the_stacks_or_one_that_is_named_by_reference(world: StackWorld) -> None:
    """An empty secret says how to fill it; a token in the option's place is refused without being repeated."""
    secrets = world.client("secretsmanager")
    secrets.delete_secret(SecretId=GITHUB_SECRET, ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name=GITHUB_SECRET)
    code, _, err = create(world, ok=False)
    assert code == 4
    assert f"closeout secret set github --stack {STACK}" in err

    code, out, err = create(world, "--token-from", world.github.token, ok=False)
    assert code == 2
    assert world.github.token not in out + err
    assert create(world, "--token-from", "env:CLOSEOUT_GITHUB_TOKEN")[0] == 0


def test_a_token_without_rights_is_told_what_it_lacks(world: StackWorld) -> None:
    """GitHub answers 404; the sentence names the permission."""
    world.github.world.add_token("weak", repositories=["acme/other"])
    world.environment["WEAK"] = "weak"
    code, _, err = create(world, "--token-from", "env:WEAK", ok=False)
    assert code == 4
    assert "Webhooks: write" in err
    assert "expired" not in err


def test_a_token_that_github_does_not_know_is_named(world: StackWorld) -> None:
    """Whether there is such a repository is not the question then; an empty one is no webhook secret either."""
    world.environment["STALE"] = "stale"
    _, _, err = create(world, "--token-from", "env:STALE", ok=False)
    assert "401 Bad credentials; the token in env:STALE is wrong or has expired\n" in err
    world.environment["EMPTY"] = ""
    code, _, err = create(world, "--token-from", "env:EMPTY", ok=False)
    assert (code, err) == (4, "closeout: env:EMPTY is empty; put the secret's value there\n")


def test_a_webhook_secret_without_a_value_creates_nothing(world: StackWorld) -> None:
    """A hook without a secret would be a hook whose every delivery is refused."""
    secrets = world.client("secretsmanager")
    secrets.delete_secret(SecretId="closed-pr/webhook", ForceDeleteWithoutRecovery=True)
    code, _, err = create(world, ok=False)
    assert code == 4
    assert "closed-pr/webhook" in err
    assert world.hooks() == []


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"stack": "no-such-stack"}, 4, "There is no stack no-such-stack in eu-central-1"),
        ({"AWS_DEFAULT_REGION": None}, 4, "set AWS_REGION"),
        ({"AWS_REGION": "us-east-1"}, 4, f"There is no stack {STACK} in us-east-1"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, 4, "no AWS credentials were found"),
        ({"AWS_PROFILE": "nobody"}, 4, "the profile nobody (AWS_PROFILE) is not in the AWS configuration"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 4, "cloudformation DescribeStacks"),
    ],
)
def test_what_is_missing_on_the_way_to_the_stack_is_named(
    world: StackWorld, change: dict[str, str | None], code: int, text: str
) -> None:
    """A stack, a region, credentials, a connection: each has a sentence of its own and no traceback."""
    name = change.pop("stack", None) or STACK
    world.environment |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(world.folder)}
    for key, value in change.items():
        if value is None:
            world.environment.pop(key)
        else:
            world.environment[key] = value
    done = world.closeout("webhook", "list", REPOSITORY, "--stack", name, check=False)
    assert (done.returncode, text in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_stack_of_another_kind_is_not_taken_for_closeouts(world: StackWorld) -> None:
    """An output that is missing is named."""
    world.deploy("other-stack", leave_out=("WebhookUrl",))
    done = world.closeout("webhook", "list", REPOSITORY, "--stack", "other-stack", check=False)
    assert done.returncode == 4
    assert "has no output WebhookUrl" in done.stderr


def test_a_ping_that_never_comes_ends_in_a_sentence(world: StackWorld) -> None:
    """GitHub's list stays empty: when its time is up the command says so, and the hook stays."""
    made = world.github.add_hook(REPOSITORY, url=world.hook_url, secret=FIRST)
    world.github.faults.add("status", method="POST", path=".*/pings", status=204, body="")
    done = world.closeout("webhook", "ping", REPOSITORY, "--stack", STACK, "--wait", "1", check=False)
    assert done.returncode == 4
    assert f"Hook {made.id} of {REPOSITORY}: no ping within 1 s" in done.stderr
