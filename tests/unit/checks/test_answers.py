"""What a check answers if nothing applies, or if an answer is inconclusive: never that all is fine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.actions.registry import builtin
from closeout.checks.check import Result
from closeout.checks.coverage import SLACK
from closeout.checks.machine import START_FIRST
from closeout.checks.registry import CHECKS
from closeout.checks.world import World
from closeout.config.load import Loaded, load_text
from closeout.core.errors import (
    ConfigError,
    LedgerError,
    NotifierUnknown,
    ServiceError,
    StoreUnavailable,
)
from closeout.core.runs import FIRST_RUNS
from closeout.ports.patrol import Page
from tests.unit.checks.scene import ACCOUNT

ASK = {check.id: check.ask for check in CHECKS}
PLAIN = """\
version: 1
secrets: { webhook: env:HOOK, github: env:TOKEN }
aws: { account: '123456789012', region: eu-central-1 }
notify: { to: [env:CHANNEL] }
automations:
  clean:
    on: { pull_request: { types: [closed] } }
    repositories: [REPOSITORY]
    steps: [{ uses: STEP }]
"""
HERE = "acme/shop"
SHELL = "shell, with: { run: 'true' }"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/deletes"
STACK = (
    "aws/cloudformation-delete-stack,"
    f" with: {{ stack-name: 'preview-${{{{ event.pull_request.number }}}}', role-arn: '{ROLE}' }}"
)


def loaded(repository: str = HERE, step: str = SHELL, **lines: str) -> Loaded:
    """Return the plain configuration with something else in some places."""
    text = PLAIN.replace("REPOSITORY", repository).replace("STEP", step)
    for old, new in lines.items():
        text = "\n".join(new if line.startswith(old) else line for line in text.splitlines()) + "\n"
    return load_text(text, builtin())


def error(reason: str = "no", *, transient: bool = False, status: int | None = None) -> ServiceError:
    """Return an error of GitHub or AWS."""
    return ServiceError(
        reason, service="x", operation="y", reason=reason, transient=transient, http_status=status
    )


def raises(problem: BaseException) -> Callable[..., Any]:
    """Return what raises."""

    def ask(*_args: Any, **_named: Any) -> Any:
        raise problem

    return ask


def returns(value: object) -> Callable[..., Any]:
    """Return what returns."""
    return lambda *_args, **_named: value


def answers(check: str, **parts: Any) -> tuple[str, str]:
    """Run one check in a world that has only these parts; return its state and message."""
    found = ASK[check](cast("World", SimpleNamespace(**{"loaded": loaded(), "has_token": True, **parts})))
    return found.state, found.what


ANYBODYS = loaded("'*/shop'", f"shell, destructive: false{SHELL[5:]}")
NO_LEDGER = SimpleNamespace(exists=returns(False))
LEDGER = SimpleNamespace(
    exists=returns(True), last_patrols=returns({}), empty_runs=returns({}), base=returns(None)
)
FOLDER = Path(__file__).parent
OUTSIDE = SimpleNamespace(setting=lambda text, _key: text)


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ("ledger", "there is no ledger"),
        ("server", "there is no ledger yet, so no server"),
        ("server-ready", "no server has run yet"),
        ("public-url", "no server has run yet"),
        ("paused", "there is no ledger yet"),
        ("messages", "no server has run yet"),
        ("patrol-lists", "no server has run yet"),
        ("patrol-errors", "no server has run yet"),
        ("empty-runs", "no run has ended yet"),
    ],
)
def test_before_the_first_start_nothing_is_known(check: str, why: str) -> None:
    """Nor is anything wrong yet."""
    host = SimpleNamespace(path=FOLDER / "closeout.db", held=returns(False))
    world = {"ledger": NO_LEDGER, "host": host, "base": returns("https://ci.example"), "outside": OUTSIDE}
    state, what = answers(check, **world)
    assert state == "skipped"
    assert what.startswith(why)


@pytest.mark.parametrize(
    ("ledger", "status", "expected"),
    [
        (NO_LEDGER, 502, Result("wrong", "https://ci.example/healthz answers 502", START_FIRST)),
        (NO_LEDGER, 200, Result("fine", "closeout answers at https://ci.example")),
        (LEDGER, 502, Result("wrong", "https://ci.example/healthz answers 502")),
    ],
)
def test_a_configured_public_url_is_checked_before_the_first_start(
    ledger: SimpleNamespace, status: int, expected: Result
) -> None:
    """The fix is to start the server: most likely nothing runs yet."""
    web = SimpleNamespace(request=returns(SimpleNamespace(status=status, body=b"[]")))
    outside = SimpleNamespace(http=web, setting=OUTSIDE.setting)
    known = loaded(notify="public-url: https://ci.example\nnotify: { to: [env:CHANNEL] }")
    world = SimpleNamespace(loaded=known, outside=outside, ledger=ledger, base=returns("https://ci.example"))
    assert ASK["public-url"](cast("World", world)) == expected


@pytest.mark.parametrize(
    ("problem", "state"), [(error("gone", transient=True), "wrong"), (StoreUnavailable("busy"), "unknown")]
)
def test_an_unreachable_server_is_wrong_and_other_errors_are_unknown(problem: Exception, state: str) -> None:
    """A fault of this machine's network says nothing about GitHub's."""
    outside = SimpleNamespace(http=SimpleNamespace(request=raises(problem)))
    world = {"ledger": LEDGER, "base": returns("https://ci.example"), "outside": outside}
    assert answers("server-ready", **world)[0] == state


TOPIC = "arn:aws:sns:eu-central-1:123456789012:previews"


@pytest.mark.parametrize(
    ("problem", "state", "said"),
    [
        (error("AuthorizationError"), "skipped", f"closeout may not ask SNS whether {TOPIC} exists"),
        (error("EndpointConnectionError", transient=True), "unknown", "EndpointConnectionError"),
        (error("InvalidClientTokenId"), "wrong", "InvalidClientTokenId"),
        (NotifierUnknown("there is no such topic"), "wrong", f"{TOPIC}: there is no such topic"),
    ],
)
def test_a_topic_that_sns_does_not_answer_about_is_unknown(problem: Exception, state: str, said: str) -> None:
    """Permission to publish does not include permission to ask whether it exists."""
    outside = SimpleNamespace(check_notifier=raises(problem))
    found = answers("notifiers", loaded=loaded(notify=f"notify: {{ to: ['{TOPIC}'] }}"), outside=outside)
    assert found[0] == state
    assert said in found[1]


def test_a_topic_that_cannot_be_checked_is_named_despite_a_good_one() -> None:
    """The result is neither wrong nor fine."""

    def check(target: str) -> None:
        if target == TOPIC:
            raise error("AuthorizationError")

    known = loaded(notify=f"notify: {{ to: [env:CHANNEL, '{TOPIC}'] }}")
    state, what = answers("notifiers", loaded=known, outside=SimpleNamespace(check_notifier=check))
    assert (state, what.partition(" can be read")[0]) == ("fine", "env:CHANNEL")
    assert "may not ask SNS" in what


def test_a_disk_that_cannot_be_read_is_unknown() -> None:
    """Neither full nor on another machine."""
    host = SimpleNamespace(path=FOLDER / "x.db", free=raises(OSError(5, "broken")), file_system=returns(None))
    assert answers("disk", host=host) == (
        "unknown",
        f"it is not known how much space {FOLDER.resolve()} has (broken)",
    )
    assert answers("ledger-place", host=host)[0] == "skipped"


def test_a_ledger_in_a_missing_folder_is_wrong() -> None:
    """SQLite would not create the folder."""
    found = ASK["ledger"](cast("World", SimpleNamespace(host=SimpleNamespace(path=FOLDER / "no" / "x.db"))))
    assert (found.state, found.fix) == ("wrong", f"run `mkdir {FOLDER / 'no'}`, or change --db")


def test_a_ledger_that_cannot_be_read_is_wrong() -> None:
    """With its own message, which says what to do; a readable ledger has its version checked."""
    host = SimpleNamespace(path=FOLDER / "closeout.db")
    broken = SimpleNamespace(exists=returns(True), base=raises(LedgerError("it is newer")))
    assert answers("ledger", host=host, ledger=broken) == ("wrong", "it is newer")
    assert answers("ledger", host=host, ledger=LEDGER) == (
        "fine",
        "closeout.db can be read by this version",
    )


def test_a_free_disk_ends_at_200_mb() -> None:
    """A byte less is too little."""
    for free, state in ((200_000_000, "fine"), (199_999_999, "wrong")):
        assert answers("disk", host=SimpleNamespace(path=FOLDER / "x.db", free=returns(free)))[0] == state


@pytest.mark.parametrize(("offset", "state"), [(60.0, "fine"), (60.1, "wrong"), (-60.1, "wrong")])
def test_a_clock_may_be_off_by_a_minute(offset: float, state: str) -> None:
    """In both directions."""
    found = answers("clock", limits=returns(None), github_offset=offset)
    assert found[0] == state
    if state == "wrong":
        assert (" behind " if offset > 0 else " ahead of ") in found[1]


def test_without_an_answer_the_time_is_unknown() -> None:
    """Also with AWS in the file, if its answer had no date."""
    world = {"limits": raises(error()), "github_offset": None, "identity": returns({})}
    assert answers("clock", **world)[0] == "unknown"
    assert answers("clock", **{**world, "loaded": loaded(step=STACK)})[0] == "unknown"


@pytest.mark.parametrize(("status", "state"), [(404, "fine"), (500, "unknown"), (None, "fine")])
def test_a_github_without_limits_is_asked_for_a_repository_to_get_the_time(
    status: int | None, state: str
) -> None:
    """Every answer has the time; after another error nothing more is asked."""
    world = SimpleNamespace(loaded=loaded(), has_token=True, github_offset=None)
    asked: list[str] = []

    def answer(name: str = "the limit") -> None:
        asked.append(name)
        if name == "the limit" and status is not None:
            raise error(status=status)
        world.github_offset = 1.0

    world.limits = world.repository = answer
    assert ASK["clock"](cast("World", world)).state == state
    assert asked == ["the limit", HERE][: 2 if status == 404 else 1]


# --- GitHub ---------------------------------------------------------------------------------------------


def page(**more: Any) -> Page:
    """Return an answer of GitHub's."""
    return Page({}, False, None, 0)._replace(**more)


@pytest.mark.parametrize(
    ("remaining", "limit", "state"),
    [(None, 5000, "skipped"), (5000, None, "skipped"), (500, 5000, "fine"), (499, 5000, "wrong")],
)
def test_a_token_should_have_a_tenth_of_its_calls_left(
    remaining: int | None, limit: int | None, state: str
) -> None:
    """A GitHub without a limit returns no number."""
    assert answers("github-limit", limits=returns(page(remaining=remaining, limit=limit)))[0] == state


@pytest.mark.parametrize(
    ("scopes", "state", "says"),
    [
        (None, "skipped", "classic tokens only"),
        ((), "fine", ": none"),
        (("repo", "read:org"), "fine", ": repo, read:org"),
        (("repo", "delete_repo"), "wrong", ": delete_repo"),
    ],
)
def test_unnecessary_scopes_are_a_finding(scopes: tuple[str, ...] | None, state: str, says: str) -> None:
    """Only classic tokens have scopes."""
    found = answers("github-excess", limits=returns(page(scopes=scopes)))
    assert found[0] == state
    assert found[1].endswith(says)


def test_scopes_that_cannot_be_read_are_no_finding() -> None:
    """The check of the token reports the error."""
    assert answers("github-excess", limits=raises(error()))[0] == "skipped"


def test_a_file_of_patterns_names_no_repository_to_check() -> None:
    """Only the token knows which ones exist."""
    world = {"loaded": loaded("'acme/*'")}
    assert answers("github-repositories", **world)[0] == "skipped"
    assert answers("github-statuses", **world)[0] == "skipped"


@pytest.mark.parametrize(
    ("status", "transient", "state"),
    [
        (422, False, "fine"),
        (403, False, "wrong"),
        (403, True, "unknown"),
        (500, True, "unknown"),
        (None, False, "unknown"),
    ],
)
def test_a_deliberately_invalid_commit_status_reveals_the_permission(
    status: int | None, transient: bool, state: str
) -> None:
    """GitHub rejects it as invalid if a valid one were allowed. If GitHub accepts it, the permission is unknown."""
    ask = raises(error(status=status, transient=transient)) if status else returns({})
    github = SimpleNamespace(request=ask)
    world = {"outside": SimpleNamespace(github=github), "repository": returns({"full_name": HERE})}
    assert answers("github-statuses", **world)[0] == state


@pytest.mark.parametrize(
    ("status", "api", "token"),
    [
        (None, "fine", "fine"),
        (401, "fine", "wrong"),
        (404, "fine", "fine"),  # GitHub Enterprise Server may have no limits
        (403, "wrong", "fine"),
    ],
)
def test_a_refused_token_differs_from_a_missing_limit(status: int | None, api: str, token: str) -> None:
    """Both are answers of GitHub; only the first is wrong."""
    limits = raises(error(status=status)) if status else returns(page())
    assert (answers("github-api", limits=limits)[0], answers("github-token", limits=limits)[0]) == (
        api,
        token,
    )


@pytest.mark.parametrize(
    ("problem", "state"), [(error(status=403), "wrong"), (error(status=500, transient=True), "unknown")]
)
def test_a_repository_that_cannot_be_read_is_wrong_or_transient(problem: ServiceError, state: str) -> None:
    """A missing permission is wrong, an outage is unknown."""
    assert answers("github-repositories", repository=raises(problem))[0] == state


def test_a_renamed_repository_is_wrong_but_its_case_does_not_count() -> None:
    """GitHub redirects from the old name; closings have the new one."""
    known = returns({"full_name": "ACME/Shop"})
    assert answers("github-repositories", repository=known) == ("fine", "the token can read 1 repository")
    assert answers("github-repositories", repository=returns({"full_name": "acme/store"})) == (
        "wrong",
        "acme/shop is acme/store now",
    )


@pytest.mark.parametrize(
    ("check", "path", "what"),
    [
        ("github-pull-requests", "pulls", "read pull requests"),
        ("github-issues", None, "nothing needs `issues`"),
        ("github-statuses", "statuses", "post commit statuses"),
    ],
)
def test_a_permission_is_checked_only_where_it_is_needed(check: str, path: str | None, what: str) -> None:
    """A file that needs no issues permission tests none."""
    asked: list[str] = []

    def read(where: str, _query: object) -> None:
        asked.append(where)

    def post(_method: str, where: str, body: object) -> None:
        asked.append(where.rpartition("/")[0])
        raise error(status=422)

    world = {"read": read, "outside": SimpleNamespace(github=SimpleNamespace(request=post))}
    found = answers(check, repository=returns({"full_name": HERE}), **world)
    assert found == (("fine", f"the token can {what} in 1 repository") if path else ("skipped", what))
    assert asked == ([f"/repos/{HERE}/{path}"] if path else [])


def test_without_a_readable_repository_no_permission_is_checked() -> None:
    """`github-repositories` says why."""
    hidden = raises(error(status=404))
    for check in ("github-statuses", "github-pull-requests", "github-hooks"):
        assert answers(check, repository=hidden) == (
            "unknown",
            "no repository that is named in full can be read",
        )


@pytest.mark.parametrize("body", [None, [], {}, {"full_name": 5}])
def test_a_malformed_repository_is_transient(body: Any) -> None:
    """A proxy's page, for instance."""

    class Reads:
        def read(self, _path: str, _query: object, _etag: object = None) -> Page:
            return Page(body, False, None, 0)

    world = World(
        loaded,
        lambda _loaded: cast("Any", SimpleNamespace(github=Reads())),
        cast("Any", LEDGER),
        file=FOLDER,
        now=lambda: 0.0,
        pause=lambda _seconds: None,
    )
    with pytest.raises(ServiceError, match="GET /repos/acme/shop: the answer is not a repository") as caught:
        world.repository(HERE)
    assert caught.value.transient


# --- the file and its secrets ----------------------------------------------------------------------------


def test_only_references_are_checked_for_a_variable() -> None:
    """A literal address has no variable that could be missing."""
    written = loaded(notify="public-url: https://ci.example\nnotify: { to: [env:CHANNEL] }")
    named = loaded(notify="public-url: env:URL\nnotify: { to: [env:CHANNEL] }")
    outside = SimpleNamespace(setting=raises(ConfigError("URL is not set")))
    assert answers("configuration-variables", loaded=written, outside=outside)[0] == "skipped"
    assert answers("configuration-variables", loaded=named, outside=outside) == ("wrong", "URL is not set")
    assert answers("configuration-variables", loaded=named, outside=OUTSIDE) == (
        "fine",
        "public-url can be read",
    )


def test_a_file_without_the_token_that_it_needs_is_wrong() -> None:
    """A live check and a status both call GitHub."""
    known = loaded(secrets="secrets: { webhook: env:HOOK }")
    assert answers("secret-github", loaded=known) == ("wrong", "the file has no `secrets.github`")


def test_a_secret_with_an_unexpected_error_is_unknown_and_the_error_hidden() -> None:
    """Its text may contain the value."""
    outside = SimpleNamespace(secrets=SimpleNamespace(read=raises(ValueError("the value"))))
    assert answers("secret-github", outside=outside) == (
        "unknown",
        "env:TOKEN cannot be read: ValueError",
    )


# --- patrol ---------------------------------------------------------------------------------------------


def patrolled(ended: Mapping[str, float], check: str = "patrol-logs", **every: float | None) -> str:
    """Return the state of the check of patrol's age at 100,000 s."""
    ledger = SimpleNamespace(
        exists=returns(True),
        last_patrols=returns({name: {"ended_at": moment} for name, moment in ended.items()}),
    )
    patrol = SimpleNamespace(**{"state": 3600.0, "deliveries": 300.0, **every})
    return answers(check, ledger=ledger, patrol=patrol, now=lambda: 100_000.0)[0]


def test_a_round_that_never_ended_is_unknown() -> None:
    """The server may have started a second ago."""
    assert patrolled({}) == "unknown"


def test_a_round_may_be_late_by_twice_its_interval_and_ten_minutes() -> None:
    """A second more is too late."""
    limit = 100_000.0 - 2 * 3_600.0 - SLACK
    assert patrolled({"lists": limit}, "patrol-lists") == "fine"
    assert patrolled({"lists": limit - 1.0}, "patrol-lists") == "wrong"


@pytest.mark.parametrize("world", [{"has_token": False}, {"loaded": ANYBODYS}])
@pytest.mark.parametrize("check", ["patrol-lists", "patrol-logs", "patrol-errors"])
def test_patrol_without_anything_to_check_is_not_late(check: str, world: dict[str, Any]) -> None:
    """It needs a token, and patterns name no repository."""
    found = answers(check, ledger=LEDGER, **world)
    assert found == ("skipped", "patrol has no repository to look at")


@pytest.mark.parametrize(("runs", "state"), [(FIRST_RUNS, "wrong"), (FIRST_RUNS - 1, "fine")])
def test_an_automation_whose_first_runs_found_nothing_is_reported(runs: int, state: str) -> None:
    """With fewer finished runs it may still find something."""
    ledger = SimpleNamespace(exists=returns(True), empty_runs=returns({"clean": runs}))
    found = answers("empty-runs", ledger=ledger)
    assert found[0] == state
    assert ("automation clean has found nothing to delete in any of its 5 runs" in found[1]) == (
        state == "wrong"
    )


def test_a_patrol_that_is_switched_off_is_skipped() -> None:
    """As configured."""
    assert patrolled({"logs": 1.0}, deliveries=None) == "skipped"
    assert patrolled({"lists": 1.0}, "patrol-lists", state=None) == "skipped"


def test_a_file_of_patterns_without_an_owner_cannot_be_patrolled() -> None:
    """Nobody can list all of GitHub."""
    state, what = answers("patrol-patterns", loaded=ANYBODYS)
    assert state == "skipped"
    assert "*/shop" in what
    assert answers("patrol-patterns")[0] == "fine"


# --- AWS ------------------------------------------------------------------------------------------------


@contextmanager
def aws(**calls: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """Yield a world with AWS, in which IAM gives these answers."""
    client = SimpleNamespace(aws=returns(SimpleNamespace(**calls)))
    outside = SimpleNamespace(clients=SimpleNamespace(for_step=returns(client)))
    yield {"loaded": loaded(step=STACK), "outside": outside, "iam": returns(SimpleNamespace(**calls))}


TRUST = {"Statement": [{"Principal": {"Service": "cloudformation.amazonaws.com"}}]}


@pytest.mark.parametrize(
    ("answer", "state", "says"),
    [
        (error("AccessDenied"), "skipped", "may not ask IAM"),
        (error("NoSuchEntity"), "wrong", "does not exist"),
        (error("Throttling", transient=True), "unknown", "Throttling"),
        (error("ValidationError"), "wrong", "ValidationError"),
        ({"Arn": f"{ROLE}-2", "AssumeRolePolicyDocument": TRUST}, "wrong", "-2 does"),
        ({"Arn": ROLE, "AssumeRolePolicyDocument": {}}, "wrong", "does not trust"),
        ({"Arn": ROLE, "AssumeRolePolicyDocument": TRUST}, "fine", "trust CloudFormation"),
    ],
)
def test_cloudformations_role_exists_and_trusts_it(answer: Any, state: str, says: str) -> None:
    """Unless IAM cannot be asked: then it is unknown."""
    ask = raises(answer) if isinstance(answer, Exception) else returns({"Role": answer})
    with aws(get_role=ask) as world:
        found = answers("aws-cloudformation-role", **world)
    assert found[0] == state
    assert says in found[1]


@pytest.mark.parametrize(
    ("arn", "simulated"),
    [
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/closeout/session", f"arn:aws:iam::{ACCOUNT}:role/closeout"),
        (f"arn:aws:iam::{ACCOUNT}:user/ada", f"arn:aws:iam::{ACCOUNT}:user/ada"),
        (f"arn:aws:iam::{ACCOUNT}:role/closeout", f"arn:aws:iam::{ACCOUNT}:role/closeout"),
        (f"arn:aws:iam::{ACCOUNT}:root", None),
    ],
)
def test_iam_simulates_the_role_of_a_session(arn: str, simulated: str | None) -> None:
    """A session has no policy of its own, and the account's root cannot be simulated."""
    asked: list[str] = []

    def simulate(**named: Any) -> Any:
        asked.append(named["PolicySourceArn"])
        return {
            "EvaluationResults": [
                {"EvalActionName": name, "EvalDecision": "allowed"} for name in named["ActionNames"]
            ]
        }

    with aws(simulate_principal_policy=simulate) as world:
        state, what = answers("aws-permissions", identity=returns({"Arn": arn}), **world)
    assert set(asked) == ({simulated} if simulated else set())
    assert (state, "roles and users only" in what) == ("fine" if simulated else "skipped", not simulated)


def test_an_account_without_an_answer_is_unknown() -> None:
    """Another check reports the error."""
    with aws() as world:
        assert answers("aws-account", identity=raises(error()), **world)[0] == "unknown"


@pytest.mark.parametrize(
    ("written", "ledger", "base"),
    [
        (
            "public-url: env:URL",
            SimpleNamespace(exists=returns(True), base=returns("http://served")),
            "env:URL!",
        ),
        ("", SimpleNamespace(exists=returns(True), base=returns("http://served")), "http://served"),
        ("", NO_LEDGER, None),
    ],
)
def test_the_public_url_is_the_files_or_the_last_servers(written: str, ledger: Any, base: str | None) -> None:
    """The webhook's address is compared with it."""
    world = World(
        lambda: loaded(notify=written),
        lambda _loaded: cast("Any", SimpleNamespace(setting=lambda text, key: f"{text}!" if key else text)),
        cast("Any", ledger),
        file=Path("x"), now=lambda: 0.0, pause=lambda _seconds: None,
    )  # fmt: skip
    assert world.base() == base
