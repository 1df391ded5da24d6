"""`shell`: a script's environment, its errors, and its attempts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from closeout.actions.general import process
from closeout.actions.general.process import started
from closeout.actions.general.shell import ACTION, environment
from closeout.core.errors import ActionFailed, InputError, RunCancelled, StepFailed
from closeout.core.protect import protected_by
from closeout.core.retry import Backoff, Retry
from tests.unit.actions.general.parts import nothing
from tests.work import Crashed, ImmediateWork


def shell(
    inputs: Any, tmp_path: Path, work: ImmediateWork | None = None, **options: Any
) -> tuple[Any, ImmediateWork]:
    """Plan and apply; return the result and the work."""
    settings = {"directory": str(tmp_path), "pass-env": (), "secret-variables": ()}
    options.setdefault("retry", ACTION.retry)
    work = work or ImmediateWork(nothing(), settings=settings, **options)
    (change,) = ACTION.plan(inputs, work.clients)
    return ACTION.apply(change, inputs, work), work


def test_a_script_runs_with_its_variables_and_streams_its_output(tmp_path: Path) -> None:
    """Values come from `env`, the payload as a file, the run's id and attempt as variables."""
    script = 'echo "$NUMBER"; cat "$CLOSEOUT_EVENT_PATH"; echo; echo "$CLOSEOUT_RUN_ID $CLOSEOUT_ATTEMPT"'
    result, work = shell({"run": script, "env": {"NUMBER": "17"}}, tmp_path, event={"number": 17})
    assert work.lines[1:] == ["17", '{"number": 17}', f"{work.run_id} 1"]
    assert result["exit"] == 0


def test_a_program_runs_without_a_shell_in_between(tmp_path: Path) -> None:
    """No shell interprets `argv`."""
    _, work = shell({"argv": ["printf", "%s\\n", "$HOME; `id`", "a b"]}, tmp_path)
    assert work.lines[1:] == ["$HOME; `id`", "a b"]


def test_payload_text_in_a_variable_is_only_text(tmp_path: Path) -> None:
    """A title that looks like a command stays a title."""
    title = "$(touch hacked); `touch hacked`; \"; touch hacked; '"
    _, work = shell({"run": 'echo "$TITLE"', "env": {"TITLE": title}}, tmp_path)
    assert work.lines[1] == title
    assert not (tmp_path / "hacked").exists()


def test_the_environment_is_the_servers_without_its_secrets() -> None:
    """Without variables that secret references name, and those with cloud and GitHub credentials."""
    server = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "CLOSEOUT_WEBHOOK_SECRET": "1",
        "MY_KEY": "2",
        "AWS_SECRET_ACCESS_KEY": "3",
        "AWS_PROFILE": "4",
        "GH_TOKEN": "5",
        "GITHUB_TOKEN": "6",
        "CLOSEOUT_METRICS_TOKEN": "8",
        "GITHUB_SHA": "7",
        "CLOSEOUT_ATTEMPT": "9",
        "PGPASSFILE": "/x",
    }
    settings = {"secret-variables": ("CLOSEOUT_WEBHOOK_SECRET", "MY_KEY"), "pass-env": ()}
    assert set(environment(server, settings, {})) == {"PATH", "HOME", "GITHUB_SHA", "PGPASSFILE"}
    passed = environment(
        server, settings | {"pass-env": ("AWS_PROFILE", "MY_KEY")}, {"EXTRA": "e", "HOME": "/h"}
    )
    assert passed["AWS_PROFILE"] == "4"
    assert passed["MY_KEY"] == "2"
    assert (passed["EXTRA"], passed["HOME"]) == ("e", "/h")
    assert "GH_TOKEN" not in passed


def test_a_real_script_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Including the supervisor that starts it."""
    monkeypatch.setenv("CLOSEOUT_WEBHOOK_SECRET", "correct-horse")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "battery-staple")
    settings = {"directory": str(tmp_path), "secret-variables": ("CLOSEOUT_WEBHOOK_SECRET",), "pass-env": ()}
    script = "env; tr '\\0' '\\n' < /proc/$PPID/environ; tr '\\0' ' ' < /proc/$PPID/cmdline"
    _, work = shell({"run": script}, tmp_path, ImmediateWork(nothing(), settings=settings))
    assert not [line for line in work.lines if "correct-horse" in line or "battery-staple" in line]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            "echo begin; echo no route to host >&2; echo; echo '' >&2; exit 3",
            "no route to host (exit code 3)",
        ),
        (
            "echo first >&2; printf 'last, without a line end' >&2; exit 3",
            "last, without a line end (exit code 3)",
        ),
        ("# dropdb\necho preview_17 is being accessed; exit 3", "preview_17 is being accessed (exit code 3)"),
        ("exit 3", "exit code 3"),
        (f"echo {'x' * 300} >&2; exit 3", f"{'x' * 99}… (exit code 3)"),
        ('echo "no output" >> "$CLOSEOUT_OUTPUT"; exit 3', "exit code 3"),
    ],
    ids=["stderr", "no line end", "stdout alone", "nothing", "long", "outputs that cannot be read"],
)
def test_a_failure_says_the_error_and_then_the_exit_code(tmp_path: Path, script: str, says: str) -> None:
    """The last line of stderr that is not empty, else of the output; a commit status has room for both."""
    with pytest.raises(ActionFailed) as failed:
        shell({"run": script}, tmp_path)
    assert failed.value.message == says
    assert failed.value.public == "exit code 3"


def test_stdout_and_stderr_are_one_log(tmp_path: Path) -> None:
    """Both streams are logged, each line once."""
    _, work = shell({"run": "echo a; echo b >&2; printf c; printf d >&2"}, tmp_path)
    assert sorted(work.lines[1:]) == ["a", "b", "c", "d"]


def test_a_failure_never_quotes_half_a_secret(tmp_path: Path) -> None:
    """The line is cut after secrets were removed, and a long line is logged in one piece."""
    secret = "correct-horse-battery-staple"

    def clean(text: str) -> str:
        return text.replace(secret, "***")

    work = ImmediateWork(nothing(), settings={"directory": str(tmp_path)}, retry=ACTION.retry, clean=clean)
    script = f"printf '%085d%s%05000d' 0 {secret} 0; exit 3"
    with pytest.raises(ActionFailed) as failed:
        shell({"run": script}, tmp_path, work)
    assert failed.value.message == f"{'0' * 85}***{'0' * 11}… (exit code 3)"
    assert any(secret in line for line in work.lines), "cut in two, the log's own redaction would miss it"


def test_a_time_limit_is_a_failure_that_says_so(tmp_path: Path) -> None:
    """With its last output."""

    class Hurried(ImmediateWork):
        def remaining(self) -> float:
            return 0.3

    work = Hurried(nothing(), settings={"directory": str(tmp_path)}, retry=ACTION.retry)
    with pytest.raises(ActionFailed, match="stopped: it did not end within 0 s: waiting for the database"):
        shell({"run": "echo waiting for the database; sleep 60"}, tmp_path, work)


def test_a_failure_is_tried_again_only_if_the_step_says_so(tmp_path: Path) -> None:
    """Each attempt learns that it is not the first."""
    script = 'echo "$CLOSEOUT_ATTEMPT" >> tries; test "$CLOSEOUT_ATTEMPT" = 3'
    with pytest.raises(ActionFailed):
        shell({"run": script}, tmp_path)
    assert (tmp_path / "tries").read_text() == "1\n"
    _, work = shell({"run": script}, tmp_path, retry=Retry(attempts=3, backoff=Backoff(first=0.0)))
    assert (tmp_path / "tries").read_text() == "1\n1\n2\n3\n"
    begins = f"running {script[:79]}"
    assert work.lines == [begins, f"{begins} (attempt 2)", f"{begins} (attempt 3)"]


def test_the_pid_is_recorded_before_anything_runs(tmp_path: Path) -> None:
    """A crash between the two leaves a supervisor without a command, which exits."""
    kept: dict[str, Any] = {}
    settings = {"directory": str(tmp_path)}
    work = ImmediateWork(nothing(), settings=settings, operations=kept, crash=lambda name: name == "begin-1")
    with pytest.raises(Crashed):
        shell({"run": "touch ran"}, tmp_path, work)
    assert not (tmp_path / "ran").exists()
    assert kept == {}


def test_a_crash_in_the_middle_runs_again_with_a_raised_attempt(tmp_path: Path) -> None:
    """At least once, and the script can know."""
    kept: dict[str, Any] = {}
    settings = {"directory": str(tmp_path)}
    inputs = {"run": 'echo "$CLOSEOUT_ATTEMPT" >> tries'}
    work = ImmediateWork(nothing(), settings=settings, operations=kept, crash=lambda name: name == "run-1")
    with pytest.raises(Crashed):
        shell(inputs, tmp_path, work)
    shell(inputs, tmp_path, ImmediateWork(nothing(), settings=settings, operations=kept))
    assert (tmp_path / "tries").read_text() == "1\n2\n"


def test_a_supervisor_of_an_earlier_process_is_ended_before_the_next_attempt(tmp_path: Path) -> None:
    """The recorded pid and start time identify it."""
    from closeout.actions.general.process import Supervised

    earlier = Supervised()
    settings = {"directory": str(tmp_path)}
    kept: dict[str, Any] = {"begin-1": {"value": earlier.identity}}
    # A parked supervisor is released by its server; here this test is its server.
    earlier._close_input()
    shell({"run": "true"}, tmp_path, ImmediateWork(nothing(), settings=settings, operations=kept))
    assert started(earlier.identity["pid"]) is None
    assert "run-2" in kept
    earlier.dispose()


def test_an_attempt_that_cannot_be_ended_delays_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise both would run at once; the operator gets the process's number."""
    monkeypatch.setattr(process, "end_survivor", lambda begun: begun["pid"] != 4711)
    kept: dict[str, Any] = {"begin-1": {"value": {"pid": 4711, "started": "x"}}}
    work = ImmediateWork(nothing(), settings={"directory": str(tmp_path)}, operations=kept)
    with pytest.raises(StepFailed, match="an earlier try still runs as process 4711 and cannot be ended"):
        shell({"run": "touch ran"}, tmp_path, work)
    assert not (tmp_path / "ran").exists()


def test_an_attempt_that_a_guard_forbids_leaves_no_process(tmp_path: Path) -> None:
    """The supervisor was parked before the guard's check; it gets no command, and exits."""

    def reopened(name: str) -> None:
        raise RunCancelled(name, "reopened", "the pull request is open again")

    kept: dict[str, Any] = {}
    work = ImmediateWork(nothing(), settings={"directory": str(tmp_path)}, operations=kept, guard=reopened)
    with pytest.raises(RunCancelled):
        shell({"run": "touch ran"}, tmp_path, work)
    with pytest.raises(ChildProcessError):
        os.waitpid(kept["begin-1"]["value"]["pid"], os.WNOHANG)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"run": "true"}, None),
        ({"argv": ["true"], "env": {"A_1": "x"}}, None),
        ({}, "either"),
        ({"run": "  "}, "either"),
        ({"run": "true", "argv": ["true"]}, "either"),
        ({"run": "true", "env": {"1A": "x"}}, "name of a variable"),
        ({"run": "true", "env": {"CLOSEOUT_ATTEMPT": "1"}}, "itself"),
    ],
)
def test_mistakes_are_found_at_load(inputs: Any, word: str | None) -> None:
    """Exactly one of `run` and `argv`, and valid names of variables."""
    assert ACTION.check is not None
    problems = ACTION.check(inputs)
    assert (problems == []) if word is None else (word in problems[0])


def test_templates_are_for_variables_only() -> None:
    """`run` and `argv` refuse `${{ }}` at load."""
    assert not ACTION.inputs["run"].templates
    assert not ACTION.inputs["argv"].templates
    assert ACTION.inputs["env"].templates


def test_the_plan_is_the_command() -> None:
    """Every line of a script or every argument, and the values it receives."""
    script = "cd infra\n  terraform init\n\nterraform destroy -auto-approve"
    (change,) = ACTION.plan({"run": f"\n{script}\n", "env": {"N": "17"}}, nothing())
    assert (change.verb, change.resource, change.reason) == ("run", script, 'with N="17"')
    assert change.name is None, "it would be stored beside the resource, and unredacted"
    for pattern in ("infra", "cd infra", "cd *"):
        assert protected_by(change, [pattern]), "a script is protected by its first line and its last word"
    assert protected_by(change, ["*-approve"]), "and as a whole"
    assert protected_by(change, ["init"]) is None
    (change,) = ACTION.plan({"argv": ["rm", "-r", "a b", "x" * 200]}, nothing())
    assert change.resource == f"rm -r 'a b' {'x' * 200}"
    with pytest.raises(InputError):
        ACTION.plan({"run": "x", "env": {"N": "a\0b"}}, nothing())
    assert ACTION.verify((change,), nothing()) == ()
    assert ACTION.permissions({}) == ()
    assert os.environ.get("CLOSEOUT_ATTEMPT") is None


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"argv": ["x"], "env": {"1A": "x"}}, "`env.1A` is not the name of a variable"),
        ({"argv": ["x"], "env": {"A": "x\0y"}}, "`env.A` contains a NUL character"),
        ({}, "give `argv` or `run`"),
        ({"run": " \n "}, "give `argv` or `run`"),
    ],
)
def test_an_invalid_command_is_never_planned(inputs: Any, said: str) -> None:
    """Names of variables may come from a payload, so the plan checks them too."""
    with pytest.raises(InputError, match=re.escape(said)):
        ACTION.plan(inputs, None)  # type: ignore[arg-type]
