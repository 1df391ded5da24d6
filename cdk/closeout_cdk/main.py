"""Turn the app's context into a template. Only this module reads the context and sets the exit code."""

from __future__ import annotations

import sys

import aws_cdk as cdk
import cdk_nag

from closeout.config.findings import listed
from closeout.core import protect
from closeout.core.errors import CloseoutError, ConfigError
from closeout.stack.problems import secrets
from closeout_cdk import parameters
from closeout_cdk.bundling import Bundle, Bundler, Target
from closeout_cdk.config import Config, read_config
from closeout_cdk.parameters import ParameterError, Parameters
from closeout_cdk.stack import CloseoutStack

NOBODY = (
    "note: secretReaders is empty, so only the functions can read the secrets' values. `closeout webhook create` and the"
    " console need one: add the ARN of your role"
)


UNKNOWN = (
    "note: it is not known what {} will need from AWS, so the worker has no rights for it. If it needs any, name a"
    " policy in workerPolicies"
)


def main() -> int:
    """Synthesize. Report mistakes in the parameters or the configuration as sentences, not tracebacks."""
    app = cdk.App()
    try:
        build(app, Bundler())
    except ParameterError as error:
        print(error, file=sys.stderr)
        return 1
    except ConfigError as error:
        print("\n".join(finding.pretty() for finding in error.findings) or error.message, file=sys.stderr)
        return 1
    except CloseoutError as error:
        print(error.message, file=sys.stderr)
        return 1
    app.synth()
    return 0


def build(app: cdk.App, bundler: Bundler) -> CloseoutStack:
    """Add the stack to `app`. Raises `ParameterError` or `CloseoutError` with every mistake in its message."""
    context = app.node.get_all_context()
    given = parameters.read(context)
    for note in given.notes:
        print(f"note: {note}", file=sys.stderr)
    if not given.secret_readers:
        print(NOBODY, file=sys.stderr)
    config = read_config(given, bundler)
    for warning in config.warnings:
        print(warning, file=sys.stderr)
    if config.unknown and not given.worker_policies:
        print(UNKNOWN.format(listed(config.unknown, "and")), file=sys.stderr)
    bundles = make_bundles(given, config, bundler)
    for bundle in bundles.values():
        print(bundle.line(), file=sys.stderr)
    stack = CloseoutStack(
        app,
        given.stack_name,
        parameters=given,
        config=config,
        bundles=bundles,
        # No account: the template works in any, so that synthesis needs no credentials.
        env=cdk.Environment(region=given.region),
        # CloudFormation tags a stack's secrets again when the stack's own tags change, which our policy on them may refuse. So the
        # stack with the first name has none; `core.protect` protects it by name.
        tags=None if given.stack_name == parameters.STACK else {protect.TAG: given.stack_name},
    )
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    return stack


def make_bundles(given: Parameters, config: Config, bundler: Bundler) -> dict[str, Bundle]:
    """Build the functions' bundles."""
    target = Target(architecture=given.architecture, host=given.bundle_platform == "host")
    bundles = {
        "receiver": bundler.receiver(config.rules),
        "worker": bundler.worker(given.config_file, given.code_path, given.requirements_file, target),
    }
    if given.guard is not None:
        bundles["guard"] = bundler.guard(target)
    if secrets(config.routes):
        bundles["notify"] = bundler.notify(target)
    return bundles
