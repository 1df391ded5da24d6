"""The pairs of parity: a delivery, what stands on GitHub and in the account before it, and what is to come of it.

What is expected is said for each, so that both runtimes cannot be wrong in the same way unnoticed: the answer's status
and the verdicts of the runs in the order in which the file names the automations.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from closeout.testing import deliveries
from closeout.testing.deliveries import ZEROS, encode, signature, signed_headers
from closeout.testing.github.webhooks import stamp
from closeout.testing.github.world import Pull, Repository
from tests.aws.sides import Side
from tests.aws.world import World

Prepare = Callable[[World, Side], None]


class Request(NamedTuple):
    """A request, byte for byte the same for both."""

    body: bytes
    headers: Mapping[str, str]
    method: str = "POST"


class Pair(NamedTuple):
    """One pair. `make(secret, guid)` gives the request; `about` is where its statuses are: repository and commit."""

    name: str
    make: Callable[[str, str], Request]
    status: int
    verdicts: tuple[str, ...] = ()
    prepare: Prepare = lambda _world, _side: None
    about: tuple[str, str] | None = None


# --- what stands on GitHub ------------------------------------------------------------------------------------


def repository(side: Side, name: str) -> Repository:
    """Return a repository, made with the same id on both sides."""
    full_name = f"acme/{name}"
    known = {one.full_name: one for one in side.github.world.repositories.values()}
    return known.get(full_name) or side.github.world.add_repository(
        full_name, id=6_000_000 + zlib.crc32(name.encode()) % 1_000_000
    )


def pull_on(side: Side, name: str, number: int, *, state: str = "closed", **options: Any) -> Pull:
    """Return a pull request with the same id and commit on both sides, in this state by now."""
    repo = repository(side, name)
    pull = repo.pulls.get(number)
    if pull is None:
        pull = side.github.world.open_pull(
            repo.full_name, number=number, id=1_700_000 + number, sha=f"{number:040x}", **options
        )
    pull.state = state
    return pull


class _Nowhere:
    """A side that only makes payloads."""

    name = "nowhere"
    secret = ""

    def __init__(self) -> None:
        from closeout.testing.github.server import FakeGitHub

        self.github = FakeGitHub(full=True)

    def send(self, method: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """Send nothing."""
        raise NotImplementedError

    def run(self, run_id: str) -> dict[str, Any]:
        """Run nothing."""
        raise NotImplementedError


def _closed(name: str, number: int, action: str, **options: Any) -> dict[str, Any]:
    side = _Nowhere()
    pull = pull_on(side, name, number, **options)
    payload = side.github.world.pull_payload(repository(side, name), pull, action)
    side.github.stop()
    return payload


def signed(
    payload: Any, secret: str, guid: str, *, event: str = "pull_request", form: bool = False, **changes: Any
) -> Request:
    """Return a signed request; `changes` replace headers (`_` for `-`), None takes one away."""
    if isinstance(payload, bytes):
        body = _closed_at(payload, guid)
    else:
        body = encode(json.loads(_closed_at(encode(payload), guid)), form=form)
    headers: dict[str, Any] = dict(signed_headers(event, body, secret, guid, form=form))
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return Request(body, {name: value for name, value in headers.items() if value is not None})


def _closed_at(body: bytes, guid: str) -> bytes:
    """Return a body with the same moment of closing on every side: run ids are made of it."""
    at = stamp(1_780_000_000 + zlib.crc32(guid.encode()) % 10_000_000)
    return re.sub(rb'("closed_at": ?)"[^"]*"', rb'\1"%s"' % at.encode(), body)


_numbers = iter(range(1001, 10_000))


def close(
    name: str,
    automation: str,
    status: int = 202,
    *verdicts: str,
    number: int | None = None,
    now: str = "closed",
    action: str = "closed",
    before: Prepare | None = None,
    sender: str | None = None,
    form: bool = False,
    **options: Any,
) -> Pair:
    """Close a pull request in `acme/AUTOMATION`; `now` is what GitHub says of it when it is asked."""
    number = number or next(_numbers)

    def make(secret: str, guid: str) -> Request:
        payload = _closed(automation, number, action, **options)
        if sender:
            payload["sender"]["login"] = sender
        return signed(payload, secret, guid, form=form)

    def prepare(world: World, side: Side) -> None:
        pull_on(side, automation, number, state=now, **options)
        if before:
            before(world, side)

    return Pair(name, make, status, verdicts, prepare, (f"acme/{automation}", f"{number:040x}"))


def stack(name: str) -> Prepare:
    """Have a stack of this name in the account."""
    return lambda world, _side: None if world.has_stack(name) else world.make_stack(name)


def workflow(conclusion: str) -> Prepare:
    """Have a workflow that ends like this."""

    def prepare(_world: World, side: Side) -> None:
        infra = repository(side, "infra")
        side.github.world.add_workflow(infra.full_name, "teardown.yml", conclusion=conclusion, polls=0)

    return prepare


def event(name: str, kind: str, payload: Callable[[], Any], status: int, *verdicts: str, **more: Any) -> Pair:
    """Send another event."""
    return Pair(
        name, lambda secret, guid: signed(payload(), secret, guid, event=kind), status, verdicts, **more
    )


FILES = [{"filename": name, "status": "modified"} for name in ("src/app.py", "docs/index.md")]
DOCS = [{"filename": "src/docs/app.md", "status": "modified"}]


def _ref(name: str, *, there: bool) -> Prepare:
    def prepare(_world: World, side: Side) -> None:
        refs = repository(side, "branch-gone").refs
        refs.pop(name, None)
        if there:
            refs[name] = "1" * 40

    return prepare


def _branch(ref: str) -> dict[str, Any]:
    side = _Nowhere()
    repo = repository(side, "branch-gone")
    side.github.stop()
    return deliveries.delete(ref, repository=repo.full_name, repository_id=repo.id)


STARTS = (
    close("a branch that matches", "branches", 202, "success", base="release/1"),
    close("a branch that is taken back by a later pattern", "branches", 202, base="release/old"),
    close("a branch that does not match", "branches", 202, base="develop"),
    close("a branch that is ignored", "ignored", 202, base="main"),
    close("a branch that is not ignored", "ignored", 202, "success", base="develop"),
    close("an action that is not asked for", "ignored", 202, base="develop", action="edited"),
    close("another action that is asked for", "ignored", 202, "success", base="develop", action="reopened", now="open"),
    close("a condition that is true", "condition", 202, "success"),
    close("a condition that is false", "condition", 202, "skipped", labels=("keep-preview",)),
    close("a condition over a field that is not there", "missing-field", 202, "failure"),
    close("changed files that match", "paths", 202, "success", files=FILES),
    close("changed files that do not", "paths", 202, "skipped", files=DOCS),
    close("a sender that counts", "senders", 202, "success"),
    close("a sender that does not", "senders", 202, sender="dependabot[bot]"),
    close("two automations on one event", "twice", 202, "success", "success"),
    close("an automation without a status", "silent", 202, "success"),
    close("a repository that nobody names", "nobody", 202),
    close("a form instead of JSON", "condition", 202, "success", form=True),
    close("a pull request of a fork that is gone", "condition", 202, "success", fork="gone"),
    event("a push that matches", "push", lambda: deliveries.push(repository="acme/pushes"), 202, "success"),
    event("a push elsewhere", "push", lambda: deliveries.push("refs/heads/main", repository="acme/pushes"), 202),
    event("a push of other files", "push", lambda: deliveries.push(repository="acme/pushes", modified=("a.md",)), 202),
    event("a tag", "push", lambda: deliveries.push("refs/tags/v1", repository="acme/pushes"), 202, "success"),
    event("a push that deletes", "push", lambda: deliveries.push(repository="acme/pushes", after=ZEROS), 202),
    event("a branch made", "create", lambda: deliveries.create(repository="acme/others"), 202, "success"),
    event("a comment that is meant", "issue_comment", lambda: deliveries.issue_comment(repository="acme/others"), 202, "success"),
    event("a comment that is not", "issue_comment", lambda: deliveries.issue_comment("hi", repository="acme/others"), 202, "skipped"),
    event("a release", "release", lambda: deliveries.release(repository="acme/others"), 202, "success"),
    event("an unknown event", "sponsorship", lambda: deliveries.release(repository="acme/others"), 202, "success"),
    event("an event of no automation", "star", lambda: deliveries.release(repository="acme/others"), 202),
    event("a ping", "ping", deliveries.ping, 200),
)  # fmt: skip

DOES = (
    close("a function that raises, and a step after it", "raising", 202, "failure"),
    close("a function that raises, and no step after it", "stopping", 202, "failure"),
    close("a function that gives nothing", "results", 202, "success", number=20_010),
    close("a function that gives a list", "results", 202, "success", number=20_011),
    close("a function that gives what JSON has not", "results", 202, "failure", number=20_012),
    close("a function that gives NaN", "results", 202, "failure", number=20_013),
    close("a function that gives too much", "results", 202, "failure", number=20_014),
    close("a script", "shell", 202, "success", number=20_020),
    close("a script that fails", "shell", 202, "failure", number=20_021),
    close("a comment to write", "comment", 202, "success"),
    close("a comment with a title of outsiders", "comment", 202, "success", title='"}}${{ event }} <b>\u202e`'),
    close("a workflow that succeeds", "dispatch", 202, "success", before=workflow("success")),
    close("a workflow that fails", "dispatch", 202, "failure", before=workflow("failure")),
    close("a stack that is there", "stack", 202, "success", number=20_030, before=stack("preview-stack-20030")),
    close("a stack that is gone already", "stack", 202, "success"),
    close("a pull request that is open again", "stack", 202, "cancelled", number=20_031, now="open", before=stack("preview-stack-20031")),
    close("a name that is fine", "named", 202, "success", head="nice", before=stack("preview-named-nice")),
    close("a name that is a path", "named", 202, "failure", head="../../etc"),
    close("a name that is protected", "named", 202, "failure", head="protected-1", before=stack("preview-named-protected-1")),
    close("a name of a fork's branch", "named", 202, "skipped", head="nice", fork="mallory/named"),
    close("a dry run", "dry", 202, "success", number=20_032, before=stack("preview-dry-20032")),
    close("an account that is not ours", "elsewhere", 202, "failure"),
    close("a project that is not there", "build", 202, "failure"),
    event("a branch that is gone", "delete", lambda: _branch("feature/x"), 202, "success", prepare=_ref("heads/feature/x", there=False)),
    event("a branch that is there again", "delete", lambda: _branch("feature/y"), 202, "cancelled",
          prepare=lambda world, side: (_ref("heads/feature/y", there=True)(world, side), stack("preview-branch-branch-gone")(world, side))[0]),
)  # fmt: skip


# --- hostile --------------------------------------------------------------------------------------------------


def raw(name: str, status: int, body: Callable[[], bytes], *verdicts: str, **changes: Any) -> Pair:
    """Send these bytes, signed."""
    return Pair(name, lambda secret, guid: signed(body(), secret, guid, **changes), status, verdicts)


def _text(change: Callable[[dict[str, Any]], Any]) -> bytes:
    payload = deliveries.pull_request(repository="acme/nobody")
    change(payload)
    return json.dumps(payload).encode()


def _deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def _matched(value: str) -> bytes:
    """Return an event that an automation with a condition is for, with this JSON in it."""
    payload = deliveries.pull_request(repository="acme/condition")
    payload["extra"] = "VALUE"
    return json.dumps(payload).replace('"VALUE"', value).encode()


PLAIN = encode(deliveries.pull_request(repository="acme/nobody"))


def _signature(value: str | None) -> Callable[[str, str], Request]:
    return lambda secret, guid: signed(PLAIN, secret, guid, X_Hub_Signature_256=value)


def _method(method: str) -> Callable[[str, str], Request]:
    return lambda secret, guid: signed(PLAIN, secret, guid)._replace(method=method)


HOSTILE = (
    Pair("no signature", _signature(None), 401),
    Pair("an empty signature", _signature(""), 401),
    Pair("a signature of zeros", _signature("sha256=" + "0" * 64), 401),
    Pair("a signature in capitals", lambda secret, guid: signed(PLAIN, secret, guid, X_Hub_Signature_256=signature(PLAIN, secret).upper()), 401),
    Pair("a signature of another algorithm", lambda secret, guid: signed(PLAIN, secret, guid, X_Hub_Signature_256=signature(PLAIN, secret).replace("sha256", "sha1")), 401),
    Pair("a signature that is too long", lambda secret, guid: signed(PLAIN, secret, guid, X_Hub_Signature_256=signature(PLAIN, secret) + "0"), 401),
    Pair("a signature with another secret", lambda _, guid: signed(PLAIN, "guessed", guid), 401),
    Pair("a signature over other bytes", lambda secret, guid: signed(PLAIN, secret, guid)._replace(body=PLAIN + b" "), 401),
    Pair("GET", _method("GET"), 405),
    Pair("PUT", _method("PUT"), 405),
    Pair("no event", lambda secret, guid: signed(PLAIN, secret, guid, X_GitHub_Event=None), 400),
    Pair("no GUID", lambda secret, guid: signed(PLAIN, secret, guid, X_GitHub_Delivery=None), 400),
    Pair("a GUID that is too long", lambda secret, guid: signed(PLAIN, secret, guid, X_GitHub_Delivery="g" * 300), 400),
    Pair("a GUID with a space", lambda secret, guid: signed(PLAIN, secret, guid, X_GitHub_Delivery="a b"), 400),
    raw("nothing", 400, lambda: b""),
    raw("no JSON", 400, lambda: b"{closed"),
    raw("a list", 400, lambda: b"[1, 2]"),
    raw("a text", 400, lambda: b'"closed"'),
    raw("null", 400, lambda: b"null"),
    raw("two documents", 400, lambda: b"{} {}"),
    raw("NaN", 400, lambda: _text(lambda payload: payload.update(number=float("nan")))),
    raw("Infinity", 400, lambda: _text(lambda payload: payload.update(number=float("inf")))),
    raw("a number that is too large for a float, to nobody", 202, lambda: b'{"a": 1e400}'),
    raw("an integer beyond 64 bits, to nobody", 202, lambda: b'{"a": 18446744073709551616}'),
    raw("a byte order mark", 400, lambda: b"\xef\xbb\xbf{}"),
    raw("a NUL in a text", 400, lambda: _text(lambda payload: payload["pull_request"].update(title="a\0b"))),
    raw("a lone surrogate", 400, lambda: _text(lambda payload: payload["pull_request"].update(title="\ud800"))),
    raw("a document 100 deep", 202, lambda: _deep(100)),
    raw("a document 101 deep, to nobody", 202, lambda: _deep(101)),
    raw("a document 100,000 deep", 400, lambda: _deep(100_000)),
    raw("a number that is too large for a float", 202, lambda: _matched("1e400"), "failure"),
    raw("an integer beyond 64 bits", 202, lambda: _matched("18446744073709551616"), "failure"),
    raw("the largest integer of 64 bits", 202, lambda: _matched("9223372036854775807"), "success"),
    raw("a document that is too deep for a condition", 202, lambda: _matched(_deep(101).decode()), "failure"),
    raw("a key that stands twice", 202, lambda: b'{"action": "closed", "action": "opened"}'),
    raw("a form without a payload", 400, lambda: urlencode({"a": "b"}).encode(), Content_Type="application/x-www-form-urlencoded"),
    raw("a form with two payloads", 400, lambda: b"payload=%7B%7D&payload=%7B%7D", Content_Type="application/x-www-form-urlencoded"),
    raw("a form whose payload is no JSON", 400, lambda: b"payload=%ff", Content_Type="application/x-www-form-urlencoded"),
    raw("an object of nothing", 202, lambda: b"{}"),
    raw("fields of other types", 202, lambda: _text(lambda payload: payload.update(repository="acme/nobody", number="17"))),
)  # fmt: skip

PAIRS = (*STARTS, *DOES, *HOSTILE)
