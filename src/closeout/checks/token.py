"""Checks of GitHub's API and of the token: what the configuration needs, and what the token has beyond that.

A fine-grained token does not say what it may do, so each right is tried: reads by reading, commit statuses with one that
GitHub must refuse. Other rights to write cannot be tried without writing something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from closeout.actions.registry import builtin
from closeout.checks.check import Check, Result, failed, fine, skipped, unknown, worst, wrong
from closeout.checks.world import World, repositories
from closeout.config.permissions import github_statements
from closeout.core.errors import ServiceError, unusable_answer
from closeout.core.patterns import is_literal
from closeout.core.units import counted

DENIED = (401, 403, 404)
"""GitHub's answers if the token lacks a right: it answers 404 for what a token may not see."""
SCOPES = frozenset(
    [
        "repo",
        "repo:status",
        "repo_deployment",
        "public_repo",
        "read:repo_hook",
        "write:repo_hook",
        "admin:repo_hook",
        "admin:org_hook",
        "read:org",
    ]
)
"""Scopes of classic tokens that closeout uses."""
NOBODY = "0" * 40
"""The commit in the status that GitHub must refuse."""
ASKING = ("secret-github", "github-api", "github-token", "github-limit")
"""The checks before each check of repositories."""
FINE_GRAINED = "github.com → Settings → Developer settings → Fine-grained tokens"

UNREADABLE = unknown("no repository that is named in full can be read", "first fix `github-repositories`")


def with_token(ask: Callable[[World], Result]) -> Callable[[World], Result]:
    """Return a check that is skipped if there is no token."""

    def asked(world: World) -> Result:
        return ask(world) if world.has_token else skipped("the file has no `secrets.github`")

    return asked


def visible(world: World) -> list[str]:
    """Return the repositories that the token can read; `github-repositories` reports the others."""
    return [name for name in repositories(world.loaded.automations) if _seen(world, name)]


def _seen(world: World, name: str) -> bool:
    try:
        world.repository(name)
    except ServiceError:
        return False
    return True


def _api(world: World) -> Result:
    try:
        world.limits()
    except ServiceError as error:
        if error.http_status not in (401, 404):  # GitHub Enterprise Server may have no limits
            return failed(error, "check the network, `github.api-url` and www.githubstatus.com")
    return fine("GitHub's API answers")


def _accepted(world: World) -> Result:
    try:
        world.limits()
    except ServiceError as error:
        if error.http_status == 401:
            return wrong("GitHub does not accept the token: it is wrong or has expired")
    return fine("GitHub accepts the token")


def _limit(world: World) -> Result:
    page = None
    with suppress(ServiceError):
        page = world.limits()
    if page is None or page.remaining is None or page.limit is None:
        return skipped("GitHub does not limit the token")
    left = f"the token has {page.remaining} of {page.limit} calls left in this hour"
    return wrong(left) if page.remaining < page.limit // 10 else fine(left)


def _excess(world: World) -> Result:
    scopes = None
    with suppress(ServiceError):
        scopes = world.limits().scopes
    if scopes is None:
        return skipped("GitHub lists the rights of classic tokens only")
    excess = [scope for scope in scopes if scope not in SCOPES]
    if excess:
        return wrong(f"the token has rights that closeout does not need: {', '.join(excess)}")
    return fine(f"the token has no scope that closeout does not need: {', '.join(scopes) or 'none'}")


def _repositories(world: World) -> Result:
    names = repositories(world.loaded.automations)
    if not names:
        return skipped("the file names no repository in full")
    results = [_repository(world, name) for name in names]
    return worst(results, f"the token can read {repositories_in_all(len(names))}")


def _repository(world: World, name: str) -> Result:
    try:
        known = str(world.repository(name)["full_name"])
    except ServiceError as error:
        return refused(error, f"{name} cannot be read: {error.message}")
    if known.lower() != name.lower():
        return wrong(f"{name} is {known} now", f"write {known} under `repositories`")
    return fine(name)


def refused(error: ServiceError, text: str) -> Result:
    """Return `text` as a finding if GitHub says that the token may not; else the error's own result."""
    return wrong(text) if error.http_status in DENIED and not error.transient else failed(error)


def repositories_in_all(number: int) -> str:
    """Return `1 repository`, `2 repositories`."""
    return counted(number, "repository", "repositories")


def needed(world: World, permission: str) -> tuple[list[str], Result]:
    """Return the readable repositories in which the configuration needs a permission, and the result if there is none."""
    found = {
        name.lower()
        for one in github_statements(world.loaded.automations, builtin())
        if any(right.partition(":")[0] == permission for right in one.actions)
        for name in one.resources
        if is_literal(name)
    }
    if not found:
        return [], skipped(f"nothing needs `{permission.replace('_', ' ')}`")
    return [name for name in visible(world) if name.lower() in found], UNREADABLE


def _may(permission: str, what: str, ask: Callable[[World, str], object], world: World) -> Result:
    """Return whether the token may do `what` wherever the configuration needs the permission, tried by `ask`."""
    names, without = needed(world, permission)
    if not names:
        return without
    may = f"the token can {what} in {repositories_in_all(len(names))}"
    return tried(partial(ask, world), names, f"the token may not {what}", may)


def tried(ask: Callable[[str], object], names: Iterable[str], may_not: str, may: str) -> Result:
    """Return the result of asking for each repository: `may_not` with GitHub's answer, or `may`."""
    results = []
    for name in names:
        try:
            ask(name)
        except ServiceError as error:
            results.append(refused(error, f"{name}: {may_not} ({error.message})"))
    return worst(results, may)


def _read(path: str, world: World, name: str) -> None:
    world.read(f"/repos/{name}/{path}", {"per_page": "1"})


def _post_status(world: World, name: str) -> None:
    """Post an impossible status: for no commit, and in a state that does not exist."""
    path = f"/repos/{name}/statuses/{NOBODY}"
    try:
        world.outside.github.request("POST", path, body={"state": "asked", "context": "closeout/doctor"})
    except ServiceError as error:
        if error.http_status != 422:  # then the token may; only the status cannot be
            raise
    else:
        raise unusable_answer(f"POST {path}", "GitHub accepted a commit status that it should reject")


_check = partial(Check, group="GitHub", after=ASKING)


def _right(permission: str, path: str, breaks: str) -> Check:
    """Return the check of a right to read, tried at a path below the repository."""
    words = permission.replace("_", " ")
    return _check(
        id=f"github-{permission.replace('_', '-')}",
        looks=f"the token can read {words} if that is needed",
        breaks=breaks,
        fix=f"give the token `{words.capitalize()}: read` ({FINE_GRAINED}); a classic token needs `repo`",
        ask=with_token(partial(_may, permission, f"read {words}", partial(_read, path))),
    )


_AFTER = ("secret-github", "github-api", "github-token")

CHECKS = (
    _check(
        id="github-api",
        looks="GitHub's API answers",
        breaks="no status is posted, nothing is deleted, patrol finds nothing",
        fix="check the network, `github.api-url` and www.githubstatus.com",
        ask=with_token(_api),
        after=("configuration-variables", "secret-github"),
    ),
    _check(
        id="github-token",
        looks="GitHub accepts the token",
        breaks="no status is posted, nothing is deleted, patrol finds nothing",
        fix=f"make a new token ({FINE_GRAINED}) and store it where `secrets.github` says",
        ask=with_token(_accepted),
        after=("secret-github", "github-api"),
    ),
    _check(
        id="github-limit",
        looks="the token has API calls left",
        breaks="runs wait until GitHub's next hour begins",
        fix="give closeout a token that nothing else uses",
        ask=with_token(_limit),
        after=_AFTER,
    ),
    _check(
        id="github-excess",
        looks="the token has no right that closeout does not need (classic tokens)",
        breaks="a thief of the token can do more than closeout",
        fix=f"replace it with a fine-grained token ({FINE_GRAINED}) with the rights that `closeout permissions` prints",
        ask=with_token(_excess),
        after=_AFTER,
    ),
    _check(
        id="github-repositories",
        looks="the token can read each repository that is named in full, and none was renamed",
        breaks="closings there are not found, or match nothing",
        fix="correct the name under `repositories`, or give the token access to the repository",
        ask=with_token(_repositories),
    ),
    _right("pull_requests", "pulls", "nothing is deleted, because closeout reads the pull request first"),
    _right(
        "contents",
        "git/matching-refs/heads/closeout",
        "nothing is deleted when a branch is, because closeout looks for the branch first",
    ),
    _right("deployments", "deployments", "runs with `environment` fail"),
    _right("issues", "issues/events", "comments fail"),
    _right("actions", "actions/workflows", "dispatched workflows cannot be followed"),
    _check(
        id="github-statuses",
        looks="the token can post commit statuses, tried with one that GitHub must refuse",
        breaks="no commit shows the result of its run",
        fix=f"give the token `Commit statuses: write` ({FINE_GRAINED}); a classic token needs `repo:status`",
        ask=with_token(partial(_may, "statuses", "post commit statuses", _post_status)),
    ),
)
