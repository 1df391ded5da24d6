"""Checks of this machine: its clock, its disk, the ledger's file, the server and its public URL.

None of them changes the ledger; the server's `/readyz` says whether it accepts writes.
"""

from __future__ import annotations

import json
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit

from closeout.checks.check import Check, Result, failed, fine, skipped, unknown, wrong
from closeout.checks.world import World, repositories, targets
from closeout.core.errors import CloseoutError, ServiceError

CLOCK_SECONDS = 60.0
"""Seconds by which the clock may differ: links and tokens expire, and AWS refuses requests signed five minutes off."""
FREE_BYTES = 200_000_000
"""A body may have 25 MB, and SQLite's log needs space next to the ledger."""
REMOTE = frozenset(
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"]
)
"""File systems of other machines, on which SQLite's locks and its log are unreliable (sqlite.org/useovernet.html)."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TIMEOUT = 10.0
START_FIRST = (
    "start `closeout serve`; if this stays, check `public-url`, DNS, certificate, firewall and proxy"
)
URL_UNKNOWN = "write `public-url` into the file, or start `closeout serve` once"


def _clock(world: World) -> Result:
    offsets: dict[str, float] = {}
    if world.has_token and (offset := _github_offset(world)) is not None:
        offsets["GitHub"] = offset
    for target in targets(world.loaded)[:1]:
        with suppress(ServiceError, KeyError, ValueError, TypeError):
            date = world.identity(target)["ResponseMetadata"]["HTTPHeaders"]["date"]
            offsets["AWS"] = parsedate_to_datetime(date).timestamp() - world.now()
    if not offsets:
        return unknown("neither GitHub nor AWS could be asked for the time")
    name, offset = max(offsets.items(), key=lambda item: abs(item[1]))
    if abs(offset) > CLOCK_SECONDS:
        where = "behind" if offset > 0 else "ahead of"
        return wrong(f"this machine's clock is {abs(offset):.0f} s {where} {name}'s")
    return fine(f"this machine's clock agrees with {' and '.join(offsets)}")


def _github_offset(world: World) -> float | None:
    """Return how far GitHub's clock is ahead. A GitHub Enterprise Server without limits is asked for a repository."""
    names = repositories(world.loaded.automations)
    with suppress(CloseoutError):
        try:
            world.limits()
        except ServiceError as error:
            if error.http_status == 404 and names:
                world.repository(names[0])
    return world.github_offset


def _disk(world: World) -> Result:
    folder = world.host.path.parent.resolve()
    try:
        free = world.host.free()
    except OSError as error:
        return unknown(f"it is not known how much space {folder} has ({error.strerror})")
    if free < FREE_BYTES:
        return wrong(f"{folder} has {free // 1_000_000} MB left")
    return fine(f"{folder} has {free / 1e9:.1f} GB left")


def _place(world: World) -> Result:
    kind = world.host.file_system()
    if kind is None:
        return skipped("this machine does not say what file system the ledger is on")
    if kind in REMOTE:
        return wrong(f"{world.host.path} is on a network file system ({kind})")
    return fine(f"the ledger is on a local file system ({kind})")


def _ledger(world: World) -> Result:
    path = world.host.path
    if not path.parent.is_dir():
        return wrong(
            f"the folder {path.parent} of the ledger does not exist",
            f"run `mkdir {path.parent}`, or change --db",
        )
    if not world.ledger.exists():
        return skipped(f"there is no ledger at {path} yet; `closeout serve` creates it")
    try:
        world.ledger.base()
    except CloseoutError as error:
        return wrong(error.message)
    return fine(f"{path.name} can be read by this version")


def _writable(world: World) -> Result:
    path = world.host.unwritable()
    if path is not None:
        return wrong(f"this user may not write {path}")
    return fine("this user may write the ledger and its folder")


def _server(world: World) -> Result:
    if not world.ledger.exists():
        return skipped("there is no ledger yet, so no server")
    if not world.host.held():
        return wrong("no server runs on this ledger")
    return fine("a server runs on this ledger")


def _url_known(world: World) -> Result:
    if world.base() is None:
        return unknown("closeout's public URL is not known yet", URL_UNKNOWN)
    return fine(f"closeout's public URL is {world.base()}")


def _public_url(world: World) -> Result:
    base = world.base()
    local = urlsplit(base).hostname in LOOPBACK
    api_url = world.outside.setting(world.loaded.settings.api_url, "github.api-url")
    if local and urlsplit(api_url).hostname not in LOOPBACK:
        return wrong(f"GitHub cannot reach {base}: it is an address of this machine only")
    if not world.ledger.exists() and not world.loaded.settings.public_url:
        return skipped("no server has run yet")
    result = _asked(world, f"{base}/healthz", f"closeout answers at {base}")
    if result.state == "wrong" and not world.ledger.exists():
        return wrong(result.what, START_FIRST)
    return result


def _ready(world: World) -> Result:
    if not world.ledger.exists():
        return skipped("no server has run yet")
    return _asked(world, f"{world.base()}/readyz", "the server stores deliveries and starts runs")


def _asked(world: World, url: str, what: str) -> Result:
    try:
        answer = world.outside.http.request("GET", url, headers={}, body=None, timeout=TIMEOUT)
    except ServiceError as error:
        # Such an error may also affect GitHub, or only this network.
        return wrong(error.message)
    except CloseoutError as error:
        return failed(error)
    if answer.status == 200:
        return fine(what)
    said = ""
    with suppress(ValueError, AttributeError):
        said = str(json.loads(answer.body).get("message", ""))
    return wrong(f"{url} answers {answer.status}{f': {said}' if said else ''}")


def _paused(world: World) -> Result:
    if not world.ledger.exists():
        return skipped("there is no ledger yet")
    phrase = world.ledger.paused()
    if phrase is not None:
        return wrong(f"destructive calls are stopped: {phrase}")
    return fine("destructive calls are allowed")


_check = partial(Check, group="Machine")

CHECKS = (
    _check(
        id="ledger",
        looks="the ledger can be read by this version",
        breaks="`closeout serve` does not start",
        fix="name another ledger with --db, or restore a backup (docs/how-to/upgrade-and-backup.md)",
        ask=_ledger,
    ),
    _check(
        id="disk",
        looks=f"the ledger's disk has {FREE_BYTES // 1_000_000} MB free",
        breaks="soon no delivery can be stored",
        fix="make room, or remove old runs with `closeout prune`",
        ask=_disk,
        after=("ledger",),
        at_start=True,
    ),
    _check(
        id="ledger-place",
        looks="the ledger is on a local file system",
        breaks="two servers may run on one ledger, and it may be damaged",
        fix="move the ledger to a local disk and name it with --db",
        ask=_place,
        after=("ledger",),
        at_start=True,
    ),
    _check(
        id="ledger-writable",
        looks="this user may write the ledger and its folder",
        breaks="`closeout serve` does not start as this user",
        fix="give this user write access, or run the command as the service's user",
        ask=_writable,
        after=("ledger",),
    ),
    _check(
        id="server",
        looks="a server runs on the ledger",
        breaks="deliveries are lost; patrol finds closings when the server is back",
        fix="start `closeout serve`",
        ask=_server,
        after=("ledger",),
    ),
    _check(
        id="public-url-known",
        looks="the file, or the server that last ran, says at which URL GitHub reaches closeout",
        breaks="the webhooks cannot be checked",
        fix=URL_UNKNOWN,
        ask=_url_known,
        after=("configuration-variables", "ledger"),
    ),
    _check(
        id="public-url",
        looks="closeout's public URL can be reached from here, and is not an address of this machine only",
        breaks="GitHub cannot deliver, and Details links do not open",
        fix="set `public-url` to where GitHub reaches closeout; check DNS, certificate, firewall and proxy",
        ask=_public_url,
        after=("public-url-known", "server"),
    ),
    _check(
        id="server-ready",
        looks="it can store deliveries and start runs (`/readyz`)",
        breaks="deliveries are refused, or their runs wait",
        fix="see the server's log, which says why",
        ask=_ready,
        after=("public-url-known", "server", "public-url"),
    ),
    _check(
        id="paused",
        looks="destructive calls are not paused",
        breaks="runs wait before they delete anything",
        fix="run `closeout resume`",
        ask=_paused,
        after=("ledger",),
    ),
    _check(
        id="clock",
        looks="this machine's clock agrees with GitHub's and AWS's",
        breaks="AWS refuses requests, and links expire too early or too late",
        fix="run a time service: `timedatectl set-ntp true`",
        ask=_clock,
        after=("configuration",),
    ),
)
