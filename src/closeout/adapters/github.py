"""GitHub's REST API as closeout uses it, over HTTP.

An answer counts only if it contains what was asked for. Any other raises `ServiceError`, which is transient if
the same call may succeed later. A rate limit is raised with the time that GitHub names, so that a run can wait without
holding a thread.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from closeout.adapters import github_answers as answers
from closeout.core.errors import (
    CloseoutError,
    ConfigError,
    InputError,
    ServiceError,
    github_error,
    unusable_answer,
)
from closeout.core.url import Url, parse_base
from closeout.ports import HttpAnswer, Json, PullRequest
from closeout.ports.patrol import Page

ANSWER_LIMIT = 8_000_000
MAX_REDIRECTS = 3
PAGE = 100
MAX_FILES = 300
"""GitHub Actions reads the first 300 changed files; so does closeout."""

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LIMITED = re.compile(r"rate limit|abuse detection", re.IGNORECASE)
_MAX_WAIT = 86_400.0


@dataclass
class GitHubClient:
    """Implements `ports.GitHub`. Safe to use from many threads.

    `token` is called for every request, so that a rotated token is used at once. `refresh` is called after a
    401 and returns whether the token has changed; if so, the request is sent once more. Errors call the token
    `named`.
    """

    token: Callable[[], str]
    api_url: str
    refresh: Callable[[], bool] | None = None
    timeout: float = 20.0
    now: Callable[[], float] = time.time
    named: str = "the token"

    def __post_init__(self) -> None:
        from closeout.adapters.transport import Transport  # noqa: PLC0415 - TLS when first needed

        self._base = _api(self.api_url)
        self._transport = Transport()

    # --- the calls --------------------------------------------------------------------------------------

    def create_status(
        self, repository: str, sha: str, *, state: str, context: str, description: str, target_url: str | None
    ) -> None:
        """Post a commit status. A description is cut to 140 characters, because GitHub refuses a longer one."""
        if len(description) > 140:
            description = description[:139] + "…"
        body = {"state": state, "context": context, "description": description}
        if target_url is not None:
            body["target_url"] = target_url
        self.request("POST", f"{_repo(repository)}/statuses/{quote(sha, safe='')}", body=body)

    def pull_request(self, repository: str, number: int) -> PullRequest:
        """Read a pull request; an answer that lacks its identity or state is an error, never a guess."""
        path = f"{_repo(repository)}/pulls/{number}"
        answer = self.request("GET", path)
        try:
            found = PullRequest(
                id=answer["id"],
                number=answer["number"],
                state=answer["state"],
                base_repository_id=answer["base"]["repo"]["id"],
                base_repository=answer["base"]["repo"]["full_name"],
                base_owner_id=answer["base"]["repo"]["owner"]["id"],
                head_ref=answer["head"]["ref"],
                closed_at=answer.get("closed_at"),
            )
        except (KeyError, TypeError, IndexError):
            raise unusable_answer(f"GET {path}", "the answer is not a pull request") from None
        whole = all(
            type(n) is int for n in (found.id, found.number, found.base_repository_id, found.base_owner_id)
        )
        named = isinstance(found.base_repository, str) and _REPOSITORY.fullmatch(found.base_repository)
        if not whole or not named or found.number != number or found.state not in ("open", "closed"):
            raise unusable_answer(f"GET {path}", "the answer is not the pull request that was asked for")
        return found

    def pull_request_files(self, repository: str, number: int) -> tuple[str, ...]:
        """Return changed paths, for a rename both names; GitHub Actions counts the first 300 files."""
        path = f"{_repo(repository)}/pulls/{number}/files"
        names: list[str] = []
        for page in range(1, MAX_FILES // PAGE + 1):
            answer = self.request("GET", path, query={"per_page": str(PAGE), "page": str(page)})
            try:
                for file in _listed(answer):
                    names += [
                        file["filename"],
                        *([file["previous_filename"]] if "previous_filename" in file else []),
                    ]
            except (KeyError, TypeError):
                raise unusable_answer(f"GET {path}", "the answer is not a list of files") from None
            if len(answer) < PAGE:
                break
        return tuple(names)

    def open_pull_requests(self, repository: str, branch: str) -> tuple[int, ...]:
        """List the open pull requests of a branch. An answer with one of another branch is an error.

        `head` is `owner:branch`. GitHub ignores any other form and then lists every pull request:
        https://docs.github.com/en/rest/pulls/pulls#list-pull-requests
        """
        path = f"{_repo(repository)}/pulls"
        head = f"{repository.partition('/')[0]}:{branch}"
        answer = self.request("GET", path, query={"state": "open", "head": head, "per_page": str(PAGE)})
        try:
            found = [(pull["number"], pull["state"], pull["head"]["ref"]) for pull in _listed(answer)]
        except (KeyError, TypeError):
            raise unusable_answer(f"GET {path}", "the answer is not a list of pull requests") from None
        if any(type(pull[0]) is not int or pull[1:] != ("open", branch) for pull in found):
            raise unusable_answer(f"GET {path}", "the answer is not the list that was asked for")
        return tuple(number for number, _, _ in found)

    def ref_exists(self, repository: str, ref: str) -> bool:
        """Whether `heads/x` or `tags/x` exists: exactly this ref, not one with this prefix.

        GitHub also answers 404 for a repository that the token may not see. So "gone" counts only if the
        same token can now read another ref of the same repository, its default branch.
        """
        path = f"{_repo(repository)}/git/ref/{quote(ref, safe='/')}"
        if self._ref(path, ref):
            return True
        home = self.request("GET", _repo(repository))
        default = home.get("default_branch") if isinstance(home, dict) else None
        if not isinstance(default, str) or ref == f"heads/{default}":
            raise unusable_answer(
                f"GET {path}", "the repository does not name another branch to compare with"
            )
        witness = f"heads/{default}"
        if not self._ref(f"{_repo(repository)}/git/ref/{quote(witness, safe='/')}", witness):
            raise unusable_answer(
                f"GET {path}", f"neither {ref} nor {witness} can be read: the token may lack Contents: read"
            )
        return False

    def _ref(self, path: str, ref: str) -> bool:
        """Read one ref: True if it exists, False for GitHub's exact 404; anything else is an error."""
        answer = self._exchange("GET", path, None, None)
        body = _decode("GET", path, answer)
        if answer.status == 404 and isinstance(body, dict) and body.get("message") == "Not Found":
            return False
        if not 200 <= answer.status < 300:
            raise self._failure("GET", path, answer)
        if not isinstance(body, dict) or body.get("ref") != f"refs/{ref}":
            raise unusable_answer(f"GET {path}", "the answer is not the ref that was asked for")
        return True

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Json] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        """Call one path of the API and return the decoded answer, None when it has no content."""
        answer = self._exchange(method, path, body, query)
        if not 200 <= answer.status < 300:
            raise self._failure(method, path, answer)
        return _decode(method, path, answer) if answer.body else None

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        """Read one page of a list, if it is not the one with this tag: `ports.GitHubReads`."""
        answer = self._exchange("GET", path, None, query, etag)
        if answer.status != 304 and not 200 <= answer.status < 300:
            raise self._failure("GET", path, answer)
        body = None if answer.status == 304 else _decode("GET", path, answer)
        try:
            return answers.page(answer, body)
        except ValueError as error:
            raise unusable_answer(f"GET {path}", str(error)) from None

    # --- sending ----------------------------------------------------------------------------------------

    def _exchange(
        self,
        method: str,
        path: str,
        body: Mapping[str, Json] | None,
        query: Mapping[str, str] | None,
        etag: str | None = None,
    ) -> HttpAnswer:
        # GitHub Enterprise Server has REST under /api/v3 and GraphQL at /api/graphql.
        base = self._base.path.removesuffix("/v3") if path == "/graphql" else self._base.path
        url = self._base._replace(
            path=base + _checked(method, path),
            query=f"?{urlencode(query)}" if query else "",
        )
        data = None if body is None else json.dumps(body).encode()
        answer = self._follow(method, path, url, data, etag)
        if answer.status == 401 and self.refresh is not None and self.refresh():
            answer = self._follow(method, path, url, data, etag)
        return answer

    def _follow(self, method: str, path: str, url: Url, data: bytes | None, etag: str | None) -> HttpAnswer:
        """Send, following redirects within the API's origin only: a renamed repository's stay there.

        GitHub asks for the request to be repeated verbatim on 301, 302, 307 and 308
        (docs.github.com: "Using the REST API", "Follow redirects").
        """
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._send(method, path, url, data, etag)
            if answer.status not in (301, 302, 307, 308):
                return answer
            target = url.redirected(answer.headers.get("location"))
            if target is None:
                raise github_error(
                    f"{method} {path}", "GitHub redirects to another host; not followed", "redirect"
                )
            url = target
        raise github_error(f"{method} {path}", f"more than {MAX_REDIRECTS} redirects", "redirect")

    def _send(self, method: str, path: str, url: Url, data: bytes | None, etag: str | None) -> HttpAnswer:
        from closeout.adapters.transport import NoAnswer  # noqa: PLC0415 - TLS when first needed

        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._read_token(method, path)}",
            "User-Agent": "closeout",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        if etag is not None:
            headers["If-None-Match"] = etag
        if data is not None:
            headers["Content-Type"] = "application/json"
        try:
            return self._transport.send(
                method, url, headers=headers, body=data, timeout=self.timeout, limit=ANSWER_LIMIT
            )
        except NoAnswer as error:
            raise github_error(
                f"{method} {path}", str(error), error.reason, transient=error.transient
            ) from None

    def _read_token(self, method: str, path: str) -> str:
        try:
            token = self.token().strip()
        except CloseoutError as error:
            # The secret's store may be back in a minute, so a caller should try again.
            text = f"no token: {error.message}"
            raise github_error(f"{method} {path}", text, "no-token", transient=True) from error
        if not token or not token.isascii() or not token.isprintable():
            text = "there is no GitHub token, or it is malformed; see `secrets.github`"
            raise github_error(f"{method} {path}", text, "no-token")
        return token

    # --- what an error means ----------------------------------------------------------------------------

    def _failure(self, method: str, path: str, answer: HttpAnswer) -> ServiceError:
        text = answers.explain(answer)
        wait = self._wait(answer, text)
        limited = wait is not None and answer.status in (403, 429)
        return github_error(
            f"{method} {path}",
            f"{answer.status} {text}{self._wrong(answer)}{answers.wanted(answer)}",
            "rate-limit" if limited else str(answer.status),
            transient=limited or answer.status >= 500 or answer.status == 408,
            retry_after=wait,
            http_status=answer.status,
        )

    def _wrong(self, answer: HttpAnswer) -> str:
        if answer.status == 404:
            return "; it does not exist, or the token may not see it"
        return f"; {self.named} is wrong or has expired" if answer.status == 401 else ""

    def _wait(self, answer: HttpAnswer, text: str) -> float | None:
        """Return the seconds that GitHub asks us to wait (docs: "Rate limits for the REST API"), None if it does not."""
        after = answer.headers.get("retry-after")
        spent = answer.headers.get("x-ratelimit-remaining") == "0"
        if answer.status >= 500:
            return answers.seconds(after)
        if answer.status != 429 and not (answer.status == 403 and (after or spent or _LIMITED.search(text))):
            return None
        wait = answers.seconds(after)
        reset = answers.seconds(answer.headers.get("x-ratelimit-reset")) if spent else None
        if wait is None and reset is not None:
            wait = max(reset - self.now(), 0.0) + 1.0
        return min(wait if wait is not None else 60.0, _MAX_WAIT)


def _listed(answer: Json) -> list[Any]:
    """Return an answer that must be a list. Raises `TypeError`: an object without items is not an empty list."""
    if not isinstance(answer, list):
        raise TypeError("not a list")
    return answer


def _api(text: str) -> Url:
    try:
        url = parse_base(text)
    except InputError as error:
        raise ConfigError(f"github.api-url: this is not the URL of an API: {error.message}") from None
    if url.scheme == "http" and url.host not in _LOOPBACK:
        raise ConfigError("github.api-url: use https, so that the token does not travel in the clear")
    return url


def _repo(repository: str) -> str:
    if not _REPOSITORY.fullmatch(repository) or {".", ".."} & set(repository.split("/")):
        raise github_error("GET /repos", f"{repository!r} is not the name of a repository", "bad-repository")
    return f"/repos/{repository}"


def _checked(method: str, path: str) -> str:
    """Refuse a path that would lead elsewhere: segments of dots, also encoded, a query, a fragment."""
    segments = re.sub(r"%2e", ".", path, flags=re.IGNORECASE).split("/")
    if (
        not path.startswith("/")
        or {".", ".."} & set(segments)
        or re.search(r"[?#\\\x00-\x20\x7f-\U0010ffff]", path)
    ):
        raise github_error(f"{method} /…", f"{path!r} is not a path of GitHub's API", "bad-path")
    return path


def _decode(method: str, path: str, answer: HttpAnswer) -> Json:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        # A proxy's HTML page or a truncated answer does not come from GitHub.
        text = f"{answer.status}, and the answer is not JSON"
        raise github_error(
            f"{method} {path}", text, "not-json", transient=True, http_status=answer.status
        ) from None
