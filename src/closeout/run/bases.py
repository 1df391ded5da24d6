"""Ask GitHub for every base branch that a pull request had, because its previews may belong to an earlier one.

A person retargets a pull request, or GitHub does when the base's own pull request is merged. GitHub was seen to send no
delivery for the latter, so the timeline is the only source.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from closeout.core.errors import unusable_answer
from closeout.ports import GitHub, Json

PATH = "/graphql"
ASKED = f"POST {PATH}"
PAGES = 20
"""Pages of 100 changes: an answer with more cannot be right."""
QUERY = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      number
      baseRefName
      timelineItems(first: 100, after: $after,
          itemTypes: [BASE_REF_CHANGED_EVENT, AUTOMATIC_BASE_CHANGE_SUCCEEDED_EVENT]) {
        pageInfo { hasNextPage endCursor }
        nodes {
          ... on BaseRefChangedEvent { previousRefName currentRefName }
          ... on AutomaticBaseChangeSucceededEvent { oldBase newBase }
        }
      }
    }
  }
}
"""
"""https://docs.github.com/en/graphql/reference/unions#pullrequesttimelineitems"""


def bases_of(github: GitHub, repository: str, number: int) -> tuple[str, ...]:
    """Return the names of all bases that the pull request has or had, each once.

    Raises `ServiceError`: an unreadable or incomplete answer never means "no other base".
    """
    found: dict[str, None] = {}
    after: str | None = None
    for _ in range(PAGES):
        pull = _pull_request(_ask(github, repository, number, after), number)
        try:
            found[_name(pull["baseRefName"])] = None
            items = pull["timelineItems"]
            found.update((name, None) for node in items["nodes"] for name in _names(node))
            more, after = items["pageInfo"]["hasNextPage"], items["pageInfo"]["endCursor"]
        except (KeyError, TypeError, AttributeError):
            raise unusable_answer(ASKED, "the answer is not the timeline that was asked for") from None
        if more is False:
            return tuple(found)
        if more is not True or not isinstance(after, str):
            raise unusable_answer(ASKED, "the answer does not say whether there is more")
    raise unusable_answer(ASKED, f"the timeline has more than {PAGES} pages")


def _ask(github: GitHub, repository: str, number: int, after: str | None) -> Json:
    owner, _, name = repository.partition("/")
    variables = {"owner": owner, "name": name, "number": number, "after": after}
    answer = github.request("POST", PATH, body={"query": QUERY, "variables": variables})
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if errors:
        raise unusable_answer(ASKED, f"{repository}#{number}: {_told(errors)}")
    return answer


def _told(errors: Any) -> str:
    first = errors[0] if isinstance(errors, list) else errors
    message = first.get("message") if isinstance(first, dict) else None
    return " ".join(str(message or "an error without a message").split())[:300]


def _pull_request(answer: Json, number: int) -> dict[str, Any]:
    try:
        pull = answer["data"]["repository"]["pullRequest"]
        if pull["number"] == number:
            return dict(pull)
    except (KeyError, TypeError):
        pass
    raise unusable_answer(ASKED, "the answer is not the pull request that was asked for")


def _names(node: dict[str, Any]) -> Iterator[str]:
    keys = ("oldBase", "newBase") if "oldBase" in node else ("previousRefName", "currentRefName")
    for key in keys:
        yield _name(node[key])


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("not the name of a branch")
    return value.removeprefix("refs/heads/")
