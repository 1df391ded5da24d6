"""What cannot work on AWS is an error with its place before anything is created; what is only unusual is a warning."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import ConfigError
from closeout_cdk import parameters
from closeout_cdk.bundling import Bundler
from closeout_cdk.config import Config, read_config
from support import COMMITTED, ROOT

HEAD = """\
version: 1
automations:
  a:
    on: { pull_request: { types: [closed], branches: [develop] } }
    repositories: [acme/shop]
    steps:
"""


@pytest.fixture(autouse=True)
def _path(tmp_path: Path) -> Iterator[None]:
    """Unload the modules of each test's folder, and restore the module path, to which loading adds that folder."""
    before = list(sys.path)
    yield
    sys.path[:] = before
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def read(folder: Path, text: str, **context: Any) -> Config:
    """Load a configuration as synthesis does."""
    (folder / "closeout.yaml").write_text(text)
    given = parameters.read({**COMMITTED, "configFile": str(folder / "closeout.yaml"), **context})
    return read_config(given, Bundler(folder / "bundles"))


def refused(folder: Path, text: str, **context: Any) -> str:
    """Return what is shown of a refusal, with the file by its name alone."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text, **context)
    errors = [finding.pretty() for finding in caught.value.findings if finding.severity == "error"]
    return "\n".join(errors).replace(f"{folder}/", "")


STEPS = {
    "a call longer than an invocation": (
        "      - uses: shell\n        timeout: 20m\n        with: { run: 'sleep 1' }\n",
        "closeout.yaml:8:18: automations.a.steps[0].timeout: `shell` is one call, which may take 14m here and not 20m: Lambda ends a call after 15 minutes",
    ),
    "a request longer than an invocation": (
        "      - uses: http/request\n        timeout: 15m\n        with: { method: POST, url: 'https://x.example' }\n",
        "closeout.yaml:8:18: automations.a.steps[0].timeout: `http/request` is one call",
    ),
    "a program that the image does not have": (
        "      - uses: shell\n        timeout: 5m\n        with: { argv: [aws, s3, ls] }\n",
        "closeout.yaml:9:24: automations.a.steps[0].with.argv[0]: `aws` is not in Lambda's image",
    ),
    "a program in a script": (
        "      - uses: shell\n        timeout: 5m\n        with:\n          run: |\n            echo hello\n            dropdb --if-exists x\n",
        "closeout.yaml:10:16: automations.a.steps[0].with.run: `dropdb` is not in Lambda's image",
    ),
    "a secret of an environment that is never set": (
        "      - uses: http/request\n        timeout: 1m\n        with:\n          method: POST\n          url: https://x.example\n          secret-headers: { Authorization: 'env:TOKEN' }\n",
        "closeout.yaml:12:44: automations.a.steps[0].with.secret-headers.Authorization: `env:` does not exist in the worker",
    ),
    "a function that is not bundled": (
        "      - uses: python\n        timeout: 5m\n        with: { function: 'nowhere:run' }\n",
        "closeout.yaml:9:27: automations.a.steps[0].with.function: there is no module nowhere",
    ),
    "a name that could be anything": (
        "      - uses: aws/cloudformation-delete-stack\n        with: { stack-name: '${{ event.pull_request.number }}-x', account: '123456789012', region: eu-central-1 }\n",
        "closeout.yaml:8:29: automations.a.steps[0].with.stack-name: `${{ event.pull_request.number }}-x` begins with fewer than 3",
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_a_step_that_aws_cannot_carry_is_refused_at_its_place(case: str, tmp_path: Path) -> None:
    """The first pull request that closes would find it otherwise."""
    steps, message = STEPS[case]
    assert refused(tmp_path, HEAD + steps).startswith(message)


def test_every_mistake_is_said_at_once_with_its_fix(tmp_path: Path) -> None:
    """As `closeout check` does."""
    steps = STEPS["a program that the image does not have"][0] + STEPS["a call longer than an invocation"][0]
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, HEAD + steps)
    shown = [finding.pretty() for finding in caught.value.findings]
    assert len(shown) == 2
    assert "fix: put it into codePath and call it as ./NAME" in shown[0]
    assert "  9 |         with: { argv: [aws, s3, ls] }\n    |                        ^\n" in shown[0]


def test_a_mistake_of_the_file_itself_comes_from_the_same_loader(tmp_path: Path) -> None:
    """What `closeout check` refuses, synthesis refuses with the same words."""
    message = refused(tmp_path, HEAD + "      - uses: shel\n")
    assert message.startswith("closeout.yaml:7:15: automations.a.steps[0].uses: there is no action `shel`\n")


def test_names_that_two_pull_requests_share_are_refused_here_too(tmp_path: Path) -> None:
    """A stack is never made of a file whose automations delete each other's previews."""
    step = "      - uses: aws/cloudformation-delete-stack\n        with: { stack-name: 'preview-${{ event.number }}', account: '123456789012', region: eu-central-1 }\n"
    other = HEAD.partition("automations:\n")[2].replace("  a:", "  b:").replace("acme/shop", "acme/web")
    assert "acme/web#7 both produce preview-7" in refused(tmp_path, HEAD + step + other + step)


def test_an_actions_own_default_over_the_limit_is_a_warning(tmp_path: Path) -> None:
    """The file stays the same for both runtimes, and the deployer gets a warning."""
    config = read(tmp_path, HEAD + "      - uses: shell\n        with: { run: 'true' }\n")
    assert len(config.warnings) == 1
    assert (
        "`shell` may take 1h by default, and here it is stopped after 14m: Lambda ends" in config.warnings[0]
    )


def test_a_long_wait_is_no_mistake(tmp_path: Path) -> None:
    """A build or a stack's end is waited for between calls, for hours."""
    steps = "      - uses: aws/codebuild-start-build\n        timeout: 8h\n        with: { project: 'teardown-${{ event.pull_request.number }}', account: '123456789012', region: eu-central-1 }\n"
    assert read(tmp_path, HEAD + steps).warnings == ()


def test_what_comes_with_the_code_is_found_by_its_path(tmp_path: Path) -> None:
    """The working folder is the bundle, and it is not on the PATH."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "teardown").write_text("#!/bin/sh\n")
    step = "      - uses: shell\n        timeout: 5m\n        with: { argv: [%s] }\n"
    assert read(tmp_path, HEAD + step % "./teardown", codePath=str(code)).warnings == ()
    assert "write `./teardown`" in refused(tmp_path, HEAD + step % "teardown", codePath=str(code))


def test_the_users_functions_are_imported_from_the_code(tmp_path: Path) -> None:
    """`python` steps and `@on` modules alike."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "previews_of_ours.py").write_text("def drop(context, number):\n    return number\n")
    (code / "hooks_of_ours.py").write_text(
        "from closeout import on\n\n@on('pull_request.closed', repositories=['acme/shop'])\ndef tidy(run):\n    pass\n"
    )
    step = (
        "      - uses: python\n        timeout: 5m\n        with: { function: '%s', args: { number: 1 } }\n"
    )
    text = "modules: [hooks_of_ours]\n" + HEAD + step
    config = read(tmp_path, text % "previews_of_ours:drop", codePath=str(code))
    assert '"name":"tidy"' in config.rules
    assert config.unknown == ("a/python-1", "tidy")
    assert "has no function gone" in refused(tmp_path, text % "previews_of_ours:gone", codePath=str(code))


def test_code_beside_the_file_does_not_count(tmp_path: Path) -> None:
    """It would be found here, and not by the worker."""
    (tmp_path / "beside_the_file.py").write_text("")
    message = refused(
        tmp_path,
        "modules: [beside_the_file]\n" + HEAD + "      - uses: github/comment\n        with: { body: x }\n",
    )
    assert message.startswith("closeout.yaml:1:11: modules[0]: `beside_the_file` comes from ")
    assert "is not in the worker's bundle" in message
    assert "set codePath" in message


def test_a_variable_in_the_file_must_be_set(tmp_path: Path) -> None:
    """`github.api-url: env:NAME` is read in the worker, whose variables the parameters set."""
    text = (
        "github: { api-url: env:GITHUB_API }\n"
        + HEAD
        + "      - uses: github/comment\n        with: { body: x }\n"
    )
    assert refused(tmp_path, text).startswith(
        "closeout.yaml:1:20: github.api-url: the worker has no variable GITHUB_API"
    )
    assert "GITHUB_API: a URL has visible ASCII characters only" in refused(
        tmp_path, text, environment={"GITHUB_API": "https://evil\\@ghe.example/api/v3"}
    )
    assert read(tmp_path, text, environment={"GITHUB_API": "https://ghe.example/api/v3"}).warnings == ()


def test_the_write_ups_branch_must_be_some_automations(tmp_path: Path) -> None:
    """The branch was set by `pPrToBranch`; now the file sets it, and the two must agree."""
    text = HEAD + "      - uses: github/comment\n        with: { body: x }\n"
    assert read(tmp_path, text, pPrToBranch="develop").warnings == ()
    assert "no automation is about pull requests into `main`, which pPrToBranch names" in refused(
        tmp_path, text, pPrToBranch="main"
    )


def test_a_run_longer_than_lambda_knows_is_refused(tmp_path: Path) -> None:
    """366 days for everything."""
    text = HEAD.replace("    steps:", "    timeout: 300d\n    queue-timeout: 100d\n    steps:")
    message = refused(tmp_path, text + "      - uses: github/comment\n        with: { body: x }\n")
    assert message.startswith(
        "closeout.yaml:6:14: automations.a.timeout: queue-timeout and timeout are together longer"
    )


def test_a_run_is_remembered_as_long_as_it_may_take(tmp_path: Path) -> None:
    """Its rows would expire under it."""
    text = (
        HEAD.replace("    steps:", "    timeout: 40d\n    steps:")
        + "      - uses: github/comment\n        with: { body: x }\n"
    )
    message = refused(tmp_path, text)
    assert message.startswith("closeout.yaml:6:14: automations.a.timeout: a run may take longer")
    assert "raise retentionDays" in message
    assert read(tmp_path, text, retentionDays=60).execution_timeout == (40 + 1) * 86_400 + 3600


def test_an_execution_lasts_as_long_as_the_automation_that_takes_longest(tmp_path: Path) -> None:
    """One automation's queue and another's run are never in one execution, and Lambda takes 366 days."""
    step = "    steps:\n      - uses: github/comment\n        with: { body: x }\n"
    rest = (
        "    on: { pull_request: { types: [closed], branches: [develop] } }\n    repositories: [acme/shop]\n"
    )
    text = (
        f"version: 1\nautomations:\n  a:\n{rest}    queue-timeout: 300d\n    timeout: 1d\n{step}"
        f"  b:\n{rest}    queue-timeout: 1d\n    timeout: 299d\n{step}"
    )
    assert read(tmp_path, text, retentionDays=400).execution_timeout == 301 * 86_400 + 3600


def test_who_deletes_a_stacks_resources_is_asked(tmp_path: Path) -> None:
    """The worker may delete the stack; what is in it takes a role that may, which no emulator shows."""
    step = "      - uses: aws/cloudformation-delete-stack\n        with: { stack-name: 'preview-${{ event.number }}', account: '123456789012', region: eu-central-1%s }\n"
    (warning,) = read(tmp_path, HEAD + step % "").warnings
    assert (
        "without `role-arn` CloudFormation deletes the resources with the role that the stack was made with"
        in warning
    )
    assert read(tmp_path, HEAD + step % ", role-arn: 'arn:aws:iam::123456789012:role/deleter'").warnings == ()


def test_the_committed_configuration_and_the_example_in_it_are_good(tmp_path: Path) -> None:
    """Removing the comment signs leaves a working configuration."""
    text = (ROOT / "closeout.yaml").read_text()
    assert read(tmp_path, text).warnings == ()
    example = text[text.index("# aws: {") :]
    shown = (
        "version: 1\n"
        + "\n".join(line.removeprefix("#").removeprefix(" ") for line in example.splitlines())
        + "\n"
    )
    assert read(tmp_path, shown).warnings == ()


def test_automations_of_other_repositories_are_not_counted_together(tmp_path: Path) -> None:
    """A delivery is of one repository; an automation of any repository, or of a pattern, counts for each."""
    head, _, body = HEAD.partition("  a:\n")
    step = "      - uses: github/comment\n        with: { body: x }\n"
    apart = "".join(f"  a{n}:\n{body.replace('acme/shop', f'acme/shop-{n}')}{step}" for n in range(32))
    another = f"  any:\n{body.replace('acme/shop', 'acme/*')}{step}"
    assert read(tmp_path, head + apart + another)
    many = "".join(f"  b{n}:\n{body.replace('acme/shop', 'acme/shop-7')}{step}" for n in range(31))
    assert "33 automations are on `pull_request`" in refused(tmp_path, head + apart + another + many)


def test_more_runs_of_one_delivery_than_a_transaction_holds(tmp_path: Path) -> None:
    """Each takes three of a transaction's hundred items; the thirty-third on one event is refused by its place."""
    head, _, body = HEAD.partition("  a:\n")
    step = "      - uses: github/comment\n        with: { body: x }\n"
    assert read(tmp_path, head + "".join(f"  a{n}:\n{body}{step}" for n in range(32)))
    told = refused(tmp_path, head + "".join(f"  a{n}:\n{body}{step}" for n in range(33)))
    assert (
        "automations.a32.on: 33 automations are on `pull_request`, and a delivery can start 32 runs" in told
    )
