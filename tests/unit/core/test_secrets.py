"""A cached secret: rotated without a restart, read at most once a second, and safe if it cannot be read."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from closeout.core.errors import SecretError
from closeout.core.secrets import FRESH, Active, CachedSecret, StepSecrets


class Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.time


class Store:
    """The store of a reference's current values; counts reads, may be slow or fail."""

    def __init__(self, *values: str) -> None:
        self.values: tuple[Active, ...] = tuple(Active(value) for value in values)
        self.reads = 0
        self.error: Exception | None = None
        self.during: Callable[[], None] = lambda: None

    def read_active(self, reference: str) -> tuple[Active, ...]:
        """Read."""
        self.reads += 1
        self.during()
        if self.error is not None:
            raise self.error
        return self.values

    def holds(self, *values: str) -> None:
        """Replace the values."""
        self.values = tuple(Active(value) for value in values)


REFERENCE = "aws-secretsmanager:hook"


def cached(store: Store, clock: Clock, reference: str = REFERENCE, **options: object) -> CachedSecret:
    """Return a cache whose background read happens at once."""
    return CachedSecret(
        [reference],
        store,
        now=clock,
        tick=clock,
        start=lambda read: read(),
        **options,  # type: ignore[arg-type]
    )


def test_a_secret_that_cannot_be_read_prevents_the_start() -> None:
    """A server without its secret must not listen."""
    store = Store()
    store.error = SecretError("env:X is not set")
    with pytest.raises(SecretError):
        cached(store, Clock())
    with pytest.raises(SecretError):
        CachedSecret([], store)


def test_a_rotated_secret_is_read_on_a_mismatch() -> None:
    """The first delivery with the new signature is accepted: `refresh` says to check it again."""
    store, clock = Store("old"), Clock()
    secret = cached(store, clock)
    store.holds("new", "old")
    clock.time += 5
    assert secret.refresh()
    assert secret.values() == ("new", "old")
    assert secret.keys() == (b"new", b"old")
    assert secret.newest() == "new"


def test_a_mismatch_without_a_new_secret_needs_no_second_check() -> None:
    """A wrong signature stays wrong."""
    store, clock = Store("s"), Clock()
    secret = cached(store, clock)
    clock.time += 5
    assert not secret.refresh()
    assert store.reads == 2


def test_a_mismatch_right_after_the_start_needs_no_second_check() -> None:
    """The signature was checked with what was just read."""
    assert not cached(Store("s"), Clock()).refresh()


def test_a_changed_secret_is_used_within_two_seconds() -> None:
    """Until then, a request may still be checked with the old value."""
    store, clock = Store("old"), Clock()
    secret = cached(store, clock)
    store.holds("new")
    clock.time += 5
    assert secret.refresh()
    clock.time += FRESH - 0.5
    assert secret.refresh()
    clock.time += 0.5
    assert not secret.refresh()


def test_a_thread_that_cannot_start_does_not_keep_others_from_reading() -> None:
    """A machine without free threads raises, and the next delivery tries again."""
    store, clock, starts = Store("old"), Clock(), list[Callable[[], None]]()

    def start(read: Callable[[], None]) -> None:
        starts.append(read)
        if len(starts) == 1:
            raise RuntimeError("can't start new thread")
        read()

    secret = CachedSecret([REFERENCE], store, now=clock, tick=clock, start=start)
    store.holds("new")
    clock.time += 301
    with pytest.raises(RuntimeError):
        secret.values()
    assert secret.values() == ("new",)


def test_a_flood_of_bad_signatures_costs_one_read_a_second() -> None:
    """Eight threads, a thousand mismatches within three seconds of fake time: three reads."""
    store, clock = Store("s"), Clock()
    secret = cached(store, clock)
    for _ in range(3):
        clock.time += 1.0
        threads = [
            threading.Thread(target=lambda: [secret.refresh() for _ in range(42)], daemon=True)
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert store.reads == 1 + 3


def test_one_thread_reads_and_the_others_get_its_result() -> None:
    """Deliveries that arrive while the new secret is being read are accepted as well."""
    store, clock = Store("old"), Clock()
    secret = cached(store, clock)
    store.holds("new")
    clock.time += 5
    reading, go = threading.Event(), threading.Event()

    def slow() -> None:
        reading.set()
        assert go.wait(10)

    store.during = slow
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.append(secret.refresh()), daemon=True) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    assert reading.wait(10)
    assert secret.values() == ("old",)
    go.set()
    for thread in threads:
        thread.join(10)
    assert answers == [True] * 6
    assert store.reads == 2


def test_a_variable_is_never_read_again() -> None:
    """A process's environment does not change, so a flood costs nothing."""
    store, clock = Store("s"), Clock()
    secret = cached(store, clock, "env:HOOK")
    clock.time += 10_000
    assert not secret.refresh()
    assert secret.values() == ("s",)
    assert store.reads == 1


def test_a_secret_is_read_again_when_it_expires() -> None:
    """A withdrawn secret stops working within the time limit, with or without a mismatch."""
    store, clock = Store("old"), Clock()
    secret = cached(store, clock, ttl=300.0)
    store.holds("new")
    clock.time += 299
    assert secret.values() == ("old",)
    clock.time += 1
    assert secret.values() == ("new",)


def test_reading_again_blocks_no_caller() -> None:
    """`values` answers at once with the known ones, while a thread reads."""
    store, clock = Store("old"), Clock()
    secret = CachedSecret([REFERENCE], store, now=clock, tick=clock)
    go, done = threading.Event(), threading.Event()

    def slow() -> None:
        assert go.wait(10)
        store.holds("new")
        done.set()

    store.during = slow
    clock.time += 301
    assert secret.values() == ("old",)
    assert secret.values() == ("old",)
    go.set()
    assert done.wait(10)
    assert store.reads == 2


@pytest.mark.parametrize("error", [SecretError("the store is down"), RuntimeError("defect: s3cret")])
def test_a_failed_read_keeps_the_old_value_and_is_logged_once(error: Exception) -> None:
    """A store that is down neither accepts nor refuses more than before, and does not fill the log."""
    reports: list[str] = []
    store, clock = Store("s"), Clock()
    secret = cached(store, clock, report=reports.append)
    store.error = error
    for _ in range(5):
        clock.time += 2
        assert not secret.refresh()
    assert secret.values() == ("s",)
    assert len(reports) == 1
    assert "s3cret" not in reports[0]
    store.error = None
    clock.time += 2
    secret.refresh()
    store.error = error
    clock.time += 2
    secret.refresh()
    assert len(reports) == 2


def test_a_previous_secret_expires_even_if_nothing_can_be_read() -> None:
    """AWSPREVIOUS expires a day after the rotation, whatever the store says then."""
    store, clock = Store(), Clock()
    store.values = (Active("new"), Active("old", until=clock.time + 100))
    secret = cached(store, clock)
    store.error = SecretError("down")
    clock.time += 99
    assert secret.values() == ("new", "old")
    clock.time += 1
    assert secret.values() == ("new",)


def test_several_references_are_accepted_together() -> None:
    """`webhook:` may be a list: two hooks, two secrets."""
    values = {"env:A": (Active("a"),), "env:B": (Active("b"),)}

    class Two:
        def read_active(self, reference: str) -> tuple[Active, ...]:
            return values[reference]

    assert CachedSecret(["env:A", "env:B"], Two()).values() == ("a", "b")


# --- the secrets of steps -------------------------------------------------------------------------------


def test_the_secrets_of_steps_are_read_at_the_start_and_periodically() -> None:
    """After a rotation, a script may print the new value before a step has read it."""
    store, clock = Store("one"), Clock()
    secrets = StepSecrets(["env:A", "file:b"], lambda: store, report=pytest.fail, ttl=300.0, tick=clock)
    secrets.learn()
    secrets.learn()
    assert store.reads == 2
    clock.time += 300.0
    secrets.learn()
    assert store.reads == 4


def test_a_steps_unreadable_secret_is_logged_once() -> None:
    """The server starts all the same: the step that needs it will fail with the same reason."""
    store, clock, told = Store(), Clock(), list[str]()
    store.error = SecretError("env:A is not set; set the environment variable A")
    secrets = StepSecrets(["env:A"], lambda: store, report=told.append, ttl=1.0, tick=clock)
    for _ in range(3):
        secrets.learn()
        clock.time += 1.0
    assert told == [
        "env:A is not set; set the environment variable A; it cannot be taken out of logs until it can be read"
    ]
    store.error = RuntimeError("a defect with s3cret in it")
    secrets.learn()
    assert told[1:] == [
        "env:A cannot be read: RuntimeError; it cannot be taken out of logs until it can be read"
    ]


def test_a_store_that_does_not_answer_is_called_once() -> None:
    """A run waits for one time limit at most, however many secrets there are."""
    store, told = Store(), list[str]()
    store.error = SecretError("aws-secretsmanager:a cannot be read: there is no connection to AWS")
    store.error.transient = True
    references = [f"aws-secretsmanager:{name}" for name in "abc"]
    secrets = StepSecrets(references, lambda: store, report=told.append)
    secrets.learn()
    assert (store.reads, len(told)) == (1, 3)


def test_a_store_that_does_not_answer_delays_no_other() -> None:
    """A file is read although AWS is down; a secret that fails again after a success is logged again."""
    told, read, clock = list[str](), list[str](), Clock()
    away = SecretError("aws-ssm:a cannot be read: there is no connection to AWS")
    away.transient = True
    down = {"aws-ssm"}

    class Stores:
        def read_active(self, reference: str) -> tuple[Active, ...]:
            read.append(reference)
            if reference.partition(":")[0] in down:
                raise away
            return (Active("s"),)

    references = ["aws-ssm:a", "file:b", "aws-ssm:c"]
    secrets = StepSecrets(references, Stores, report=told.append, ttl=1.0, tick=clock)
    secrets.learn()
    assert (read, len(told)) == (["aws-ssm:a", "file:b"], 2)
    for now_down, count in (((), 2), (("aws-ssm",), 4), (("aws-ssm",), 4)):
        down = set(now_down)
        clock.time += 1.0
        secrets.learn()
        assert len(told) == count


def test_runs_wait_only_for_the_first_reading() -> None:
    """Before it nothing is known; later, a run does not wait while another one reads again."""
    store, clock, order = Store("one"), Clock(), list[str]()
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        begun.set()
        assert go_on.wait(10)
        order.append("read")

    store.during = slowly
    secrets = StepSecrets(["env:A"], lambda: store, report=pytest.fail, ttl=1.0, tick=clock)
    first = threading.Thread(target=secrets.learn)

    def wait() -> None:
        secrets.learn()
        order.append("second")

    second = threading.Thread(target=wait)
    first.start()
    assert begun.wait(10)
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    assert order == ["read", "second"]
    begun.clear()
    go_on.clear()
    clock.time += 1.0
    again = threading.Thread(target=secrets.learn)
    again.start()
    assert begun.wait(10)
    secrets.learn()
    assert order == ["read", "second"]
    go_on.set()
    again.join(10)
