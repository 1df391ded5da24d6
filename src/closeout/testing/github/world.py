"""What the fake GitHub knows: repositories, pull requests, statuses, comments, refs, workflow runs.

Plain state with the rules that GitHub enforces (a description of at most 140 characters, 1000 statuses per
context), apart from HTTP, so that a test can build it directly and the routes stay thin.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from closeout.testing import deliveries, payloads
from closeout.testing.github import rights
from closeout.testing.github.rights import Refused
from closeout.testing.github.webhooks import HookOwner, Organization, stamp

Emit = Callable[["Repository", str, dict[str, Any]], object]


@dataclass(slots=True, kw_only=True)
class Pull:
    """A pull request."""

    number: int
    id: int
    head: str
    sha: str
    base: str = "develop"
    state: str = "open"
    merged: bool = False
    labels: Sequence[str] = ()
    closed_at: str | None = None
    fork: str | None = None
    """None: the same repository; `gone`: the fork was deleted; else the fork's full name."""
    title: str = "Add a basket"
    files: Sequence[dict[str, Any]] = ()
    times: dict[str, str] = field(default_factory=dict)
    """What the API says in place of the times of the payload: `created_at`, `closed_at`."""
    updated_at: str | None = None
    bases: list[tuple[str, str, bool]] = field(default_factory=list)
    """Each change of the base: from, to, and whether GitHub itself made it."""


@dataclass(slots=True, kw_only=True)
class Repository(HookOwner):
    """A repository and everything in it."""

    kind = "repository"
    full_name: str
    private: bool
    refs: dict[str, str] = field(
        default_factory=lambda: {"heads/main": payloads.SHA, "heads/develop": payloads.SHA}
    )
    default_branch: str = "main"
    pulls: dict[int, Pull] = field(default_factory=dict)
    statuses: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    workflows: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    """The newest first, each with its `statuses`, the newest first."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """What happened to issues and pull requests, the newest first."""

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/repos/{self.full_name}"

    def to_json(self) -> dict[str, Any]:
        """Return the repository as the API shows it."""
        shown = payloads.repository(self.full_name, number=self.id, private=self.private, full=True)
        return shown | {"default_branch": self.default_branch}


class World:
    """All repositories, under one lock. `emit(repository, event, payload)` sends an event to the hooks."""

    def __init__(self, emit: Emit, *, now: Callable[[], float], full: bool = False) -> None:
        self.lock = threading.RLock()
        self.repositories: dict[int, Repository] = {}
        self.renamed: dict[str, int] = {}
        self.organizations: dict[str, Organization] = {}
        self.tokens: dict[str, dict[str, Any]] = {}
        self.full = full
        self.now = now
        self._emit = emit
        self._numbers = itertools.count(1_000)
        self._closed = 0

    def next_id(self, base: int = 0) -> int:
        """Return a number that nothing else has."""
        return base + next(self._numbers)

    # --- repositories and tokens ----------------------------------------------------------------------

    def add_token(self, token: str, *, login: str | None = "closeout-bot", **limits: Any) -> None:
        """Accept a token. A login of None hides `GET /user` from it; `limits` are among `rights.LIMITS`."""
        user = payloads.user(login, number=88_000 + len(self.tokens)) if login else None
        self.tokens[token] = {**rights.LIMITS, **limits, "user": user}

    def add_repository(self, full_name: str, *, private: bool = True, id: int | None = None) -> Repository:  # noqa: A002
        """Add a repository. A name that was renamed away can be taken again, by another id."""
        with self.lock:
            if any(r.full_name.lower() == full_name.lower() for r in self.repositories.values()):
                raise Refused(422, "Repository creation failed: name already exists on this account")
            self.renamed.pop(full_name.lower(), None)
            repository = Repository(id=id or self.next_id(501_000), full_name=full_name, private=private)
            self.repositories[repository.id] = repository
            return repository

    def repository(self, full_name: str) -> Repository:
        """Find a repository by its present name. Raises `Refused` 404."""
        for repository in self.repositories.values():
            if repository.full_name.lower() == full_name.lower():
                return repository
        raise Refused(404, "Not Found")

    def add_organization(self, login: str) -> Organization:
        """Add an organization; its hooks get the events of every repository of that owner."""
        return self.organizations.setdefault(login.lower(), Organization(id=self.next_id(9_000), login=login))

    def rename(self, full_name: str, to: str) -> None:
        """Rename a repository; its old name redirects from now on, as on GitHub."""
        with self.lock:
            repository = self.repository(full_name)
            self.renamed[full_name.lower()] = repository.id
            repository.full_name = to

    # --- pull requests --------------------------------------------------------------------------------

    def open_pull(self, full_name: str, *, number: int | None = None, **options: Any) -> Pull:
        """Open a pull request; `options` are fields of `Pull`."""
        with self.lock:
            repository = self.repository(full_name)
            number = number or max(repository.pulls, default=0) + 1
            named: dict[str, Any] = {
                "id": self.next_id(1_700_000),
                "head": f"feature/{number}",
                "sha": f"{number:040x}",
            }
            pull = repository.pulls[number] = Pull(number=number, **named | options)
            pull.updated_at = stamp(self.now())
            if pull.fork is None:
                repository.refs[f"heads/{pull.head}"] = pull.sha
        self._pull_event(repository, pull, "opened")
        return pull

    def change_pull(self, full_name: str, number: int, action: str, *, merged: bool = False) -> Pull:
        """Close, reopen, or redeploy (a new commit: `synchronize`) a pull request, and tell the hooks."""
        with self.lock:
            repository = self.repository(full_name)
            pull = self.pull(repository, number)
            if action == "closed":
                pull.state, pull.merged, pull.closed_at = "closed", merged, self._moment()
            elif action == "reopened":
                pull.state, pull.merged, pull.closed_at = "open", False, None
            elif action == "synchronize":
                pull.sha = f"{self.next_id(0xFACE0000):040x}"
            else:
                raise Refused(422, f"a pull request cannot be {action!r}")
            pull.updated_at = pull.closed_at or stamp(self.now())
            if action in ("closed", "reopened"):
                happened = payloads.issue_event(action, pull.number, pull.updated_at, self.next_id(70_000))
                repository.events.insert(0, happened)
        self._pull_event(repository, pull, action)
        return pull

    def retarget(self, full_name: str, number: int, base: str, *, automatic: bool = False) -> Pull:
        """Change the base of a pull request. Hooks are notified of a person's change, and not of GitHub's own."""
        with self.lock:
            repository = self.repository(full_name)
            pull = self.pull(repository, number)
            before, pull.base = pull.base, base
            pull.bases.append((before, base, automatic))
            payload = self.pull_payload(repository, pull, "edited")
        if not automatic:
            changes = {"base": {"ref": {"from": before}}}
            self._emit(repository, "pull_request", {**payload, "changes": changes})
        return pull

    def _moment(self) -> str:
        """Return the time of a closing now: never the same one twice."""
        self._closed = max(int(self.now()), self._closed + 1)
        return stamp(self._closed)

    def pull(self, repository: Repository, number: int) -> Pull:
        """Find a pull request. Raises `Refused` 404."""
        if number not in repository.pulls:
            raise Refused(404, "Not Found")
        return repository.pulls[number]

    def pull_payload(self, repository: Repository, pull: Pull, action: str = "closed") -> dict[str, Any]:
        """Return the delivery's payload for what happened to a pull request."""
        head: Any = "same"
        if pull.fork is not None:
            head = (
                None if pull.fork == "gone" else payloads.repository(pull.fork, number=777_001, private=False)
            )
        same = ("number", "state", "closed_at", "merged", "base", "head", "sha", "labels", "title")
        payload = deliveries.pull_request(
            action,
            **_naming(repository),
            full=self.full,
            pull_id=pull.id,
            head_repository=head,
            **{name: getattr(pull, name) for name in same},
        )
        if pull.updated_at is not None:
            payload["pull_request"]["updated_at"] = pull.updated_at
        return payload

    def _pull_event(self, repository: Repository, pull: Pull, action: str) -> None:
        self._emit(repository, "pull_request", self.pull_payload(repository, pull, action))

    # --- statuses, comments, refs ---------------------------------------------------------------------

    def add_status(
        self, repository: Repository, sha: str, body: Mapping[str, Any], user: Any
    ) -> dict[str, Any]:
        """Post a commit status. GitHub keeps at most 1000 of one context, without documenting it."""
        context = body.get("context") or "default"
        with self.lock:
            known = repository.statuses.setdefault(sha, [])
            if sum(1 for status in known if status["context"] == context) >= 1000:
                message = "This SHA and context has reached the maximum number of statuses."
                raise Refused(422, "Validation Failed", [message])
            status = {
                "id": self.next_id(),
                "state": body["state"],
                "context": context,
                "description": body.get("description"),
                "target_url": body.get("target_url"),
                "creator": user,
                "created_at": stamp(self.now()),
            }
            known.insert(0, status)
        payload = deliveries.status(context, body["state"], sha=sha, **_naming(repository))
        self._emit(repository, "status", payload)
        return status

    def add_comment(
        self, repository: Repository, number: int, text: str, user: dict[str, Any]
    ) -> dict[str, Any]:
        """Comment on an issue or pull request."""
        if not text:
            raise Refused(422, "Validation Failed", [{"field": "body", "code": "missing_field"}])
        if len(text) > 65_536:
            raise Refused(422, "Validation Failed", ["body is too long (maximum is 65536 characters)"])
        with self.lock:
            comment = {
                "id": self.next_id(3_000_000),
                "body": text,
                "user": user,
                "html_url": f"{payloads.SITE}/{repository.full_name}/pull/{number}#issuecomment-{self.next_id()}",
                "created_at": stamp(self.now()),
                "updated_at": stamp(self.now()),
            }
            repository.comments.setdefault(number, []).append(comment)
            if number in repository.pulls:
                repository.pulls[number].updated_at = stamp(self.now())
        payload = deliveries.issue_comment(text, number=number, author=user["login"], **_naming(repository))
        self._emit(repository, "issue_comment", payload)
        return comment

    def find_comment(self, repository: Repository, comment: int) -> dict[str, Any]:
        """Find a comment by its id. Raises `Refused` 404."""
        for known in itertools.chain.from_iterable(repository.comments.values()):
            if known["id"] == comment:
                return known
        raise Refused(404, "Not Found")

    def set_ref(self, repository: Repository, ref: str, sha: str | None) -> None:
        """Make a ref (`heads/x`, `tags/x`), or with None delete it, and tell the hooks."""
        kind, _, name = ref.partition("/")
        ref_type = "tag" if kind == "tags" else "branch"
        with self.lock:
            if sha is None:
                if repository.refs.pop(ref, None) is None:
                    raise Refused(422, "Reference does not exist")
            else:
                repository.refs[ref] = sha
        event, build = ("delete", deliveries.delete) if sha is None else ("create", deliveries.create)
        self._emit(repository, event, build(name, ref_type, **_naming(repository)))

    # --- workflows ------------------------------------------------------------------------------------

    def add_workflow(self, full_name: str, file: str, **behaviour: Any) -> None:
        """Add a workflow. `inputs`: names that it takes (None: any); `run_name`: a format string over the inputs.

        `conclusion`: what its runs end with by themselves, after `polls` looks at the run (None: they wait for
        the control call); `details`: whether `return_run_details` is known (GHES of old does not).
        """
        known = {"inputs": None, "run_name": None, "conclusion": "success", "polls": 1, "details": True}
        workflow = known | {"id": self.next_id(160_000), "file": file} | behaviour
        self.repository(full_name).workflows[file] = workflow

    def dispatch(
        self, repository: Repository, file: str, body: Mapping[str, Any], user: Any
    ) -> dict[str, Any]:
        """Start a workflow run."""
        workflow = repository.workflows.get(file)
        if workflow is None:
            raise Refused(404, "Not Found")
        ref, inputs = body.get("ref"), body.get("inputs") or {}
        if not ref or not {f"heads/{ref}", f"tags/{ref}"} & set(repository.refs):
            raise Refused(422, f"No ref found for: {ref}")
        if len(inputs) > 25:
            raise Refused(422, "Invalid request.\n\nNo more than 25 properties are allowed.")
        unknown = [] if workflow["inputs"] is None else sorted(set(inputs) - set(workflow["inputs"]))
        if unknown:
            raise Refused(422, f"Unexpected inputs provided: {unknown}")
        title = workflow["run_name"].format(**inputs) if workflow["run_name"] else file
        with self.lock:
            number = self.next_id(30_433_000)
            repository.runs[number] = {
                "id": number,
                "name": title,
                "display_title": title,
                "event": "workflow_dispatch",
                "status": "queued",
                "conclusion": None,
                "head_branch": ref,
                "workflow_id": workflow["id"],
                "html_url": f"{payloads.SITE}/{repository.full_name}/actions/runs/{number}",
                "url": f"{payloads.API}/repos/{repository.full_name}/actions/runs/{number}",
                "created_at": stamp(self.now()),
                "actor": user,
                "inputs": dict(inputs),
                "looks": 0,
                "file": file,
            }
            return repository.runs[number]

    def look_at_run(self, repository: Repository, number: int) -> dict[str, Any]:
        """Read a workflow run; each look brings it nearer to its end."""
        run = self._run(repository, number)
        workflow = repository.workflows[run["file"]]
        with self.lock:
            run["looks"] += 1
            if run["status"] != "completed" and workflow["conclusion"] and run["looks"] > workflow["polls"]:
                run.update(status="completed", conclusion=workflow["conclusion"])
            elif run["status"] == "queued":
                run["status"] = "in_progress"
            return run

    def end_run(self, repository: Repository, number: int, conclusion: str) -> None:
        """End a workflow run, as its workflow or a cancel would."""
        run = self._run(repository, number)
        if run["status"] == "completed":
            raise Refused(409, "Cannot cancel a workflow run that is completed.")
        run.update(status="completed", conclusion=conclusion)

    def _run(self, repository: Repository, number: int) -> dict[str, Any]:
        if number not in repository.runs:
            raise Refused(404, "Not Found")
        return repository.runs[number]


def _naming(repository: Repository) -> dict[str, Any]:
    return {"repository": repository.full_name, "repository_id": repository.id, "private": repository.private}
