"""The part of GitHub's REST API that is about webhooks, the same for repositories and organizations.

Paths, methods, statuses and fields are those of GitHub's OpenAPI description; the tests keep an excerpt of it.
"""

from __future__ import annotations

import uuid

from closeout.testing import deliveries
from closeout.testing.github.rights import Refused
from closeout.testing.github.routes import Answer, Call, ListedPage, Routes, cut_page
from closeout.testing.github.webhooks import Hook, stamp

HIDDEN = ("request", "response", "url", "hook_id")
LIMIT = 20
"""Hooks that one owner may have for one event."""


def _hook(call: Call) -> Hook:
    """Return the hook that the path names. Raises `Refused` 404."""
    found: Hook | None = call.owner.hooks.get(int(call.rest[0]))
    if found is None:
        raise Refused(404, "Not Found")
    return found


def _create(call: Call) -> Answer:
    config = call.body.get("config") or {}
    if call.owner.kind == "organization" and call.body.get("name") != "web":
        raise Refused(422, "Validation Failed", ["name must be web"])
    if not str(config.get("url", "")).startswith(("http://", "https://")):
        raise Refused(422, "Validation Failed", ["url is missing or has a scheme that is not supported"])
    events = tuple(call.body.get("events") or ("push",))
    hooks = call.owner.hooks.values()
    if any(hook.url == config["url"] and set(hook.events) == set(events) for hook in hooks):
        raise Refused(422, "Validation Failed", ["Hook already exists on this repository"])
    for event in events:
        if sum(event in hook.events for hook in hooks) >= LIMIT:
            message = f'The "{event}" event cannot have more than {LIMIT} hooks'
            raise Refused(422, "Validation Failed", [message])
    hook = Hook(call.world.next_id(400_000), "", "", events, form=True, active=call.body.get("active", True))
    hook.configure(config, whole=True)
    hook.updated_at = stamp(call.world.now())
    call.owner.hooks[hook.id] = hook
    _send_ping(call, hook)
    return 201, hook.to_json(call.owner)


def _send_ping(call: Call, hook: Hook) -> None:
    if call.owner.kind == "repository":
        payload = deliveries.ping(hook_id=hook.id, repository=call.owner.path.removeprefix("/repos/"))
    else:
        payload = deliveries.ping(hook_id=hook.id)
        del payload["repository"]
    call.sender.send_to(call.owner, hook, "ping", payload, str(uuid.uuid4()))


def _change(call: Call) -> Answer:
    """Change a hook: the secret is removed unless it is given again, as the description warns."""
    hook = _hook(call)
    hook.configure(call.body.get("config") or {}, whole=True)
    hook.events = tuple(sorted(set(call.body.get("events", hook.events))))
    hook.active = bool(call.body.get("active", hook.active))
    hook.updated_at = stamp(call.world.now())
    return 200, hook.to_json(call.owner)


def _delete(call: Call) -> Answer:
    call.owner.hooks.pop(_hook(call).id)
    return 204, None


def _change_config(call: Call) -> Answer:
    """Change single settings; those that are left out stay unchanged."""
    _hook(call).configure(call.body)
    _hook(call).updated_at = stamp(call.world.now())
    return 200, _hook(call).config()


def _ping(call: Call) -> Answer:
    _send_ping(call, _hook(call))
    return 204, None


def _list_deliveries(call: Call) -> Answer:
    """Return deliveries, the newest first, starting with the one that `cursor` names."""
    known = [d for d in call.owner.deliveries if d["hook_id"] == _hook(call).id]
    cursor = call.query.get("cursor")
    if cursor is not None:
        known = [d for d in known if d["id"] <= int(cursor)]
    size = min(int(call.query.get("per_page", "30")), 100)
    shown = ListedPage({key: value for key, value in d.items() if key not in HIDDEN} for d in known[:size])
    if len(known) > len(shown):
        shown.following = {**call.query, "cursor": str(known[len(shown)]["id"])}
    return 200, shown


def _get_delivery(call: Call) -> Answer:
    for known in call.owner.deliveries:
        if (known["hook_id"], known["id"]) == (int(call.rest[0]), int(call.rest[1])):
            return 200, known
    raise Refused(404, "Not Found")


def _redeliver(call: Call) -> Answer:
    if not call.sender.redeliver(call.owner, int(call.rest[1])):
        raise Refused(404, "Not Found")
    return 202, {}


HOOK_ROUTES: Routes = {
    r"GET /hooks": lambda call: (
        200,
        cut_page(call.query, [hook.to_json(call.owner) for hook in call.owner.hooks.values()]),
    ),
    r"POST /hooks": _create,
    r"GET /hooks/(\d+)": lambda call: (200, _hook(call).to_json(call.owner)),
    r"PATCH /hooks/(\d+)": _change,
    r"DELETE /hooks/(\d+)": _delete,
    r"PATCH /hooks/(\d+)/config": _change_config,
    r"POST /hooks/(\d+)/pings": _ping,
    r"GET /hooks/(\d+)/deliveries": _list_deliveries,
    r"GET /hooks/(\d+)/deliveries/(\d+)": _get_delivery,
    r"POST /hooks/(\d+)/deliveries/(\d+)/attempts": _redeliver,
}
