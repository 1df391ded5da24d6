"""What users paste from GitHub Actions: each word gets its own hint, a whole workflow one finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from closeout.actions.registry import builtin
from closeout.config.findings import Finding
from closeout.config.load import check, load
from closeout.config.workflow_words import ABSENT

AUTOMATION = """\
version: 1
automations:
  clean-up:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    steps:
      - uses: shell
        with: { run: 'true' }
"""
STEP = "      - uses: shell\n        with: { run: 'true' }\n"
REQUEST = "      - uses: http/request\n        with: { url: 'https://example.com/', body: {} }\n"


def found(folder: Path, text: str) -> list[Finding]:
    """All findings about a file with this text, checked with the real actions."""
    path = folder / "closeout.yaml"
    path.write_text(text, encoding="utf-8")
    return check(path, builtin())


def one(folder: Path, old: str, new: str, text: str = AUTOMATION) -> Finding:
    """The only finding about the file with one place changed."""
    assert text.count(old) == 1, (old, text)
    findings = found(folder, text.replace(old, new))
    assert len(findings) == 1, [finding.pretty() for finding in findings]
    return findings[0]


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("env: { A: b }", "with: { env: { NAME: value } }"),
        ("strategy: { matrix: { a: [1] } }", "a step for each"),
        ("matrix: { a: [1] }", "a step for each"),
        ("needs: [build]", "in the order"),
        ("runs-on: ubuntu-latest", "where closeout runs"),
        ("timeout-minutes: 5", "timeout: 5m"),
        ("timeout-minutes: ${{ vars.MINUTES }}", "timeout: 30m"),
        ("timeout-minutes: [5]", "timeout: 30m"),
        ("permissions: { contents: read }", "closeout permissions"),
        ("jobs: 3", "`steps`"),
        ("continue-on-error: true", "on-failure: continue"),
        ("name: Clean up", "key under `automations`"),
    ],
)
def test_a_key_of_a_job_has_its_own_hint(tmp_path: Path, key: str, says: str) -> None:
    """It names closeout's equivalent for an automation."""
    finding = one(tmp_path, "    steps:", f"    {key}\n    steps:")
    assert (finding.code, finding.line, finding.column) == ("unknown-key", 6, 5)
    assert says in finding.fix
    assert "GitHub Actions" in finding.message


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("      - run: ./clean-up\n", "uses: shell"),
        ("      - run: ./clean-up\n        name: Clean up\n", "uses: shell"),
        (f"{STEP}        timeout-minutes: 30\n", "timeout: 30m"),
        (f"{STEP}        continue-on-error: true\n", "later steps run"),
        (f"{STEP}        shell: bash\n", "argv: [bash, -euc, …]"),
        (f"{STEP}        working-directory: app\n", "cd app"),
        (f"{STEP}        working-directory: ${{{{ env.APP }}}}\n", "cd DIR"),
        (f"{STEP}        working-directory: [app]\n", "cd DIR"),
        (f"{REQUEST}        env: {{ A: b }}\n        destructive: false\n", "only `shell`"),
        (f"{STEP}        needs: build\n", "in the order"),
    ],
)
def test_a_key_of_a_workflows_step_has_its_own_hint(tmp_path: Path, step: str, says: str) -> None:
    """`run` without `uses` is one finding and not two."""
    finding = one(tmp_path, STEP, step)
    assert finding.code == "unknown-key"
    assert says in finding.fix
    assert "GitHub Actions" in finding.message


@pytest.mark.parametrize(
    "uses", ["actions/checkout@v4", "acme/tool@main", "./.github/actions/x", "docker://a"]
)
def test_an_action_of_github_actions_is_not_confused_with_closeouts(tmp_path: Path, uses: str) -> None:
    """It cannot run here, and no unrelated action is suggested."""
    finding = one(tmp_path, "uses: shell", f"uses: {uses}")
    assert finding.code == "unknown-action"
    assert "GitHub Actions" in finding.message
    assert "did you mean" not in finding.fix
    assert "`shell`" in finding.fix


def test_concurrency_as_a_map_is_answered_with_the_group(tmp_path: Path) -> None:
    """Actions have a group and a switch to cancel; closeout has only the group and cancels no run."""
    finding = one(
        tmp_path, "    steps:", "    concurrency: { group: x, cancel-in-progress: true }\n    steps:"
    )
    assert (finding.code, finding.line, finding.column) == ("wrong-type", 6, 18)
    assert "concurrency: preview-${{ event.pull_request.number }}" in finding.fix
    assert "cancels none" in finding.fix


def test_workflows_of_workflow_run_are_answered_with_a_condition(tmp_path: Path) -> None:
    """The filter by a workflow's name becomes an `if`."""
    finding = one(
        tmp_path,
        "{ pull_request: { types: [closed] } }",
        "{ workflow_run: { workflows: [CI], types: [completed] } }",
        AUTOMATION.replace("        with:", "        destructive: false\n        with:"),
    )
    assert (finding.code, finding.line) == ("unknown-key", 4)
    assert "if: event.workflow_run.name == 'CI'" in finding.fix


@pytest.mark.parametrize(
    ("condition", "fix"),
    [
        ("github.event.pull_request.merged", "write event.pull_request.merged"),
        ("github.event.pull_request.merged == true", "write event.pull_request.merged == true"),
        ("github.repository == 'acme/shop'", "write event.repository.full_name == 'acme/shop'"),
        ("github.head_ref == 'main'", "write event.pull_request.head.ref == 'main'"),
        ("github.actor != 'dependabot[bot]'", "write event.sender.login != 'dependabot[bot]'"),
        ("github.event_name == 'push'", "`on`"),
        ("cancelled()", "nothing runs"),
        ("always() && cancelled()", "nothing runs"),
        ("needs.build.result == 'success'", "`event` only"),
        ("matrix.a == 1", "`event` only"),
        ("env.CI == 'true'", "`event` only"),
    ],
)
def test_a_condition_of_actions_is_translated(tmp_path: Path, condition: str, fix: str) -> None:
    """The fix is what to write, not that something is not declared."""
    finding = one(tmp_path, "        with:", f'        if: "{condition}"\n        with:')
    assert finding.code == "bad-expression"
    assert fix in finding.fix


@pytest.mark.parametrize("condition", ["failure()", "steps.build.outcome == 'success'", "run.url != ''"])
def test_an_automations_condition_cannot_ask_about_its_steps(tmp_path: Path, condition: str) -> None:
    """It is decided before any of them runs."""
    finding = one(tmp_path, "    steps:", f'    if: "{condition}"\n    steps:')
    assert (finding.code, "of a step" in finding.fix) == ("bad-expression", True)


def test_github_event_in_a_name_is_one_finding(tmp_path: Path) -> None:
    """Whether outsiders choose the value is asked only for a valid expression."""
    text = AUTOMATION.replace(
        "version: 1\n", "version: 1\naws: { account: '123456789012', region: eu-central-1 }\n"
    )
    step = "      - uses: aws/cloudformation-delete-stack\n        with: { stack-name: 'pr-${{ github.event.number }}' }\n"
    finding = one(tmp_path, STEP, step, text)
    assert finding.code == "bad-expression"
    assert finding.fix.startswith("write event.number:")


def test_a_secret_of_actions_is_answered_with_pass_env(tmp_path: Path) -> None:
    """`secrets.X` does not exist: a script gets secrets through `pass-env`."""
    finding = one(tmp_path, "run: 'true'", "run: 'true', env: { T: '${{ secrets.T }}' }")
    assert finding.code == "bad-expression"
    assert "pass-env" in finding.fix


# --- a whole workflow -------------------------------------------------------------------------------------

WORKFLOW = """\
name: Clean up
on:
  pull_request:
    types: [closed]
env: { STAGE: preview }
jobs:
  clean:
    runs-on: ubuntu-latest
    strategy: { matrix: { region: [a, b] } }
    steps:
      - uses: actions/checkout@v4
      - run: ./clean-up ghp_hunter2hunter2
        if: failure()
"""


@pytest.mark.parametrize(
    "text",
    [
        WORKFLOW,
        WORKFLOW.replace("    runs-on: ubuntu-latest\n", ""),
        WORKFLOW.replace(
            "  pull_request:\n    types: [closed]\n", "  pull_request_target:\n    types: [closed]\n"
        ),
        WORKFLOW.replace("on:\n  pull_request:\n    types: [closed]\n", "on: push\n"),
        WORKFLOW.replace("on:\n  pull_request:\n    types: [closed]\n", "on: [push, release]\n"),
        WORKFLOW.replace(
            "on:\n  pull_request:\n    types: [closed]\n", "on: { schedule: [{ cron: '0 0 * * *' }] }\n"
        ),
        "version: 1\n" + WORKFLOW,
        "version: 1\nautomations:\n  a:\n" + "".join(f"    {line}\n" for line in WORKFLOW.splitlines()),
    ],
)
def test_a_pasted_workflow_is_one_finding_with_a_translation_that_loads(tmp_path: Path, text: str) -> None:
    """It says what is different, where `jobs` is, and shows an automation that closeout accepts."""
    (finding,) = found(tmp_path, text)
    assert finding.code == "github-workflow"
    assert text.splitlines()[finding.line - 1][finding.column - 1 :] == "jobs:"
    assert "runner" in finding.message
    assert "hunter2" not in finding.pretty()
    intro, _, example = finding.fix.partition("\n")
    assert intro == "write an automation:"
    path = tmp_path / "translated.yaml"
    path.write_text(example.replace("OWNER/NAME", "acme/shop"), encoding="utf-8")
    (automation,) = load(path, builtin()).automations
    assert [step.uses for step in automation.steps] == ["shell"]
    event = automation.triggers[0]["event"]
    assert event in text or event == "pull_request"


def test_the_translation_is_indented_below_the_fix(tmp_path: Path) -> None:
    """On a terminal it can be read, and copied, as YAML."""
    (finding,) = found(tmp_path, WORKFLOW)
    assert "\n  fix: write an automation:\n       version: 1\n       automations:\n" in finding.pretty()


# --- references, and actions that are not there -----------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("url: 'https://example.com/'", "url: env:SLACK_URL", "pass-env: [SLACK_URL]"),
        ("url: 'https://example.com/'", "url: 'aws-secretsmanager:slack#url'", "`secret-headers`"),
        ("body: {}", "headers: { Authorization: env:TOKEN }", "`secret-headers`"),
        ("body: {}", "body: { token: env:TOKEN }", "`shell`"),
        ("body: {}", "text: 'file:/run/secrets/token'", "`secret-headers`"),
    ],
)
def test_a_reference_in_a_plain_text_is_an_error(tmp_path: Path, old: str, new: str, says: str) -> None:
    """Otherwise the text `env:SLACK_URL` itself would be sent when the step runs."""
    text = AUTOMATION.replace(STEP, REQUEST + "        destructive: false\n")
    finding = one(tmp_path, old, new, text)
    assert (finding.code, finding.severity) == ("reference-not-allowed", "error")
    assert says in finding.fix


def test_a_reference_used_as_a_name_is_one_finding(tmp_path: Path) -> None:
    """That the name is the same for every event is not reported in addition."""
    finding = one(
        tmp_path, "url: 'https://example.com/'", "url: env:SLACK_URL", AUTOMATION.replace(STEP, REQUEST)
    )
    assert finding.code == "reference-not-allowed"


def test_a_reference_in_a_scripts_variables_says_pass_env(tmp_path: Path) -> None:
    """`env` of `shell` has plain texts; secrets go through `pass-env`."""
    finding = one(tmp_path, "run: 'true'", "run: 'true', env: { TOKEN: env:TOKEN }")
    assert finding.code == "reference-not-allowed"
    assert "pass-env: [TOKEN]" in finding.fix


@pytest.mark.parametrize("text", ["file:///etc/hosts", "environment: x", "env: x", "see env:NAME", "env:"])
def test_other_texts_are_not_references(tmp_path: Path, text: str) -> None:
    """Only a whole reference counts as one, and a `file:` URL does not."""
    assert found(tmp_path, AUTOMATION.replace("run: 'true'", f"run: 'true', env: {{ A: '{text}' }}")) == []


@pytest.mark.parametrize("body", ["{ tags: ['env:prod', 'service:shop'] }", "{ path: 'file:/tmp/x' }"])
def test_a_tag_in_a_body_is_not_a_reference(tmp_path: Path, body: str) -> None:
    """Some services write `env:prod` for a tag, and the body belongs to the service."""
    step = REQUEST.replace("body: {}", f"body: {body}") + "        destructive: false\n"
    assert found(tmp_path, AUTOMATION.replace(STEP, step)) == []


@pytest.mark.parametrize("uses", ABSENT)
def test_an_action_that_does_not_exist_yet_says_so(tmp_path: Path, uses: str) -> None:
    """It suggests an existing action, and none of the listed ones has been built meanwhile."""
    assert uses not in builtin()
    finding = one(tmp_path, "uses: shell", f"uses: {uses}")
    assert finding.code == "unknown-action"
    assert finding.message.endswith(f"closeout has no `{uses}` yet")
    assert "did you mean" not in finding.fix
    assert "uses: shell" in finding.fix or "uses: http/request" in finding.fix


@pytest.mark.parametrize(
    ("uses", "meant"),
    [
        ("aws/cloudformation-delete", "aws/cloudformation-delete-stack"),
        ("aws/s3-delete-object", "aws/s3-delete-objects"),
        ("cloudformation-delete-stack", "aws/cloudformation-delete-stack"),
        ("aws/efs-delete-objects", None),
        ("aws/iot-delete-stack", None),
        ("azure/delete-stack", None),
    ],
)
def test_an_unrelated_action_is_not_suggested(tmp_path: Path, uses: str, meant: str | None) -> None:
    """An action of another service is not a misspelling."""
    finding = one(tmp_path, "uses: shell", f"uses: {uses}")
    assert finding.fix == f"did you mean `{meant}`?" if meant else "did you mean" not in finding.fix


# --- advice that was wrong --------------------------------------------------------------------------------


def test_a_script_on_a_release_is_asked_whether_it_deletes(tmp_path: Path) -> None:
    """On an event without a live check that is the first question."""
    finding = one(tmp_path, "pull_request: { types: [closed] }", "release: { types: [published] }")
    assert finding.code == "unguarded-event"
    assert finding.fix.startswith("if the step deletes nothing, say destructive: false on it")


def test_a_step_that_always_deletes_is_not_asked(tmp_path: Path) -> None:
    """`destructive: false` would be refused there."""
    text = AUTOMATION.replace(
        "version: 1\n", "version: 1\naws: { account: '123456789012', region: eu-central-1 }\n"
    )
    text = text.replace(
        STEP,
        "      - uses: aws/cloudformation-delete-stack\n        with: { stack-name: 'a-${{ event.repository.id }}' }\n",
    )
    finding = one(tmp_path, "pull_request: { types: [closed] }", "release: { types: [published] }", text)
    assert finding.code == "unguarded-event"
    assert "destructive" not in finding.fix


@pytest.mark.parametrize(
    ("on", "says"),
    [
        ("push", "event.ref"),
        ("delete", "event.ref"),
        ("[push, create, delete]", "event.ref"),
        ("issues", "event.repository.id"),
        ("{ pull_request: { types: [closed] } }", "event.pull_request.number"),
    ],
)
def test_a_constant_name_is_answered_with_fields_of_the_event(tmp_path: Path, on: str, says: str) -> None:
    """A push has no pull request."""
    text = AUTOMATION.replace(
        "version: 1\n", "version: 1\naws: { account: '123456789012', region: eu-central-1 }\n"
    )
    text = text.replace(
        STEP, "      - uses: aws/cloudformation-delete-stack\n        with: { stack-name: preview }\n"
    )
    text = text.replace("    steps:", "    unguarded: true\n    steps:")
    finding = one(tmp_path, "{ pull_request: { types: [closed] } }", on, text)
    assert finding.code == "constant-name"
    assert says in finding.fix
    assert ("pull_request" in finding.fix) is ("pull_request" in on)


@pytest.mark.parametrize("text", ["file: the preview is gone", "file:preview-${{ event.number }}"])
def test_a_text_that_only_begins_like_a_reference_is_valid(tmp_path: Path, text: str) -> None:
    """A comment or a message may begin with `file:`, which earlier releases accepted."""
    step = REQUEST.replace("body: {}", f"text: '{text}'") + "        destructive: false\n"
    assert found(tmp_path, AUTOMATION.replace(STEP, step)) == []


@pytest.mark.parametrize(
    ("on", "shown", "destructive"),
    [
        ("push", "push", False),
        ("[push, release]", "push", False),
        ("{ release: { types: [published] } }", "release", False),
        ("create", "create", False),
        ("delete", "delete", True),
        ("[delete, push]", "push", False),
        ("pull_request_target", "{ pull_request: { types: [closed] } }", True),
        ("[push, pull_request]", "{ pull_request: { types: [closed] } }", True),
        ("schedule", "{ pull_request: { types: [closed] } }", True),
    ],
)
def test_a_workflow_is_translated_by_its_events(
    tmp_path: Path, on: str, shown: str, destructive: bool
) -> None:
    """The end of a pull request or branch is what closeout cleans up after; other events delete nothing."""
    (finding,) = found(tmp_path, f"on: {on}\njobs:\n  a:\n    runs-on: x\n    steps: [{{ run: x }}]\n")
    assert f"    on: {shown}\n" in finding.fix
    assert ("destructive: false" in finding.fix) is not destructive


@pytest.mark.parametrize("text", ["jobs: 3\n", "[1]\n", "jobs: { a: 3 }\n", "jobs: { a: { x: 1 } }\n"])
def test_a_file_that_only_resembles_a_workflow_is_not_translated(tmp_path: Path, text: str) -> None:
    """Without a job that has `runs-on` or steps it is a file with unknown keys."""
    codes = {finding.code for finding in found(tmp_path, text)}
    assert codes & {"unknown-key", "wrong-type"}
    assert "github-workflow" not in codes
