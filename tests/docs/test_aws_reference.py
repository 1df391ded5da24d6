"""The pages about AWS say what the stack's source says: parameters, outputs, rights, limits, alarms, and AWS's own API."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from closeout.lambdas import aws_client
from closeout.stack import invocation, patrol, problems, table
from tests.docs.pages import ROOT, Block, blocks, column

CDK = ROOT / "cdk"
PAGE = ROOT / "docs/reference/aws.md"
TEXT = PAGE.read_text("utf-8")
GUARANTEES = ROOT / "docs/reference/guarantees.md"
CLI_ONLY = {"query", "output"}
"""Options of the aws command itself."""


def source(name: str) -> str:
    """The text of one of the stack's modules."""
    return (CDK / "closeout_cdk" / name).read_text("utf-8")


def section(heading: str) -> str:
    """A section of the page, without its heading."""
    return TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without their headings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [number for number, row in enumerate(cells) if set(row[0]) <= {"-"} and row[0]]
    heads = {number - 1 for number in rules}
    return [row for number, row in enumerate(cells) if number not in heads and number not in rules]


def parameters() -> ModuleType:
    """The stack's parameters: their module needs no CDK."""
    name = "closeout_cdk_parameters_for_docs"
    spec = importlib.util.spec_from_file_location(name, CDK / "closeout_cdk/parameters.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def defaults() -> Mapping[str, Any]:
    """Every parameter with its default."""
    found: Mapping[str, Any] = parameters().DEFAULTS
    return found


def test_every_parameter_is_documented_with_its_default() -> None:
    """The table has the parameters of the code, in their order, and cdk.context.json the same defaults."""
    shown = {row[0].strip("`"): json.loads(row[1].strip("`")) for row in rows(section("Parameters"))}
    assert list(shown) == list(defaults())
    assert shown == defaults()
    context = json.loads((CDK / "cdk.context.json").read_text("utf-8"))
    assert {key: value for key, value in context.items() if not key.startswith("@")} == defaults()


def test_deprecated_parameters_are_documented() -> None:
    """The page about the write-up's stack has each of its parameters, and what it is called now."""
    page = ROOT / "docs/how-to/move-from-the-2021-stack.md"
    module = parameters()
    assert column(page, "then") == [*module.DEPRECATED, module.OLD_BRANCH]
    for new in module.DEPRECATED.values():
        assert f"`{new}`" in page.read_text("utf-8")


def test_every_output_is_documented() -> None:
    """The table has the outputs of the stack, in their order."""
    told = source("stack.py").split("told = {")[1].split("\n        }")[0]
    assert column(PAGE, "output") == re.findall(r'(?m)^            "(\w+)": ', told)


def test_every_alarm_is_documented() -> None:
    """The table has the alarms of the stack."""
    names = re.findall(r'self\._alarm\(\s*"(\w+)"', source("alarms.py"))
    assert names
    assert sorted(column(PAGE, "alarm")) == sorted(names)


def test_what_api_gateway_answers_is_documented() -> None:
    """Statuses and codes of the gateway's own answers are those of the table."""
    told = set(re.findall(r'\("(\d+)", "([a-z-]+)", ', source("api.py")))
    assert {(row[0], row[1].strip("`")) for row in rows(section("What answers"))} == told


def allowed() -> set[str]:
    """Every action that the stack's source allows one of its roles, closeout's own needs only."""
    text = "\n".join(source(name) for name in ("functions.py", "permissions.py", "chores.py", "notify.py"))
    found = set(re.findall(r'"((?:[a-z0-9]+):[A-Z]\w+)"', text))
    taking = re.search(r"taking = \((.*?)\)", text, re.DOTALL)
    assert taking is not None
    return found | {f"sqs:{name}" for name in re.findall(r'"(\w+)"', taking[1])}


def test_what_each_role_may_do_is_documented() -> None:
    """No action is allowed that the page leaves out, and it names none that nobody has."""
    rights, _, rest = section("What each role may do").partition("**The worker is denied**")
    shown = set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", rights + rest.partition("**Where a `*` remains**")[2]))
    assert shown == allowed()


def test_the_layout_of_the_table_is_that_of_the_code() -> None:
    """Items and keys are those of the descriptions in `stack.table`, `stack.patrol` and `stack.problems`."""
    text = f"{table.__doc__}{patrol.__doc__}{problems.__doc__}"
    described = re.findall(r"(?m)^    (\S.*?)  +(\S+#?\S*)  +(\S+)", text.replace("run id", "run_id").replace("accepted at", "accepted_at").replace("received at", "received_at"))  # fmt: skip
    wanted = [[part.replace("_", " ") for part in line] for line in described]
    shown = [[cell.strip("`") for cell in row] for row in rows(section("The table"))]
    assert [[name, pk, sk] for name, pk, sk in wanted] == shown


@pytest.mark.parametrize(
    ("said", "file", "pattern"),
    [
        (f"| {table.MOST_RUNS} |", None, ""),
        (f"| {table.LARGEST_BODY // 1000} KB |", None, ""),
        (f"| {aws_client.WITHIN:g} s |", None, ""),
        ("| 200 a second, 400 at once |", "api.py", r"RATE, BURST = 200, 400\n"),
        ("| about 5.6 MB |", "api.py", r"The body is over about 5\.6 MB, "),
        ("| 20 s |", "functions.py", r"timeout=Duration\.seconds\(20\)"),
        ("| 15 min |", "functions.py", r"INVOCATION = Duration\.minutes\(15\)"),
        (f"| {invocation.LONGEST_CALL / 60:g} min |", None, ""),
        (
            "| queue-timeout + timeout + 1 h |",
            "config.py",
            r"item\.queue_timeout \+ item\.timeout for .*\+ HOUR\n",
        ),
    ],
)
def test_limits_of_ours_are_those_of_the_code(said: str, file: str | None, pattern: str) -> None:
    """A limit that changes in the code changes on the page."""
    assert said in section("Limits")
    assert file is None or re.search(pattern, source(file))


# --- commands and pieces of JSON ------------------------------------------------------------------------------


def json_blocks() -> list[Block]:
    """Every JSON block of the pages."""
    return [block for block in blocks() if block.language == "json"]


@pytest.mark.parametrize("block", json_blocks(), ids=lambda block: block.place)
def test_json_in_the_docs_is_json(block: Block) -> None:
    """What a reader would copy can be read; a piece of cdk.context.json holds parameters that there are."""
    value = json.loads(block.text)
    if isinstance(value, dict) and not {"Version", "hooks", "action"} & set(value):
        assert set(value) <= set(defaults())


def simple_commands() -> Iterator[tuple[str, list[str]]]:
    """Every simple command of every shell block, split into words: those inside `$( )` too."""
    for block in blocks():
        if block.language != "sh":
            continue
        text = re.sub(r"(?m)\s+# .*$", "", re.sub(r"\\\n\s*", " ", block.text))
        for inner in (
            *re.findall(r"\$\(([^()]*(?:\([^()]*\))?[^()]*)\)", text),
            re.sub(r"\$\([^\n]*?\)(?=[\n;]|$)", "X", text),
        ):
            for line in re.split(r"\n|&&|;|\bdo\b", inner):
                try:
                    words = shlex.split(line, comments=True)
                except ValueError:
                    continue
                if words:
                    yield block.place, words


def test_parameters_on_a_command_line_exist() -> None:
    """`-c key=value` names a parameter, and every stack that the CDK is told is this one."""
    wrong = []
    for place, words in simple_commands():
        if words[:2] != ["npx", "cdk"] or words[2] == "bootstrap":
            continue
        keys = [words[at + 1].partition("=")[0] for at, word in enumerate(words) if word == "-c"]
        wrong += [f"{place}: {key}" for key in keys if key not in defaults()]
        own = next((word.partition("=")[2] for word in words if word.startswith("stackName=")), None)
        if (own or parameters().STACK) not in words:
            wrong.append(f"{place}: {' '.join(words)}")
    assert not wrong


def test_aws_commands_are_those_of_awss_api() -> None:
    """Service, operation and options of each `aws …` are in botocore's models: nobody here can run them."""
    session = botocore.session.get_session()
    seen, wrong = 0, []
    for place, words in simple_commands():
        if words[0] != "aws" or words[2] == "wait":
            continue
        seen += 1
        model = session.get_service_model(words[1])
        operations = {xform_name(name, "-"): name for name in model.operation_names}
        if words[2] not in operations:
            wrong.append(f"{place}: {words[1]} has no {words[2]}")
            continue
        shape = model.operation_model(operations[words[2]]).input_shape
        members = {xform_name(name, "-") for name in (shape.members if shape else {})} | CLI_ONLY
        given = [word.removeprefix("--") for word in words[3:] if word.startswith("--")]
        wrong += [f"{place}: {words[2]} has no --{name}" for name in given if name not in members]
    assert seen >= 8
    assert not wrong, "\n".join(wrong)


TESTED_BY = {
    "An acknowledged delivery is stored": (
        "tests/unit/lambdas/test_receive.py",
        "tests/unit/lambdas/test_time.py",
    ),
    "A run starts once": ("tests/unit/lambdas/test_receive.py", "tests/aws/test_runs.py"),
    "A recorded operation is never repeated": ("tests/aws/test_worker_kills.py",),
    "Only one invocation of a run records": ("tests/contract/test_remote_engine.py",),
    "Runs with one concurrency key": ("tests/contract/test_remote_engine.py",),
    "No status stays `pending` forever": (
        "tests/unit/wiring/test_stack_runtime.py",
        "tests/unit/run/test_finalize.py",
    ),
    "What is deployed after a teardown is found and deleted": (
        "tests/unit/wiring/test_stack_rechecker.py",
        "tests/aws/test_rechecks.py",
    ),
    "The file that was deployed last also limits runs that already wait": ("tests/aws/test_redeployment.py",),
    "Only the functions that need a secret": ("tests/aws/test_rights.py",),
    "An automation cannot change what closeout runs on": ("tests/aws/test_rights.py",),
    "The delivery does not reach the receiver": ("tests/aws/test_patrol.py",),
    "The receiver stores a run and cannot start it": ("tests/unit/wiring/test_stack_patrols.py",),
    "Patrol is killed": ("tests/unit/wiring/test_stack_patrols.py", "tests/contract/test_patrol_lease.py"),
    "Secrets Manager cannot be read": ("tests/unit/core/test_secrets.py",),
    "An AWS endpoint shows a certificate": ("tests/unit/lambdas/test_trust.py",),
    "DynamoDB fails during a run": ("tests/contract/test_remote_engine.py",),
    "The ledger loses the payload or the definition of a run": ("tests/unit/run/test_unreadable.py",),
    "The record of a run is damaged": ("tests/contract/test_remote_engine.py",),
    "The worker cannot load its configuration or a module": ("tests/unit/wiring/test_stack_runtime.py",),
    "The worker cannot start": ("tests/unit/wiring/test_stack_runtime.py", "tests/aws/test_runs.py"),
    "`Ended` fails too": ("tests/unit/wiring/test_stack_runtime.py", "cdk/tests/test_failures.py"),
    "The event about a failed execution is lost": (
        "tests/contract/test_remote_engine.py",
        "tests/unit/ledger/dynamodb/test_requests.py",
    ),
    "The worker dies between releasing a key and waking the next run": ("tests/aws/test_turns.py",),
    "CloudWatch loses or delays log lines": (),
    "A deployment fails": ("cdk/tests/test_published.py",),
}
"""How a row of the page about guarantees begins → the tests of what it says; none where the row says so."""


def test_each_guarantee_has_tests() -> None:
    """Each row of the page has an entry in TESTED_BY, and each file that an entry names exists."""
    found = [row[0] for row in rows(GUARANTEES.read_text("utf-8"))]
    assert [row for row in found if not any(row.startswith(begin) for begin in TESTED_BY)] == []
    assert [begin for begin in TESTED_BY if not any(row.startswith(begin) for row in found)] == []
    assert [name for tests in TESTED_BY.values() for name in tests if not (ROOT / name).is_file()] == []


RUN_BY = {
    "closeout check": ("tests/acceptance/test_cli_basics.py", '"check"'),
    "closeout drill --stack": ("tests/acceptance/test_cli_doctor.py", '"drill", "--stack"'),
    "closeout guard": ("tests/aws/test_guard.py", '"guard"'),
    "closeout permissions": ("tests/acceptance/test_cli_secret.py", '"permissions"'),
    "closeout runs list": ("tests/acceptance/test_cli_stack.py", '"runs", "list"'),
    "closeout runs logs": ("tests/aws/test_stack_commands.py", '"runs", "logs"'),
    "closeout runs rerun": ("tests/aws/test_stack_commands.py", '"runs", "rerun"'),
    "closeout deliveries list": ("tests/acceptance/test_cli_stack.py", '"deliveries", "list"'),
    "closeout secret set": ("tests/aws/test_stack_commands.py", '"secret", "set"'),
    "closeout notify test": ("tests/aws/test_notify.py", '"notify", "test"'),
    "closeout webhook create": ("tests/aws/test_stack_commands.py", '"webhook", "create"'),
    "closeout webhook list": ("tests/acceptance/test_cli_webhook.py", '"list"'),
    "closeout webhook delete": ("tests/aws/test_stack_commands.py", '"webhook", "delete"'),
    "npx cdk bootstrap": ("tests/aws/deployment.py", '"bootstrap"'),
    "npx cdk deploy": ("tests/aws/deployment.py", '"deploy"'),
    "npx cdk diff": ("tests/aws/deployment.py", '"diff"'),
    "npx cdk destroy": ("tests/aws/deployment.py", '"destroy"'),
    "../.venv-aws/bin/python refresh_addresses.py": (
        "cdk/tests/test_refresh_addresses.py",
        "refresh_addresses.main(",
    ),
    "make setup-aws": (".ci/run", "make"),
    "make synth": ("Makefile", "$(MAKE) --no-print-directory synth"),
}
"""Each command of the pages about AWS, and where a test or the gate runs it against an emulator."""
NEED_AN_ACCOUNT = ("aws ", "git pull", "uv pip compile")
"""What nobody here can run: `aws` is held to AWS's API models instead."""
SHELL = re.compile(r"(cd|export|\.|for|test|continue|done|\w+=\S*)( |$)")
ABOUT_AWS = (
    "docs/tutorial/first-teardown-on-aws.md",
    "docs/how-to/give-a-team-access-to-logs-but-not-secrets.md",
    "docs/how-to/act-in-another-account.md",
    "docs/how-to/restrict-to-githubs-addresses.md",
    "docs/how-to/upgrade-a-stack.md",
    "docs/how-to/move-from-the-2021-stack.md",
    "docs/how-to/remove-everything.md",
)


def test_every_command_of_the_pages_about_aws_is_run_somewhere_or_needs_an_account() -> None:
    """A command that no test runs is in the list of those that nobody here can run."""
    unknown = []
    for place, words in simple_commands():
        line = " ".join(words)
        ours = place.split(":")[0] in ABOUT_AWS or (words[0] == "closeout" and "--stack" in words)
        if not ours or SHELL.match(line) or line.startswith(NEED_AN_ACCOUNT):
            continue
        if place.startswith(("docs/how-to/set-up-the-webhook", "docs/how-to/rotate-the")):
            continue  # run as they stand: test_webhook_howtos
        if not line.startswith(tuple(RUN_BY)):
            unknown.append(f"{place}: {line}")
    assert not unknown, "\n".join(unknown)
    for file, text in RUN_BY.values():
        assert text in (ROOT / file).read_text("utf-8"), f"{file} no longer has {text}"


FAKE_AWS = """\
#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
  *describe-stacks*) echo arn:aws:lambda:eu-central-1:123456789012:function:worker:live ;;
  *get-alias*) echo 4 ;;
  *list-versions*) printf '%s\\t' '$LATEST' 1 2 3 4; echo ;;
  *"--qualifier 2 "*) echo 1 ;;
  *list-durable*) echo 0 ;;
esac
"""


def test_pruning_spares_the_live_version_and_those_with_executions(tmp_path: Path) -> None:
    """The loop of the how-to, over an `aws` that answers what it is asked: 1 and 3 go, 2 has a run, 4 is live."""
    page = ROOT / "docs/how-to/upgrade-a-stack.md"
    script = next(block.text for block in blocks() if block.page == page and "delete-function" in block.text)
    tool, calls = tmp_path / "aws", tmp_path / "calls"
    tool.write_text(FAKE_AWS, "utf-8")
    tool.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls)}
    done = subprocess.run(
        ["sh", "-u", "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    deleted = [line for line in calls.read_text("utf-8").splitlines() if "delete-function" in line]
    worker = "arn:aws:lambda:eu-central-1:123456789012:function:worker"
    assert deleted == [
        f"lambda delete-function --function-name {worker} --qualifier {number}" for number in (1, 3)
    ]
