"""A webhook secret is replaced while deliveries arrive and bad signatures flood in: nothing is refused, ever."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from closeout.testing import deliveries
from closeout.testing.aws import FakeAws
from closeout.wiring.stack import following
from tests.acceptance.forked import closeout_hurried, closeout_undisturbed
from tests.acceptance.machine import REPOSITORY
from tests.acceptance.stack_world import FIRST, STACK, WEBHOOK_SECRET, StackWorld, stack_world
from tests.openapi.description import check
from tests.until import until

ROTATE = ("webhook", "rotate-secret", REPOSITORY, "acme", "--stack", STACK)


ONE = ("webhook", "rotate-secret", REPOSITORY, "--stack", STACK)


@pytest.fixture
def world(tmp_path: Path, cloud: FakeAws) -> Iterator[StackWorld]:
    """A deployed stack with two hooks: the repository's, and its organization's."""
    with stack_world(tmp_path, cloud) as it:
        it.github.add_hook(REPOSITORY, url=it.hook_url, secret=FIRST)
        made = it.github.add_hook(REPOSITORY, url=it.hook_url, secret=FIRST)
        it.github.world.organizations["acme"].hooks[made.id] = made
        it.github.world.repository(REPOSITORY).hooks.pop(made.id)
        yield it
        check(it.github.requests())


@pytest.fixture
def quiet(world: StackWorld) -> None:
    """No traffic, so that a rotation need not wait as long."""
    world.main = closeout_undisturbed


def refused(world: StackWorld) -> list[tuple[int, str, int]]:
    """Deliveries of either hook that were not taken: hook, event, status."""
    owners = (world.github.world.repository(REPOSITORY), world.github.world.organizations["acme"])
    return [
        (one["hook_id"], one["event"], one["status_code"])
        for owner in owners
        for one in owner.deliveries
        if not 200 <= one["status_code"] < 300
    ]


class Traffic:
    """Real deliveries to every hook all the while, and a flood of bad signatures beside them."""

    def __init__(self, world: StackWorld) -> None:
        self._world = world
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._deliver, self._flood)]
        self.sent = 0
        self.bad: list[int] = []

    def _deliver(self) -> None:
        repository = self._world.github.world.repository(REPOSITORY)
        payload = deliveries.pull_request("labeled", labels=("x",))
        while not self._ending.is_set():
            self._world.github.emit(repository, "pull_request", payload)
            self.sent += 1
            time.sleep(0.05)

    def _flood(self) -> None:
        body = b"{}"
        headers = deliveries.signed_headers("pull_request", body, "guessed", "bad")
        connection = http.client.HTTPConnection("127.0.0.1", self._world.port, timeout=10)
        while not self._ending.is_set():
            connection.request("POST", "/webhook", body, headers)
            answer = connection.getresponse()
            answer.read()
            self.bad.append(answer.status)
            time.sleep(0.03)
        connection.close()

    def end(self) -> None:
        """Stop, and wait until everything was answered."""
        self._ending.set()
        for thread in self._threads:
            thread.join(10)
        assert self._world.github.sender.settle()

    def begin(self) -> None:
        """Start both, and wait until both are under way."""
        for thread in self._threads:
            thread.start()
        until("traffic", lambda: self.sent > 3 and len(self.bad) > 10)


@contextmanager
def traffic(world: StackWorld) -> Iterator[Traffic]:
    """Traffic while the block runs; afterwards nothing but bad signatures was refused."""
    running = Traffic(world)
    running.begin()
    try:
        yield running
    finally:
        running.end()
    assert running.sent > 20
    assert set(running.bad) == {401}
    assert refused(world) == []


def signs_with(world: StackWorld) -> set[str]:
    """The secrets that the hooks have."""
    owners = (world.github.world.repository(REPOSITORY), world.github.world.organizations["acme"])
    return {hook.secret for owner in owners for hook in owner.hooks.values()}


def test_no_delivery_is_refused_while_the_secret_is_replaced(world: StackWorld) -> None:
    """Under load and a flood: every delivery is taken, every hook signs with the new value, the former one remains."""
    with traffic(world):
        done = world.closeout(*ROTATE)
    new = world.secret()
    assert new != FIRST
    assert len(new) == 64
    assert signs_with(world) == {new}
    assert world.secret("AWSPREVIOUS") == FIRST
    assert sorted(map(tuple, world.versions().values())) == [("AWSCURRENT",), ("AWSPREVIOUS",)]
    assert "Waiting 5 s, so that every receiver accepts the new value" in done.stdout
    assert "Done: 2 of 2 hooks." in done.stdout
    assert new not in done.stdout + done.stderr + world.log()
    assert FIRST not in done.stdout + done.stderr
    assert "also names other/thing" in done.stderr
    assert "also names acme/shop" not in done.stderr
    assert "has delivered" not in done.stderr


@pytest.mark.usefixtures("quiet")
def test_the_secret_goes_through_the_hooks_config_and_nothing_else_is_touched(world: StackWorld) -> None:
    """An update of the hook itself could drop the secret or the events: `config` is patched, and a ping asked for.

    Another hook that has delivered lately, as the stack's ledger knows, is pointed out.
    """
    repository = world.github.world.repository(REPOSITORY)
    (hook,) = repository.hooks.values()
    before = hook.to_json(repository) | {"updated_at": None, "last_response": None}
    for number, (seen, days) in enumerate({str(hook.id): 0, "777": 2, "778": 9, "unknown": 0}.items()):
        world.keep_delivery(seen, f"guid-{number}", days)
    done = world.closeout(*ONE, "--json")
    told = json.loads(done.stdout)
    assert "Hook 777 (acme/api) has delivered to this stack within 7 days" in done.stderr
    assert done.stderr.count("has delivered") == 1
    assert world.asked("POST", "PATCH", "PUT", "DELETE") == [
        f"PATCH /repos/{REPOSITORY}/hooks/{hook.id}/config",
        f"POST /repos/{REPOSITORY}/hooks/{hook.id}/pings",
    ]
    (patch,) = [entry["body"] for entry in world.github.requests() if entry["method"] == "PATCH"]
    assert patch == {"secret": world.secret()}
    assert hook.to_json(repository) | {"updated_at": None, "last_response": None} == before
    assert told["hooks"] == [{"target": REPOSITORY, "hook": hook.id, "ping": 200}]
    assert told["generated"] is True
    assert told["secret"] == WEBHOOK_SECRET
    assert told["version"] in world.versions()
    until = datetime.fromisoformat(told["accepted_until"]).timestamp()
    assert time.time() + 86_000 < until < time.time() + 86_401


@pytest.mark.parametrize(
    "moment", ["waiting", "before the second hook", "after the second hook", "before its ping"]
)
def test_a_rotation_that_was_killed_goes_on_with_the_same_value(world: StackWorld, moment: str) -> None:
    """`kill -9` at any moment, then the same call: no second value is generated, and nothing is refused meanwhile."""
    world.main = closeout_hurried
    second = next(iter(world.github.world.organizations["acme"].hooks))
    config, pings = f"/orgs/acme/hooks/{second}/config", f"/orgs/acme/hooks/{second}/pings"
    held = {
        "before the second hook": (config, False),
        "after the second hook": (config, True),
        "before its ping": (pings, False),
    }
    with traffic(world):
        if moment in held:
            path, after = held[moment]
            fault = world.github.faults.add("hold", path=path, after=after, method=None)
        killed, said = world.begin(*ROTATE)
        if moment in held:
            until(f"the call {moment}", lambda: fault.hits, 60)
        else:
            until("the new value", lambda: len(world.versions()) == 2)
        killed.kill()
        killed.wait(10)
        said.close()
        world.github.faults.clear()
        value, versions = world.secret(), world.versions()
        assert value != FIRST
        done = world.closeout(*ROTATE)
    assert world.secret() == value
    assert world.versions() == versions
    assert signs_with(world) == {value}
    assert "it sets every hook again and generates no value" in " ".join(done.stdout.split())


@pytest.mark.usefixtures("quiet")
def test_within_a_day_the_value_that_is_there_is_brought_to_every_hook(world: StackWorld) -> None:
    """One stored by hand, then a hook that the first call forgot: another value would have shut that hook out."""
    by_hand = "chosen-by-hand-0123456789"
    world.feed(f"{by_hand}\n", "secret", "set", "webhook", "--stack", STACK)
    world.closeout(*ONE)
    assert signs_with(world) == {FIRST, by_hand}
    world.closeout("webhook", "rotate-secret", "acme", "--stack", STACK)
    assert signs_with(world) == {by_hand} == {world.secret()}

    done = world.closeout(*ROTATE, "--new")
    assert world.secret() not in (by_hand, FIRST)
    assert signs_with(world) == {world.secret()}
    assert "from now on the stack rejects hooks" in done.stderr


@pytest.mark.usefixtures("quiet")
def test_the_same_call_again_passes_over_no_hook(world: StackWorld) -> None:
    """One was changed after the new value was stored, and not by the command: that it was changed proves nothing."""
    world.closeout(*ONE)
    (hook,) = world.github.world.repository(REPOSITORY).hooks.values()
    hook.secret = FIRST
    again = world.closeout(*ONE)
    assert hook.secret == world.secret() != FIRST
    assert "it sets every hook again and generates no value" in again.stdout


@pytest.mark.usefixtures("quiet")
def test_two_calls_at_the_same_time_store_one_value(world: StackWorld, cloud: FakeAws) -> None:
    """The second is told that the version after the first value is there, and brings that one to its hooks."""
    cloud.fault(kind="hold", operation="PutSecretValue", seconds=60.0)
    slow, said = world.begin(*ONE)
    until("its value on the way", lambda: any(entry["held"] for entry in cloud.requests()))
    world.closeout("webhook", "rotate-secret", "acme", "--stack", STACK)
    value = world.secret()
    cloud.clear_faults()
    with said:
        out = said.read()
    assert slow.wait(60) == 0, out
    assert "Another command changed" in " ".join(out.split())
    assert world.secret() == value
    assert world.secret("AWSPREVIOUS") == FIRST
    assert signs_with(world) == {value}


@pytest.mark.usefixtures("quiet")
def test_a_version_that_is_there_and_not_current_does_not_stop_a_rotation(world: StackWorld) -> None:
    """Somebody had gone back to the value before it: its id is taken, and it is not mistaken for this rotation."""
    (current,) = world.versions()
    world.client("secretsmanager").put_secret_value(
        SecretId=WEBHOOK_SECRET,
        SecretString="of-a-rotation-that-was-taken-back",
        ClientRequestToken=following(WEBHOOK_SECRET, current),
        VersionStages=["taken-back"],
    )
    world.closeout(*ROTATE)
    assert world.secret() not in (FIRST, "of-a-rotation-that-was-taken-back")
    assert world.secret("AWSPREVIOUS") == FIRST
    assert signs_with(world) == {world.secret()}


@pytest.mark.usefixtures("quiet")
def test_a_target_without_a_hook_stops_everything_before_it_begins(world: StackWorld) -> None:
    """Nothing is generated for a call that could not be finished."""
    world.github.world.add_repository("acme/api")
    done = world.closeout("webhook", "rotate-secret", REPOSITORY, "acme/api", "--stack", STACK, check=False)
    assert done.returncode == 1
    assert "Nothing was changed: acme/api has no hook" in done.stderr
    assert world.secret() == FIRST
    assert world.asked("PATCH", "POST") == []


@pytest.mark.usefixtures("quiet")
def test_a_ping_that_is_not_answered_stops_the_rotation_with_both_values_accepted(world: StackWorld) -> None:
    """A rate limit is waited out, a silent webhook is not: the other hooks keep the former value, which is accepted; the sentence says until when, and how to go on."""
    world.stop()
    limit = world.github.faults.add("rate-limit", method="PATCH", headers={"Retry-After": "1"})
    done = world.closeout(*ROTATE, check=False)
    assert limit.hits == 1
    assert "retrying in 1 s" in done.stderr
    assert done.returncode == 1
    assert "0 of 2 hooks have the new value. The stack accepts both" in done.stderr
    assert "Repeat the command" in done.stderr
    assert FIRST in signs_with(world)
    world.start()
    world.closeout(*ROTATE)
    assert signs_with(world) == {world.secret()}
