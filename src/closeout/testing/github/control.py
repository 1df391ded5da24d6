"""The control API under `/_control/`: what a person would do on github.com, and faults on purpose.

It needs no token. Another process (the demo, a crash test) drives the fake through it; a test in the same
process may use `FakeGitHub.world` and `.faults` directly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from closeout.testing import payloads
from closeout.testing.github.rights import Refused
from closeout.testing.github.world import Repository, World

if TYPE_CHECKING:
    from closeout.testing.github.server import FakeGitHub

_PULL_ACTIONS = {
    "close": "closed",
    "reopen": "reopened",
    "redeploy": "synchronize",
    "synchronize": "synchronize",
}
_NAME = r"repositories/([^/]+/[^/]+)"


class Order(NamedTuple):
    """One control request: the fake, its options, and what the path's pattern caught."""

    fake: FakeGitHub
    options: dict[str, Any]
    query: Mapping[str, str]
    rest: tuple[Any, ...]

    @property
    def world(self) -> World:
        """The fake's state."""
        return self.fake.world

    @property
    def repository(self) -> Repository:
        """The repository that the path names."""
        return self.world.repository(self.rest[0])


def answer(
    fake: FakeGitHub, method: str, path: str, body: Mapping[str, Any], query: Mapping[str, str]
) -> Any:
    """Carry out one control request; `path` is what follows `/_control/`. Raises `Refused`."""
    for pattern, do in _TABLE:
        found = re.fullmatch(pattern, f"{method} {path}")
        if found:
            result = do(Order(fake, dict(body), query, found.groups()))
            return {} if result is None else result
    raise Refused(404, f"no control request {method} {path}")


def _add_organization(order: Order) -> Any:
    organization = order.world.add_organization(order.options["login"])
    return {"id": organization.id, "login": organization.login}


def _open_pull(order: Order) -> Any:
    pull = order.world.open_pull(order.rest[0], **order.options)
    return order.world.pull_payload(order.repository, pull)["pull_request"]


def _change_pull(order: Order) -> Any:
    name, number, verb = order.rest
    wait = order.options.pop("wait", False)
    if verb == "remove":
        order.repository.pulls.pop(int(number))
        return None
    if verb not in _PULL_ACTIONS:
        raise Refused(404, f"a pull request cannot be told to {verb}")
    pull = order.world.change_pull(name, int(number), _PULL_ACTIONS[verb], **order.options)
    if wait:
        order.fake.sender.settle()
    return order.world.pull_payload(order.repository, pull)["pull_request"]


def _add_comment(order: Order) -> Any:
    user = payloads.user(order.options.get("login", "outsider"), number=order.options.get("user_id", 66_000))
    return order.world.add_comment(order.repository, int(order.rest[1]), order.options["body"], user)


def _set_ref(order: Order) -> None:
    order.world.set_ref(order.repository, order.options["ref"], order.options.get("sha"))


def _end_run(order: Order) -> None:
    order.world.end_run(order.repository, int(order.rest[1]), order.options.get("conclusion", "success"))


def _deliver(order: Order) -> Any:
    event, payload = order.options["event"], order.options["payload"]
    guid = order.fake.emit(order.repository, event, payload, order.options.get("guid"))
    if order.options.get("wait"):
        order.fake.sender.settle()
    return {"guid": guid}


def _deliveries(order: Order) -> Any:
    order.fake.sender.settle(float(order.query.get("settle", "0")))
    return order.repository.deliveries


def _drop_token(order: Order) -> None:
    order.world.tokens.pop(order.rest[0], None)


def _rate(order: Order) -> None:
    order.fake.remaining = int(order.options["remaining"])


def _add_fault(order: Order) -> Any:
    try:
        return order.fake.faults.add(order.options.pop("kind", ""), **order.options).to_json()
    except (TypeError, ValueError) as error:
        raise Refused(422, str(error)) from error


def _faults(order: Order) -> Any:
    return order.fake.faults.all()


def _fault(order: Order) -> Any:
    number, query = int(order.rest[0]), order.query
    try:
        order.fake.faults.wait(number, int(query.get("hits", "1")), float(query.get("wait", "0")))
        return order.fake.faults.get(number).to_json()
    except KeyError as error:
        raise Refused(404, "no such fault") from error


def _clear_faults(order: Order) -> None:
    number = order.rest[0]
    try:
        order.fake.faults.clear(int(number) if number else None)
    except KeyError as error:
        raise Refused(404, "no such fault") from error


_TABLE: tuple[tuple[str, Callable[[Order], Any]], ...] = (
    (r"POST repositories", lambda order: order.world.add_repository(**order.options).to_json()),
    (r"POST organizations", _add_organization),
    (rf"POST {_NAME}/rename", lambda order: order.world.rename(order.rest[0], **order.options)),
    (rf"POST {_NAME}/pulls", _open_pull),
    (rf"POST {_NAME}/pulls/(\d+)/comments", _add_comment),
    (rf"POST {_NAME}/pulls/(\d+)/([a-z]+)", _change_pull),
    (rf"POST {_NAME}/refs", _set_ref),
    (rf"POST {_NAME}/hooks", lambda order: order.fake.add_hook(order.rest[0], **order.options).to_json()),
    (rf"GET {_NAME}/hooks", lambda order: [hook.to_json() for hook in order.repository.hooks.values()]),
    (rf"POST {_NAME}/workflows", lambda order: order.world.add_workflow(order.rest[0], **order.options)),
    (rf"POST {_NAME}/runs/(\d+)/finish", _end_run),
    (rf"POST {_NAME}/deliver", _deliver),
    (rf"GET {_NAME}/deliveries", _deliveries),
    (r"POST tokens", lambda order: order.world.add_token(**order.options)),
    (r"DELETE tokens/(.+)", _drop_token),
    (r"POST rate", _rate),
    (r"POST faults", _add_fault),
    (r"GET faults", _faults),
    (r"GET faults/(\d+)", _fault),
    (r"DELETE faults(?:/(\d+))?", _clear_faults),
    (r"GET requests", lambda order: order.fake.requests(since=int(order.query.get("since", "0")))),
    (r"DELETE requests", lambda order: order.fake.clear_requests()),
)
"""`METHOD path` → what to do. Every path of the control API is in this table."""
