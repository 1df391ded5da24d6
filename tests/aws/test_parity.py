"""`make parity`: the same deliveries to `closeout serve` and to two stacks in one account, and the same comes of them.

Answers, status sequences and run records are compared whole, less times and ids (`sides.comparable`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.tree import listing
from tests.aws.pairs import PAIRS, Pair
from tests.aws.sides import Deployed, Local, Side, comparable, differences, ended
from tests.aws.world import World

HERE = Path(__file__).parent
HEADERS = ("content-type", "cache-control", "x-content-type-options", "allow", "retry-after")
"""Of an answer; all others are the server's and the gateway's own."""


@pytest.fixture(scope="module")
def sides(world: World) -> Iterator[tuple[Side, Side, Side]]:
    """Yield both runtimes, on one file: one machine, the stack, and a second stack beside it."""
    folder = world.folder / "parity"
    folder.mkdir()
    code = HERE / "code"
    with (
        Local(world, code) as local,
        World(
            folder,
            (HERE / "closeout.yaml").read_text("utf-8"),
            code=code,
            context={
                "githubAddresses": str(world.folder / "github-addresses.json"),
                "stackName": "parity-beside",
            },
            variables={"NOTES": str(folder / "notes")},
            beside=world,
            apart=True,
        ) as second,
    ):
        yield local, Deployed(world), Deployed(second)


def outcome(world: World, side: Side, pair: Pair, guid: str) -> dict[str, Any]:
    """Send a pair's request to one side; return everything that comes of it."""
    pair.prepare(world, side)
    answer = side.send(*_ordered(pair, side.secret, guid))
    said = answer.json if answer.body else None
    runs = [ended(side, run) for run in said.get("runs", ())] if isinstance(said, dict) else []
    found: dict[str, Any] = {
        "status": answer.status,
        "answer": said,
        "headers": {name: answer.headers.get(name) for name in HEADERS},
        "runs": runs,
        "again": None,
        "statuses": [],
        "comments": [],
    }
    if answer.status == 202:
        again = side.send(*_ordered(pair, side.secret, guid))
        found["again"] = [again.status, again.json]
    if pair.about:
        repository, sha = pair.about
        number = int(sha, 16)
        # In the order of each context: two runs on one commit do not wait for each other.
        told = side.github.statuses(repository, sha)
        found["statuses"] = sorted(
            ([status["context"], status["state"], status["description"]] for status in told),
            key=lambda status: str(status[0]),
        )
        comments = side.github.world.repository(repository).comments.get(number, [])
        found["comments"] = [comment["body"] for comment in comments]
    return found


def _ordered(pair: Pair, secret: str, guid: str) -> tuple[str, bytes, dict[str, str]]:
    request = pair.make(secret, guid)
    return request.method, request.body, dict(request.headers)


def test_there_are_pairs_enough() -> None:
    """At least forty, each with a name of its own, and hostile ones among them."""
    names = [pair.name for pair in PAIRS]
    assert len(names) == len(set(names)) >= 40
    assert sum(pair.status >= 400 for pair in PAIRS) >= 20


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name.replace(" ", "-"))
def test_both_runtimes_answer_and_do_the_same(world: World, sides: tuple[Side, ...], pair: Pair) -> None:
    """The answer, what a repeat is told, each run's record with its steps, and the statuses in their order."""
    guid = str(uuid.uuid4())
    local, *deployed = (outcome(world, side, pair, guid) for side in sides)
    verdicts = tuple(run["verdict"] for run in local["runs"])
    assert (local["status"], verdicts) == (pair.status, pair.verdicts), local
    for one in deployed:
        differing = differences(comparable(one), comparable(local))
        assert not differing, listing(differing)
