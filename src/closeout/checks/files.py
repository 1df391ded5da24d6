"""Checks of the file and of its references to this machine: the configuration, its variables, its secrets.

They come first, because nothing else can be asked without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from closeout.actions.registry import builtin
from closeout.checks.check import Check, Result, failed, fine, skipped, unknown, worst, wrong
from closeout.checks.world import World
from closeout.config.permissions import github_statements
from closeout.core.errors import ConfigError, SecretError
from closeout.core.units import counted


def _configuration(world: World) -> Result:
    try:
        count = len(world.loaded.automations)
    except ConfigError as error:
        first, *more = error.message.splitlines()
        text = f"{first} (and {len(more)} more)" if more else first
        if not world.file.exists():
            return wrong(text, "name your file with --config, or write one with `closeout init`")
        return wrong(text, f"run `closeout check {world.file}`, which shows each error with its fix")
    return fine(f"{world.file.name} is valid: {counted(count, 'automation')}")


def _variables(world: World) -> Result:
    settings = world.loaded.settings
    given = {"public-url": settings.public_url, "github.api-url": settings.api_url}
    named = {key: text for key, text in given.items() if text and text.startswith("env:")}
    if not named:
        return skipped("no address in the file is written `env:NAME`")
    try:
        for key, text in named.items():
            world.outside.setting(text, key)
    except ConfigError as error:
        return wrong(error.message)
    return fine(f"{' and '.join(named)} can be read")


def _webhook_secret(world: World) -> Result:
    references = world.loaded.settings.secrets_webhook
    if not references:
        return wrong("the file has no `secrets.webhook`")
    return _secrets(world, references)


def _token(world: World) -> Result:
    reference = world.loaded.settings.secrets_github
    if reference is None:
        if not github_statements(world.loaded.automations, builtin()):
            return skipped("no automation needs GitHub's API")
        return wrong("the file has no `secrets.github`")
    return _secrets(world, (reference,))


def _step_secrets(world: World) -> Result:
    references = world.loaded.step_secrets
    return _secrets(world, references) if references else skipped("no step refers to a secret")


def _secrets(world: World, references: Sequence[str]) -> Result:
    results = []
    for reference in references:
        try:
            world.outside.secrets.read(reference)
        except SecretError as error:
            results.append(failed(error, _fix_for(reference)))
        except Exception as error:  # noqa: BLE001 - its text may contain the value
            results.append(unknown(f"{reference} cannot be read: {type(error).__name__}"))
    return worst(results, f"{', '.join(references)} can be read")


def _fix_for(reference: str) -> str:
    """Return how to make a secret readable at the place in its reference."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        return f"set {place} in the environment of `closeout serve`, and in this shell for this command"
    if kind == "file":
        return f"write the secret into {place}, owned by the server's user and readable by it only: `chmod 600 {place}`"
    return f"store the secret where {reference} says, and let closeout read it"


_check = partial(Check, group="Configuration")

CHECKS = (
    _check(
        id="configuration",
        looks="the configuration is valid",
        breaks="`closeout serve` does not start with this file",
        fix="run `closeout check`, which shows each error with its fix",
        ask=_configuration,
    ),
    _check(
        id="configuration-variables",
        looks="the variables that its addresses name are set",
        breaks="`closeout serve` does not start with this file",
        fix="set the variable in the service's environment",
        ask=_variables,
        after=("configuration",),
    ),
    _check(
        id="secret-webhook",
        looks="each webhook secret can be read, and by its owner only",
        breaks="`closeout serve` does not start, because it could verify no delivery",
        fix="add `secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }` and set that variable",
        ask=_webhook_secret,
        after=("configuration",),
    ),
    _check(
        id="secret-github",
        looks="GitHub's token can be read, and by its owner only",
        breaks="no commit gets a status, and nothing is deleted when a pull request closes",
        fix="add `secrets: { github: env:CLOSEOUT_GITHUB_TOKEN }` and set that variable",
        ask=_token,
        after=("configuration",),
    ),
    _check(
        id="secret-steps",
        looks="the secrets that steps refer to can be read",
        breaks="these steps fail, and logs may show the secret",
        fix="put the secret where its reference says",
        ask=_step_secrets,
        after=("configuration",),
    ),
)
