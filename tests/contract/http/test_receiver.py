"""The webhook path over real sockets, with every answer it can have."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from closeout.core.closing import Closing
from closeout.core.errors import SecretError, StoreUnavailable
from closeout.testing import deliveries
from tests.contract.http.serving import SECRET, FakeStore, Running, serving
from tests.until import until

UNAUTHORIZED = {"error": "unauthorized", "message": "Unauthorized request"}


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    """A server for all tests of this module."""
    with serving() as running:
        yield running


@pytest.fixture
def server(shared: Running) -> Running:
    """The shared server with an empty store."""
    shared.store.reset()
    shared.started.clear()
    shared.log.clear()
    return shared


def headers(body: bytes, **changes: str | None) -> dict[str, str]:
    """Signed headers of a closed pull request; None removes one."""
    signed = deliveries.signed_headers("pull_request", body, SECRET, "g-1")
    signed.update({name.replace("_", "-"): value for name, value in changes.items() if value is not None})
    gone = {name.replace("_", "-").lower() for name, value in changes.items() if value is None}
    return {name: value for name, value in signed.items() if name.lower() not in gone}


CLOSED_AT = "2026-03-14T09:26:53Z"
CLOSED = deliveries.pull_request(closed_at=CLOSED_AT)
RUN = Closing(501_001, 1_700_017, CLOSED_AT).run_id("preview-cleanup")
BODY = deliveries.encode(CLOSED)


def test_a_signed_delivery_is_accepted_with_its_runs(server: Running) -> None:
    """202 with the delivery and the run ids, and the engine is notified."""
    answer = server.deliver(CLOSED, guid="g-1")
    assert (answer.status, answer.json) == (202, {"delivery": 1, "runs": [RUN]})
    assert answer.headers["content-type"] == "application/json"
    assert "date" in answer.headers
    assert "server" not in answer.headers
    assert server.started == [f"{RUN}-1"]


def test_a_delivery_without_an_automation_is_accepted(server: Running) -> None:
    """It is stored for `explain` and `replay`."""
    answer = server.deliver(deliveries.pull_request(base="main"))
    assert (answer.status, answer.json["runs"]) == (202, [])
    assert server.started == []


def test_the_same_delivery_again_is_a_duplicate(server: Running) -> None:
    """200 with the original's number and runs; nothing new starts."""
    first, again = server.deliver(guid="g-1"), server.deliver(guid="g-1")
    assert again.status == 200
    assert again.json == {"delivery": 1, "duplicate": True, "runs": first.json["runs"]}
    assert len(server.started) == 1


def test_the_same_event_through_a_second_hook_starts_nothing_new(server: Running) -> None:
    """The delivery is stored, and the answer has the existing run."""
    first = server.deliver(CLOSED, guid="g-1", hook_id=1)
    second = server.deliver(CLOSED, guid="g-1", hook_id=2)
    assert (second.status, second.json) == (
        200,
        {"delivery": 2, "duplicate": True, "runs": first.json["runs"]},
    )
    assert len(server.started) == 1


def test_the_same_closing_under_another_guid_starts_nothing_new(server: Running) -> None:
    """A pull request is closed once, however often that is delivered; closed again later, it is another closing."""
    first, second = (server.deliver(CLOSED, guid=guid) for guid in ("g-1", "g-2"))
    assert (second.status, second.json) == (
        200,
        {"delivery": 2, "duplicate": True, "runs": first.json["runs"]},
    )
    assert server.deliver(guid="g-3").status == 202
    assert len(server.started) == 2


def test_a_ping_is_answered_and_not_stored(server: Running) -> None:
    """It makes the green tick next to a new hook on GitHub."""
    answer = server.deliver(deliveries.ping(), event="ping")
    assert (answer.status, answer.json) == (200, {"pong": True})
    assert server.store.deliveries() == []


def test_a_form_is_accepted(server: Running) -> None:
    """GitHub's other content type, signed over the raw form."""
    assert server.deliver(form=True).json["runs"]


@pytest.mark.parametrize(
    "changes",
    [
        {"X_Hub_Signature_256": None},
        {"X_Hub_Signature_256": None, "X_Hub_Signature": "sha1=" + "a" * 40},
        {"X_Hub_Signature_256": "sha1=" + "a" * 40},
        {"X_Hub_Signature_256": "sha256=" + "0" * 64},
        {"X_Hub_Signature_256": "sha256=" + "é" * 32},
        {"X_Hub_Signature_256": "sha256="},
        {"X_Hub_Signature_256": "sha512=" + "0" * 128},
    ],
    ids=["missing", "sha-1 only", "sha-1 in its place", "wrong", "non-ASCII", "empty", "other algorithm"],
)
def test_every_bad_signature_gets_the_same_answer(server: Running, changes: dict[str, Any]) -> None:
    """401 `Unauthorized request`; the expected HMAC appears nowhere, and nothing is stored."""
    answer = server.send("POST", "/webhook", BODY, headers(BODY, **changes))
    assert (answer.status, answer.json) == (401, UNAUTHORIZED)
    expected = deliveries.signature(BODY, SECRET).removeprefix("sha256=")
    assert expected not in str(answer.headers)
    assert expected not in "".join(server.log)
    assert server.store.deliveries() == []


def test_the_log_says_why_a_request_was_rejected() -> None:
    """Missing, malformed, or signed with another secret, whose reference is named. The value of neither is logged."""
    other = deliveries.signature(BODY, b"another secret")
    with serving(secrets_named="env:HOOK, file:old") as server:
        for given in (None, "sha1=" + "a" * 40, other):
            answer = server.send("POST", "/webhook", BODY, headers(BODY, X_Hub_Signature_256=given))
            assert (answer.status, answer.json) == (401, UNAUTHORIZED)
        server.send("GET", "/" + "x" * 5000)
        log = "".join(server.log)
    said = [line.partition("was refused: ")[2].strip() for line in log.splitlines() if "was refused" in line]
    assert said == [
        "it has no signature",
        "its signature is malformed",
        "its signature matches no active secret (env:HOOK, file:old)",
    ]
    assert other.removeprefix("sha256=") not in log
    assert len(log) < 1500, "a path that somebody made long is cut"


def test_a_body_changed_by_one_byte_is_unauthorized(server: Running) -> None:
    """The signature covers the raw bytes, not their meaning."""
    answer = server.send("POST", "/webhook", BODY + b" ", headers(BODY))
    assert (answer.status, answer.json) == (401, UNAUTHORIZED)


def test_two_signatures_are_unauthorized(server: Running) -> None:
    """Even if one of them is valid."""
    raw = "".join(f"{name}: {value}\r\n" for name, value in headers(BODY).items())
    raw += f"X-Hub-Signature-256: {deliveries.signature(BODY, SECRET)}\r\n"
    with server.connect() as connection:
        connection.sendall(
            f"POST /webhook HTTP/1.1\r\nHost: x\r\n{raw}Content-Length: {len(BODY)}\r\n\r\n".encode()
        )
        connection.sendall(BODY)
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("name", ["X_GitHub_Event", "X_GitHub_Delivery"])
def test_a_signed_request_without_its_headers_is_a_bad_delivery(server: Running, name: str) -> None:
    """400, and the message names the header; a GUID is never invented."""
    answer = server.send("POST", "/webhook", BODY, headers(BODY, **{name: None}))
    assert (answer.status, answer.json["error"]) == (400, "bad-delivery")
    assert name.replace("_", "-") in answer.json["message"]


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"a": NaN}', b"\xff{}", b'{"a":' * 50_000])
def test_a_signed_body_that_is_not_a_payload_is_refused(server: Running, body: bytes) -> None:
    """400 with a code of its own, whatever the bytes are."""
    answer = server.send("POST", "/webhook", body, headers(body))
    assert (answer.status, answer.json["error"]) == (400, "payload-refused")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_not_allowed(server: Running, method: str) -> None:
    """405 names the allowed one."""
    answer = server.send(method, "/webhook", headers=headers(b""))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert answer.json["error"] == "method-not-allowed"


@pytest.mark.parametrize("path", ["/", "/webhook/", "/webhook/x", "/admin", "//webhook"])
def test_other_paths_are_not_found(server: Running, path: str) -> None:
    """404 in the one JSON shape."""
    answer = server.send("POST", path, BODY, headers(BODY))
    assert (answer.status, answer.json["error"]) == (404, "not-found")


def test_the_path_may_have_a_query(server: Running) -> None:
    """Some people use it to distinguish hooks."""
    assert server.send("POST", "/webhook?team=a", BODY, headers(BODY)).status == 202


def test_nothing_is_answered_before_it_is_stored(server: Running) -> None:
    """While the commit is held, neither the original nor its duplicate gets a 2xx."""
    server.store.hold.clear()
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.deliver(guid="g-1").status)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    assert answers == []
    server.store.hold.set()
    for thread in threads:
        thread.join(5)
    assert sorted(answers) == [200, 202]


def test_a_delivery_that_cannot_be_stored_is_not_acknowledged(server: Running) -> None:
    """503 with a fixed message: GitHub shows the delivery as failed, and it can be sent again."""
    server.store.fail = StoreUnavailable("database or disk is full: /srv/secret/path.db")
    answer = server.deliver()
    assert (answer.status, answer.json["error"]) == (503, "store-unavailable")
    assert "/srv" not in answer.json["message"]
    assert answer.headers["retry-after"] == "5"
    assert any("/srv/secret/path.db" in line for line in server.log)
    server.store.fail = None
    assert server.deliver().status == 202


def test_an_unexpected_error_reveals_nothing(server: Running) -> None:
    """500 with a fixed message; the traceback is in the log, without a header's value."""
    server.store.fail = RuntimeError("internal detail")
    answer = server.deliver(guid="guid-in-a-header")
    assert (answer.status, answer.json["error"]) == (500, "internal-error")
    assert b"detail" not in answer.body
    logged = "".join(server.log)
    assert "internal detail" in logged
    assert "guid-in-a-header" not in logged
    assert "sha256=" not in logged


def test_a_failing_engine_does_not_change_the_answer() -> None:
    """The delivery is stored: recovery starts its run."""

    class Broken(FakeStore):
        pass

    with serving(store=Broken()) as server:
        server.app.webhook._parts = replace(server.app.webhook._parts, started=_raise)
        assert server.deliver().status == 202
        until("a line about the engine", lambda: any("engine" in line for line in server.log))


def _raise(_: Any) -> None:
    raise RuntimeError("the engine is gone")


def test_a_rotated_secret_is_read_again_and_tried_once() -> None:
    """The first delivery that is signed with the new secret is accepted, and costs one reading."""
    active, readings = [b"old"], []

    def refresh() -> bool:
        readings.append(1)
        active[:] = [SECRET]
        return True

    with serving(secrets=lambda: active, refresh=refresh) as server:
        assert server.deliver(guid="g-1").status == 202
        assert server.deliver(guid="g-2").status == 202
        assert len(readings) == 1


def test_a_flood_of_bad_signatures_reads_the_secret_once_at_a_time() -> None:
    """However many requests mismatch at once; other requests are served meanwhile."""
    readings, release = [], threading.Event()

    def refresh() -> bool:
        readings.append(1)
        release.wait(5)
        return False

    with serving(refresh=refresh) as server:
        answers: list[int] = []
        bad = [
            threading.Thread(target=lambda: answers.append(server.deliver(secret=b"wrong").status))
            for _ in range(12)
        ]
        for thread in bad:
            thread.start()
        until("the first to read the secret again", lambda: readings)
        time.sleep(0.3)
        assert server.deliver(guid="good").status == 202
        assert (answers, len(readings)) == ([], 1)
        release.set()
        for thread in bad:
            thread.join(5)
        assert answers == [401] * 12
        assert len(readings) <= 2


def test_a_secret_that_cannot_be_read_again_changes_no_answer() -> None:
    """Still 401; the log says why it could not be read."""

    def refresh() -> bool:
        raise SecretError("aws-secretsmanager:hook cannot be read: AccessDenied")

    with serving(refresh=refresh) as server:
        answer = server.deliver(secret=b"wrong")
        assert (answer.status, answer.json) == (401, UNAUTHORIZED)
        assert any("AccessDenied" in line for line in server.log)


def test_requests_on_one_connection_are_answered_in_order(server: Running) -> None:
    """Three deliveries of one closing, pipelined: three answers, in the order of the requests."""
    requests = b""
    for number in range(3):
        signed = deliveries.signed_headers("pull_request", BODY, SECRET, f"p-{number}")
        head = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        requests += (
            f"POST /webhook HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
        )
    with server.connect() as connection:
        connection.sendall(requests)
        received = b""
        while received.count(b"HTTP/1.1 ") < 3 or not received.endswith(b"}"):
            received += connection.recv(65536)
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 ")[1:]]
    said = [json.loads(body) for body in bodies]
    assert [(one["delivery"], one["runs"]) for one in said] == [(number, [RUN]) for number in (1, 2, 3)]


@contextmanager
def many(server: Running, count: int) -> Iterator[list[int]]:
    """Deliver `count` times at once."""
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(server.deliver(guid=f"m-{n}").status))
        for n in range(count)
    ]
    for thread in threads:
        thread.start()
    yield answers
    for thread in threads:
        thread.join(10)


def test_a_burst_is_stored_in_groups_and_answered_whole(server: Running) -> None:
    """No delivery of a burst is lost or answered twice."""
    with many(server, 40) as answers:
        pass
    assert answers == [202] * 40
    assert sum(server.store.groups) == 40
    assert len(server.started) == 40
