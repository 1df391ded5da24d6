"""What a file means: every key as a value, every default filled in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.config import keys
from closeout.config.document import MAX_BYTES
from closeout.config.load import Loaded, check, load
from closeout.config.patrol import PatrolSettings
from closeout.config.settings import AwsSettings, Settings
from closeout.core.automation import Automation, Current, Step
from closeout.core.errors import ConfigError
from closeout.core.problems import EVENTS, Route
from tests.unit.config.known_actions import REGISTRY
from tests.unit.config.samples import AUTOMATION, REQUEST, SAMPLES, SHELL, tidy

EVERYTHING = """\
version: 1
secrets:
  webhook: [env:HOOK, 'file:/run/secrets/hook', 'aws-secretsmanager:closeout/hook#secret']
  github: env:TOKEN
public-url: https://closeout.example.org/
github: { api-url: 'https://ghes.example.org/api/v3' }
aws:
  account: '123456789012'
  region: eu-central-1
  assume-role: arn:aws:iam::123456789012:role/closeout
protect: { names: ['prod-*'], tags: { keep: '*' } }
public-logs: true
patrol: { deliveries: off, state: 2h, drill: 12h, limit: 3 }
notify: { on: [failure, recovered], to: ['env:NOTIFY', 'file:/run/secrets/mail'] }
automations:
  preview:
    on:
      pull_request: { types: closed, branches: [develop, 'release/**'], paths-ignore: ['docs/**'] }
      delete:
    repositories: [acme/shop, '!acme/shop-docs']
    senders: '*'
    if: '!event.pull_request.draft'
    status: previews
    concurrency: 'preview-${{ event.pull_request.number }}'
    timeout: 6h
    queue-timeout: 2d
    on-failure: stop
    mode: dry-run
    grace: 1h30m
    max-changes: 5
    max-objects: 7
    unguarded: true
    environment: 'preview-${{ event.pull_request.number }}'
    bases: ever
    recheck: [2h, 5m]
    notify: { to: [env:TEAM, 'arn:aws:sns:eu-central-1:123456789012:previews'] }
    steps:
      - id: stack
        name: Delete the stack
        uses: aws/cloudformation-delete-stack
        if: ${{ event.pull_request.merged }}
        with:
          stack-name: 'p-${{ event.repository.name }}-${{ event.pull_request.head.ref }}'
          empty-buckets: true
          account: '210987654321'
          region: us-east-1
          assume-role: arn:aws:iam::210987654321:role/other
        timeout: 90s
        expect: present
        retry: { attempts: 7, backoff: 10s }
        allow-untrusted: event.pull_request.head.ref
      - uses: shell
        destructive: false
        recheck: true
        pass-env: [AWS_PROFILE]
        with:
          argv: [echo, hello]
          env: { NUMBER: '${{ event.pull_request.number }}', PORT: 8080, DEBUG: true }
      - uses: http/request
        with:
          url: https://example.org
          json: { a: [1, 2.5, null, true, '${{ event.action }}'] }
          tries: '${{ event.pull_request.number }}'
          wait: 1m
          secret-headers: { Authorization: env:API_KEY }
"""


def read(tmp_path: Path, text: str) -> Loaded:
    """Load a file with this text."""
    path = tmp_path / "closeout.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, REGISTRY)


def test_every_key_has_its_value(tmp_path: Path) -> None:
    """A file that uses every key is read into exactly its values."""
    loaded = read(tmp_path, EVERYTHING)
    assert loaded.settings == Settings(
        secrets_webhook=("env:HOOK", "file:/run/secrets/hook", "aws-secretsmanager:closeout/hook#secret"),
        secrets_github="env:TOKEN",
        public_url="https://closeout.example.org",
        api_url="https://ghes.example.org/api/v3",
        aws=AwsSettings(
            account="123456789012",
            region="eu-central-1",
            assume_role="arn:aws:iam::123456789012:role/closeout",
        ),
        protect_names=("prod-*",),
        protect_tags={"keep": "*"},
        public_logs=True,
        patrol=PatrolSettings(deliveries=None, state=7_200.0, drill=43_200.0, limit=3),
        notify=Route(frozenset({"failure", "recovered"}), ("env:NOTIFY", "file:/run/secrets/mail")),
    )
    assert loaded.routes.of("preview") == Route(
        frozenset(EVENTS), ("env:TEAM", "arn:aws:sns:eu-central-1:123456789012:previews")
    )
    assert loaded.routes.of("another") == loaded.settings.notify
    (automation,) = loaded.automations
    assert automation == Automation(
        name="preview",
        triggers=(
            {
                "event": "pull_request",
                "types": ["closed"],
                "branches": ["develop", "release/**"],
                "paths-ignore": ["docs/**"],
            },
            {"event": "delete"},
        ),
        steps=automation.steps,
        condition="!event.pull_request.draft",
        repositories=("acme/shop", "!acme/shop-docs"),
        senders=("*",),
        status_context="previews",
        concurrency="preview-${{ event.pull_request.number }}",
        timeout=21_600.0,
        queue_timeout=172_800.0,
        on_failure="stop",
        mode="dry-run",
        grace=5_400.0,
        max_changes=5,
        max_objects=7,
        unguarded=True,
        protect_names=("prod-*",),
        protect_tags={"keep": "*"},
        secret_variables=("API_KEY", "HOOK", "NOTIFY", "TEAM", "TOKEN"),
        public_logs=True,
        environment="preview-${{ event.pull_request.number }}",
        bases="ever",
        recheck=(300.0, 7_200.0),
    )


@pytest.mark.parametrize(
    ("key", "times"),
    [
        ("", (900.0, 3_600.0, 86_400.0)),
        ("recheck: off", ()),
        ("recheck: 'off'", ()),
        ("recheck: 1m", (60.0,)),
    ],
)
def test_rechecks_are_on_unless_the_file_says_off(tmp_path: Path, key: str, times: tuple[float, ...]) -> None:
    """One time or a list of them; `off` may be quoted."""
    text = AUTOMATION.replace("    steps:", f"    {key}\n    steps:" if key else "    steps:")
    assert read(tmp_path, text).automations[0].recheck == times


def test_every_key_of_a_step_has_its_value(tmp_path: Path) -> None:
    """Steps carry their own keys, their inputs with defaults, and the account that they act in."""
    stack, shell, request = read(tmp_path, EVERYTHING).automations[0].steps
    assert stack == Step(
        id="stack",
        name="Delete the stack",
        uses="aws/cloudformation-delete-stack",
        inputs={
            "stack-name": "p-${{ event.repository.name }}-${{ event.pull_request.head.ref }}",
            "empty-buckets": True,
        },
        condition="event.pull_request.merged",
        timeout=90.0,
        retry_attempts=7,
        retry_backoff=10.0,
        destructive=True,
        allow_untrusted=("event.pull_request.head.ref",),
        account="210987654321",
        region="us-east-1",
        assume_role="arn:aws:iam::210987654321:role/other",
        expect="present",
    )
    assert (shell.rechecked, stack.rechecked) == (True, False)
    assert (shell.id, shell.destructive, shell.pass_env, shell.account) == (
        "shell-2",
        False,
        ("AWS_PROFILE",),
        None,
    )
    assert shell.inputs == {
        "argv": ["echo", "hello"],
        "env": {"NUMBER": "${{ event.pull_request.number }}", "PORT": "8080", "DEBUG": "true"},
    }
    assert (request.id, request.destructive) == ("request-3", True)
    assert request.inputs == {
        "url": "https://example.org",
        "method": "POST",
        "json": {"a": [1, 2.5, None, True, "${{ event.action }}"]},
        "tries": "${{ event.pull_request.number }}",
        "wait": 60.0,
        "secret-headers": {"Authorization": "env:API_KEY"},
    }


def test_an_omitted_key_has_its_default(tmp_path: Path) -> None:
    """A short file yields complete values: timeout, retry and title are the action's own."""
    (automation,) = read(tmp_path, AUTOMATION).automations
    assert (automation.status_context, automation.timeout, automation.max_changes) == (
        "closeout/preview",
        10_800.0,
        50,
    )
    (step,) = automation.steps
    assert (step.id, step.name) == ("delete-stack-1", "Summary of aws/cloudformation-delete-stack")
    assert (step.timeout, step.retry_attempts, step.retry_backoff) == (7_200.0, 5, 2.0)
    assert step.inputs["empty-buckets"] is False
    assert (step.account, step.region, step.assume_role) == ("123456789012", "eu-central-1", None)


def test_the_current_file_applies_to_runs_accepted_under_an_earlier_one(tmp_path: Path) -> None:
    """Its automation, if it still exists, and its protection even if the automation is gone."""
    loaded = read(tmp_path, "protect: { names: [prod], tags: { keep: '*' } }\n" + SHELL)
    assert loaded.current("tidy") == Current(loaded.automations[0], ("prod",), {"keep": "*"})
    assert loaded.current("gone") == Current(None, ("prod",), {"keep": "*"})


@pytest.mark.parametrize(
    ("deliveries", "state", "minutes"),
    [(300.0, 3_600.0, 5), (None, 3_600.0, 60), (61.0, None, 2), (None, None, None)],
)
def test_patrols_schedule_is_its_shorter_interval(
    deliveries: float | None, state: float | None, minutes: int | None
) -> None:
    """Rounded up to whole minutes; without an interval there is no schedule."""
    assert PatrolSettings(deliveries=deliveries, state=state).minutes == minutes


def test_a_loaded_automation_survives_being_stored(tmp_path: Path) -> None:
    """`load` returns canonical JSON, which is equal after storing."""
    for text in (EVERYTHING, AUTOMATION, SHELL):
        (automation,) = read(tmp_path, text).automations
        assert Automation.from_canonical(automation.canonical()) == automation


@pytest.mark.parametrize(
    ("on", "triggers"),
    [
        ("push", ({"event": "push"},)),
        ("[push, create]", ({"event": "push"}, {"event": "create"})),
        ("{ push: , create: {} }", ({"event": "push"}, {"event": "create"})),
        ("{ push: { branches: main } }", ({"event": "push", "branches": ["main"]},)),
        (
            "{ some_new_event: { types: [some_new_action] } }",
            ({"event": "some_new_event", "types": ["some_new_action"]},),
        ),
    ],
)
def test_on_has_the_forms_of_github_actions(tmp_path: Path, on: str, triggers: object) -> None:
    """One event, a list, or a map with filters; unknown events are accepted."""
    assert read(tmp_path, tidy("on: push", f"on: {on}")).automations[0].triggers == triggers


@pytest.mark.parametrize("written", ["true", "false"])
def test_a_condition_may_be_a_boolean(tmp_path: Path, written: str) -> None:
    """Of an automation and of a step, as in GitHub Actions."""
    text = tidy("    on: push", f"    on: push\n    if: {written}")
    text = text.replace("        destructive", f"        if: {written}\n        destructive")
    (automation,) = read(tmp_path, text).automations
    assert (automation.condition, automation.steps[0].condition) == (written, written)


def test_status_false_means_no_status(tmp_path: Path) -> None:
    """`status: false` posts nothing."""
    assert (
        read(tmp_path, tidy("on: push", "on: push\n    status: false")).automations[0].status_context is None
    )


STEP_KEYS = "        destructive: false"
LIMITS = [
    ("    on: push", "    on: push\n    timeout: {}", "0s", "1s", "365d", "8761h"),
    ("    on: push", "    on: push\n    queue-timeout: {}", "0s", "1s", "365d", "8761h"),
    ("    on: push", "    on: push\n    grace: {}", "0s", "1s", "30d", "721h"),
    ("    on: push", "    on: push\n    recheck: {}", "59s", "60s", "30d", "721h"),
    ("    on: push", "    on: push\n    max-changes: {}", "0", "1", "10000", "10001"),
    ("    on: push", "    on: push\n    max-objects: {}", "0", "1", "100000000", "100000001"),
    ("automations:", "patrol: {{ limit: {} }}\nautomations:", "0", "1", "1000", "1001"),
    ("automations:", "patrol: {{ state: {} }}\nautomations:", "59s", "60s", "24h", "1441m"),
    (STEP_KEYS, STEP_KEYS + "\n        timeout: {}", "0s", "1s", "30d", "721h"),
    (STEP_KEYS, STEP_KEYS + "\n        retry: {{ attempts: {} }}", "0", "1", "20", "21"),
    (STEP_KEYS, STEP_KEYS + "\n        retry: {{ backoff: {} }}", "0s", "1s", "1h", "61m"),
    ("url: 'https", "tries: {}, url: 'https", f"-{2**53 + 1}", f"-{2**53}", f"{2**53}", f"{2**53 + 1}"),
    ("url: 'https", "wait: {}, url: 'https", "", "0s", "30d", "721h"),
]


@pytest.mark.parametrize(
    ("place", "key", "below", "lowest", "highest", "above"),
    LIMITS,
    ids=[key.strip() for _, key, *_ in LIMITS],
)
def test_a_limit_is_the_last_accepted_value(
    tmp_path: Path, place: str, key: str, below: str, lowest: str, highest: str, above: str
) -> None:
    """The next one is a finding."""

    def codes(value: str) -> list[str]:
        path = tmp_path / "closeout.yaml"
        path.write_text(REQUEST.replace(place, key.format(value)), encoding="utf-8")
        return [finding.code for finding in check(path, REGISTRY)]

    assert [codes(lowest), codes(highest)] == [[], []]
    assert [codes(value) for value in (below, above) if value] == [["out-of-range"]] * (2 if below else 1)


def test_protect_may_be_a_list_of_names(tmp_path: Path) -> None:
    """The short form of `protect` is a list of name patterns."""
    loaded = read(tmp_path, "protect: [prod, 'db-*']\n" + SHELL)
    assert (loaded.settings.protect_names, loaded.settings.protect_tags) == (("prod", "db-*"), {})


def test_addresses_may_come_from_the_environment(tmp_path: Path) -> None:
    """`public-url` and `api-url` accept `env:NAME`, which is read at start and not at load."""
    loaded = read(tmp_path, "public-url: env:URL\ngithub: { api-url: env:API }\n" + SHELL)
    assert (loaded.settings.public_url, loaded.settings.api_url) == ("env:URL", "env:API")
    assert loaded.automations[0].secret_variables == ()


def test_several_destructive_repositories_must_be_part_of_the_name(tmp_path: Path) -> None:
    """The repository may be in any of the naming inputs: bucket and prefix are one name together."""
    text = AUTOMATION.replace("acme/shop", "'acme/*'").replace(
        "cloudformation-delete-stack", "s3-delete-objects"
    )
    text = text.replace(
        "stack-name: 'preview-${{ event.pull_request.number }}'",
        "bucket: previews, prefix: '${{ event.repository.name }}/${{ event.pull_request.number }}/'",
    )
    assert len(read(tmp_path, text).automations) == 1


def test_an_optional_role_does_not_separate_repositories(tmp_path: Path) -> None:
    """With a role per repository, the stack's name could still be another repository's."""
    text = AUTOMATION.replace("acme/shop", "'acme/*'")
    text = text.replace("{ stack-name", "{ role-arn: 'arn:${{ event.repository.name }}', stack-name")
    with pytest.raises(ConfigError, match="acme/shop#7 and acme/web#7 both produce preview-7"):
        read(tmp_path, text)


def test_the_samples_table_of_keys_is_complete() -> None:
    """The test file above uses every key of the table at least once."""
    used = EVERYTHING + "\nmodules:\nbranches-ignore:\ntags:\ntags-ignore:\npaths:\n"
    assert [key.name for key in keys.KEYS if f"{key.name}:" not in used] == []


_FRAGMENTS = st.sampled_from(
    [
        line + "\n"
        for sample in SAMPLES
        for line in sample.text.replace("§", "").splitlines()
        if len(line) < 200
    ]
    + [line + "\n" for line in EVERYTHING.splitlines()]
    + [
        "  - *a\n",
        "a: &a [*a]\n",
        "? [a]\n: b\n",
        "%YAML 1.1\n---\n",
        "!!python/object:os.system\n",
        "\tx: 1\n",
        "<<: *a\n",
    ]
)


def _only_findings(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    findings = check(path, REGISTRY)
    for finding in findings:
        assert "\n" not in finding.text()
        json.dumps(finding.to_json()).encode()
        finding.pretty().encode()
    try:
        loaded = load(path, REGISTRY)
    except ConfigError as error:
        assert error.findings == tuple(findings)  # noqa: PT017
        assert any(finding.severity == "error" for finding in findings)
    else:
        for automation in loaded.automations:
            assert Automation.from_canonical(automation.canonical()) == automation


_FUZZ = settings(max_examples=75)


@_FUZZ
@given(data=st.binary(max_size=200))
def test_any_bytes_yield_findings_and_no_other_exception(tmp_path: Path, data: bytes) -> None:
    """For whatever a file contains, `check` returns findings and `load` raises `ConfigError` or nothing."""
    _only_findings(tmp_path / "closeout.yaml", data)


@_FUZZ
@given(data=st.lists(_FRAGMENTS, max_size=25).map("".join) | st.text(max_size=100))
def test_any_mixture_of_lines_yields_findings_and_no_other_exception(tmp_path: Path, data: str) -> None:
    """Lines of real files in any order, and any text."""
    _only_findings(tmp_path / "closeout.yaml", data.encode("utf-8", "surrogatepass"))


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(
    ["push", "pull_request", "closed", "${{ event.a }}", "1h", "env:A", "acme/shop", "shell", "aws/s3-delete-objects"]
)  # fmt: skip
_KEYS = st.sampled_from(
    sorted({key.name for key in keys.KEYS} | {"push", "pull_request", "run", "bucket", "x"})
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@_FUZZ
@given(
    tree=st.dictionaries(_KEYS, _TREES, max_size=5), automations=st.dictionaries(_KEYS, _TREES, max_size=3)
)
def test_any_value_at_any_key_yields_findings(
    tmp_path: Path, tree: dict[str, object], automations: object
) -> None:
    """Known keys with values of any type, at any level (JSON is YAML)."""
    data = json.dumps({"version": 1, **tree, "automations": {"a": automations}})
    _only_findings(tmp_path / "closeout.yaml", data.encode())


def test_the_largest_file_is_read_in_bounded_time(tmp_path: Path) -> None:
    """Size, depth and number are limited, so that no file blocks the reader."""
    for text in (
        "[" * MAX_BYTES,
        "- a\n" * (MAX_BYTES // 4),
        "a: &a b\n" * 100 + "x: [" + "*a, " * 30_000 + "]",
    ):
        path = tmp_path / "closeout.yaml"
        path.write_text(text, encoding="utf-8")
        assert check(path, REGISTRY)


def test_a_file_has_a_maximum_size(tmp_path: Path) -> None:
    """One byte more is refused."""
    path = tmp_path / "closeout.yaml"
    for more, codes in ((0, []), (1, ["unreadable-file"])):
        path.write_text(SHELL + "#" * (MAX_BYTES - len(SHELL) + more), "utf-8")
        assert [one.code for one in check(path, REGISTRY)] == codes


def test_patrol_may_be_told_to_start_nothing(tmp_path: Path) -> None:
    """`limit: off` is a limit of none."""
    assert read(tmp_path, f"patrol: {{ limit: off }}\n{SHELL}").settings.patrol.limit == 0


@pytest.mark.parametrize(
    ("written", "read"),
    [("repair", "repair"), ("report", "report"), ("off", "off"), ("'off'", "off"), ("false", "off")],
)
def test_patrol_repairs_as_configured(tmp_path: Path, written: str, read: str) -> None:
    """YAML reads `off` as false."""
    path = tmp_path / "closeout.yaml"
    path.write_text(AUTOMATION.replace("    steps:", f"    patrol: {written}\n    steps:"), "utf-8")
    assert load(path, REGISTRY).automations[0].patrol == read
