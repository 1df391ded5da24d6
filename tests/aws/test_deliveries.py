"""What reaches the deployed receiver, and how it is answered."""

from __future__ import annotations

import json
import random
import uuid
from concurrent.futures import ThreadPoolExecutor

from closeout.ports import RunFilter
from closeout.testing.deliveries import encode, pull_request
from tests.aws.world import World


def closed(number: int, repository: str = "acme/notes", **changes: object) -> dict[str, object]:
    """Return the payload of a pull request that was closed, as GitHub's fake would send it."""
    return pull_request(number=number, repository=repository, **changes)  # type: ignore[arg-type]


def runs_of(world: World, number: int, repository: str = "acme/notes") -> list[str]:
    """Return the runs about a pull request."""
    return [run.id for run in world.views.runs(wanted=RunFilter(repository=repository, number=number))]


def test_a_delivery_that_comes_ten_times_at_once_starts_one_run(world: World) -> None:
    """Exactly one is accepted; all others are duplicates and name the same run."""
    guid = str(uuid.uuid4())
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: world.deliver(closed(1), guid=guid), range(10)))
    assert sorted(answer.status for answer in answers) == [200] * 9 + [202], [one.text for one in answers]
    (run,) = {tuple(answer.json["runs"]) for answer in answers}
    assert world.ended(run[0])["verdict"] == "success"
    assert runs_of(world, 1) == list(run)
    assert [note["what"] for note in world.notes(1)] == ["begin", "end"]


def test_the_same_event_through_a_second_hook_starts_nothing_new(world: World) -> None:
    """A delivery is one of a hook; a run is one of the event."""
    guid = str(uuid.uuid4())
    payload = closed(2)
    first = world.deliver(payload, guid=guid)
    second = world.deliver(payload, guid=guid, X_GitHub_Hook_ID="400002")
    assert (first.status, second.status) == (202, 200)
    assert first.json["delivery"] != second.json["delivery"]
    assert first.json["runs"] == second.json["runs"]
    assert world.ended(first.json["runs"][0])["verdict"] == "success"
    assert [note["what"] for note in world.notes(2)] == ["begin", "end"]


def test_a_closing_under_another_guid_starts_nothing_new(world: World) -> None:
    """The delivery is stored and answered with the run that is there."""
    payload = closed(6)
    first, second = world.deliver(payload), world.deliver(payload)
    assert (first.status, second.status, second.json["duplicate"]) == (202, 200, True)
    assert first.json["delivery"] != second.json["delivery"]
    assert first.json["runs"] == second.json["runs"]
    assert world.ended(first.json["runs"][0])["heard"] == "webhook"
    assert runs_of(world, 6) == first.json["runs"]


def test_a_body_too_large_for_the_table_goes_through_the_bucket(world: World) -> None:
    """A delivery of half a megabyte that does not compress is stored whole, and the run sees all of it."""
    noise = random.Random(1).randbytes(300_000).hex()[:600_000]
    payload = closed(3)
    payload["pull_request"]["body"] = "".join(chr(0x4E00 + ord(c) * 7 % 20_000) for c in noise)  # type: ignore[index]
    answer = world.deliver(payload)
    assert answer.status == 202, answer.text
    objects = world.cloud.client("s3").list_objects_v2(Bucket=world.outputs["BucketName"])["Contents"]
    assert answer.json["delivery"] in " ".join(one["Key"] for one in objects)
    run = world.ended(answer.json["runs"][0])
    assert run["verdict"] == "success", run
    stored = json.loads(world.views.body(answer.json["delivery"]))
    assert stored == payload


def test_only_what_is_signed_comes_in(world: World) -> None:
    """Without a signature, with another's, and with one over other bytes: always the same answer."""
    body = encode(closed(4))
    refused = [
        world.deliver(body, X_Hub_Signature_256=None),
        world.deliver(body, secret="guessed"),
        world.deliver(body, X_Hub_Signature_256="sha256=" + "0" * 64),
        world.deliver(body, X_Hub_Signature_256="sha1=" + "0" * 40),
    ]
    assert {(answer.status, answer.body) for answer in refused} == {
        (401, b'{"error": "unauthorized", "message": "Unauthorized request"}')
    }
    assert runs_of(world, 4) == []


def test_an_address_outside_the_resource_policy_is_refused(world: World) -> None:
    """The gateway answers 403 in our shape, however well the request is signed, and the receiver never sees it."""
    answer = world.deliver(closed(5), source="127.0.0.2")
    assert (answer.status, answer.json["error"]) == (403, "forbidden")
    assert runs_of(world, 5) == []


def test_other_methods_and_paths_answer_in_our_shape(world: World) -> None:
    """Whoever looks at the address with a browser gets JSON with a code, and the methods that there are."""
    status, headers, body = world.cloud.request("GET", world.webhook)
    assert (status, json.loads(body)["error"], headers.get("allow")) == (405, "method-not-allowed", "POST")
    status, _, body = world.cloud.request("POST", world.webhook.replace("/webhook", "/nothing"))
    assert (status, json.loads(body)["error"]) == (404, "not-found")


def test_the_root_of_the_stage_receives_as_well(world: World) -> None:
    """The write-up's address is the stage's root; a ping there is answered."""
    body = encode({"zen": "Keep it logically awesome.", "hook_id": 1})
    from closeout.testing.deliveries import signed_headers

    headers = signed_headers("ping", body, world.secret, str(uuid.uuid4()))
    status, _, text = world.cloud.request("POST", world.webhook.replace("/webhook", "/"), body, headers)
    assert (status, json.loads(text)) == (200, {"pong": True})
