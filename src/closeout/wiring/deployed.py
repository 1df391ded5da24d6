"""The configuration that was deployed last to a stack, for commands that start the next attempt at a run.

A file on the caller's machine may be newer or older than the stack, or another stack's. The worker's guards and every rerun
or replay use the configuration in the ledger's table instead.
"""

from __future__ import annotations

from pathlib import Path

from closeout.config.load import Loaded
from closeout.config.settings import AwsSettings, Settings
from closeout.core.errors import Unavailable, UsageError
from closeout.stack.deployed import Deployed
from closeout.wiring.stack import Stack
from closeout.wiring.stack_ledger import StackLedger


def read_deployed(name: str, ledger: StackLedger) -> Deployed:
    """Return what is deployed in the stack `name`. Raises `StoreUnavailable`, or `Unavailable` if this version cannot read it."""
    deployed = ledger.deployed.read()
    if deployed is None:
        raise Unavailable(
            f"The stack {name} does not say which configuration it runs: an earlier closeout deployed it. Deploy it"
            f" again with this version (`cdk deploy {name}`)."
        )
    if deployed.unknown:
        raise Unavailable(
            f"A later closeout deployed the stack {name}: its configuration has {', '.join(deployed.unknown)}, which"
            " this version does not know. Use that version's command."
        )
    if deployed.rewritten:
        raise Unavailable(
            f"An earlier closeout deployed the stack {name}: this version writes {', '.join(deployed.rewritten)} in"
            " another form, and the worker runs only what was deployed. Deploy the stack again with this version, or use"
            " that version's command."
        )
    return deployed


def as_loaded(stack: Stack, deployed: Deployed) -> Loaded:
    """Return what is deployed as a configuration for plans: with the stack's token, without its modules."""
    settings = Settings(
        secrets_github=f"aws-secretsmanager:{stack.output('GitHubTokenSecretName')}",
        api_url=deployed.api_url,
        # Every step carries its own region; this one is where the token is stored.
        aws=AwsSettings(region=stack.region),
        protect_names=deployed.protect_names,
        protect_tags=deployed.protect_tags,
    )
    return Loaded(settings=settings, automations=tuple(deployed.automations.values()), functions={})


def check_same(stack: Stack, deployed: Deployed, loaded: Loaded, path: Path) -> None:
    """Raise `UsageError` if the given file is not what is deployed, because the command would ignore it."""
    here = {automation.name: automation.canonical() for automation in loaded.automations}
    there = {name: automation.canonical() for name, automation in deployed.automations.items()}
    other = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
    if other:
        raise UsageError(
            f"{path} is not what is deployed in {stack.name} (different: {', '.join(other)}), and a stack uses what is"
            " deployed. Deploy the file first, or omit --config."
        )
