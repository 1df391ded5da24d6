"""`github/comment`: one comment for each automation and pull request, updated in place.

The comment is found again by a hidden marker. Anyone who may comment can write that marker, so a comment
counts only if the token's own user wrote it. If GitHub does not say who that is, nothing is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closeout.actions.spec import Action, Input, Inputs, Permission, Work, nothing_left
from closeout.core.errors import ActionFailed, InputError, ServiceError, unusable_answer
from closeout.core.facts import COMMENT_MARKER
from closeout.core.plan import Change
from closeout.ports import Clients, GitHub, Json

LIMIT = 65_536
"""Characters that GitHub allows in a comment."""

_PAGES = 50
_CUT = "\n\n… (cut: GitHub takes no more)"


def marker(automation: str) -> str:
    """Return the hidden text by which an automation finds its comment."""
    return f"{COMMENT_MARKER}{automation} -->"


def plan(inputs: Inputs, _clients: Clients) -> Sequence[Change]:
    """Return the one comment. The inputs, or else the event, say where it goes."""
    repository, number = inputs.get("repository"), inputs.get("number")
    place = "this pull request" if number is None else f"{repository or ''}#{number}"
    where = f"{repository} {place}" if repository and number is None else place
    identity = {"repository": repository, "number": number}
    reason = "one comment, updated in place"
    return (Change(verb="comment", resource=where, reason=reason, identity=identity),)


def apply(change: Change, inputs: Inputs, work: Work) -> Json:
    """Write the comment, or update it if its text differs."""
    repository, number = _place(change, work.event)
    text = f"{marker(work.automation)}\n{inputs['body']}"
    if len(text) > LIMIT:
        text = text[: LIMIT - len(_CUT)] + _CUT

    def write() -> Json:
        answer = _write(work, repository, number, text)
        return {"id": answer["id"], "url": str(answer.get("html_url", ""))}

    written = work.change("comment", write)
    return {**written, "summary": f"commented: {written['url']}"}


def _write(work: Work, repository: str, number: int, text: str) -> Mapping[str, Any]:
    github = work.clients.github
    known = _find(github, repository, number, marker(work.automation), own_id(github))
    if known is None:
        path, method = f"/repos/{repository}/issues/{number}/comments", "POST"
    elif known.get("body") == text:
        work.log(f"the comment says this already: {known.get('html_url')}")
        return known
    else:
        path, method = f"/repos/{repository}/issues/comments/{known['id']}", "PATCH"
    answer = github.request(method, path, body={"body": text})
    if not isinstance(answer, dict) or not isinstance(answer.get("id"), int):
        raise unusable_answer(f"{method} {path}")
    work.log(f"{'wrote' if known is None else 'updated'} the comment: {answer.get('html_url')}")
    return answer


def own_id(github: GitHub) -> int:
    """Return the id of the token's user. Raises `ActionFailed` for a token without one, and a transient `ServiceError`."""
    try:
        user = github.request("GET", "/user")
    except ServiceError as error:
        if error.transient:
            raise
        raise ActionFailed(
            "GitHub does not say whose token this is, so closeout cannot tell its own comment from one that another"
            " user has prepared; use a user's token (fine-grained, with Pull requests: write)"
        ) from error
    if not isinstance(user, dict) or not isinstance(user.get("id"), int):
        raise unusable_answer("GET /user")
    return int(user["id"])


def _find(github: GitHub, repository: str, number: int, mark: str, own: int) -> dict[str, Any] | None:
    """Find our comment: the first that begins with the marker and was written by the token's own user."""
    path = f"/repos/{repository}/issues/{number}/comments"
    for page in range(1, _PAGES + 1):
        comments = github.request("GET", path, query={"per_page": "100", "page": str(page)})
        if not isinstance(comments, list):
            raise unusable_answer(f"GET {path}")
        for comment in comments:
            writer = (comment.get("user") or {}).get("id")
            if writer == own and str(comment.get("body") or "").startswith(mark):
                return dict(comment)
        if len(comments) < 100:
            return None
    raise ActionFailed(
        f"{repository}#{number} has over {_PAGES * 100:,} comments; closeout does not search further for its own"
    )


def _place(change: Change, event: Mapping[str, Any]) -> tuple[str, int]:
    """Return where the comment goes: from the step's inputs, else the event's repository and pull request or issue."""
    repository = change.identity.get("repository") or (event.get("repository") or {}).get("full_name")
    number: Any = change.identity.get("number")
    if number is None:
        subject = event.get("pull_request") or event.get("issue") or {}
        number = event.get("number", subject.get("number"))
    if isinstance(number, str) and number.isascii() and number.isdigit():
        number = int(number)
    if not isinstance(repository, str) or type(number) is not int or number < 1:
        raise InputError("this event is not about a pull request or an issue; set `repository` and `number`")
    return repository, number


def _permissions(inputs: Inputs) -> tuple[Permission, ...]:
    repository = str(inputs.get("repository") or "*")
    reason = "to write the comment, on a pull request or on an issue"
    return (Permission("github", ("pull_requests:write", "issues:write"), (repository,), reason),)


ACTION = Action(
    uses="github/comment",
    summary="Write one comment on the pull request, updated in place",
    description=(
        "Writes a comment that begins with a hidden marker, `<!-- closeout:AUTOMATION -->`, and later updates that"
        " comment instead of writing another one. closeout updates only comments of the token's own user. The token must"
        " belong to a user (`GET /user` returns that user); with any other token the step fails and writes nothing. An"
        " `issue_comment` event about such a comment, sent by the same user, starts nothing: its run is skipped.\n\n"
        "A comment deletes nothing, so this is the only action that is never destructive."
    ),
    inputs={
        "body": Input(
            type="string", description="the text, GitHub's Markdown; `${{ }}` may be anything", required=True
        ),
        "repository": Input(
            type="string",
            description="`owner/name`; the event's repository unless given",
            names=True,
            pattern=r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+",
        ),
        "number": Input(
            type="integer", description="the pull request or issue; the event's unless given", names=True
        ),
    },
    destructive="never",
    permissions=_permissions,
    plan=plan,
    apply=apply,
    verify=nothing_left,
    timeout=900.0,
    example="""\
- uses: github/comment
  with:
    body: Closed at ${{ event.pull_request.head.sha }}. The status on that commit says what is gone.
""",
)
