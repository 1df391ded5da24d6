"""What a stack runs, for commands that make the next attempt at a run: what was deployed last, and no file of theirs.

A file beside the command line may be newer than the stack, older, or another stack's. What the worker guards by is in
the ledger's table, and so is what a rerun or a replay begins with.
"""

from __future__ import annotations

from pathlib import Path

from closeout.config.load import Loaded
from closeout.config.settings import AwsSettings, Settings
from closeout.core.errors import Unavailable, UsageError
from closeout.stack.deployed import Deployed
from closeout.wiring.stack import Stack
from closeout.wiring.stack_ledger import StackLedger


def read_deployed(stack: Stack, ledger: StackLedger) -> Deployed:
    """Return what is deployed. Raises `Unavailable` if this closeout cannot say what that is, `StoreUnavailable`."""
    deployed = ledger.deployed.read()
    if deployed is None:
        raise Unavailable(
            f"The stack {stack.name} does not say which configuration it runs: an earlier closeout deployed it. Deploy it"
            f" again with this version (`cdk deploy {stack.name}`)."
        )
    if deployed.unknown:
        raise Unavailable(
            f"A later closeout deployed the stack {stack.name}: its configuration has {', '.join(deployed.unknown)}, which"
            " this version does not know. Use that version's command."
        )
    if deployed.rewritten:
        raise Unavailable(
            f"An earlier closeout deployed the stack {stack.name}: this version writes {', '.join(deployed.rewritten)} in"
            " another form, and the worker runs none that was not deployed. Deploy the stack again with this version, or use"
            " that version's command."
        )
    return deployed


def as_loaded(stack: Stack, deployed: Deployed) -> Loaded:
    """Return it as a configuration by which a plan can be shown here: with the stack's token, and without its modules."""
    settings = Settings(
        secrets_github=f"aws-secretsmanager:{stack.output('GitHubTokenSecretName')}",
        api_url=deployed.api_url,
        # Steps have the file's region in themselves; here it is where the token is.
        aws=AwsSettings(region=stack.region),
        protect_names=deployed.protect_names,
        protect_tags=deployed.protect_tags,
    )
    return Loaded(settings=settings, automations=tuple(deployed.automations.values()), functions={})


def check_same(stack: Stack, deployed: Deployed, loaded: Loaded, path: Path) -> None:
    """Raise `UsageError` if a file that was named is not what is deployed: nothing may seem to go by it."""
    here = {automation.name: automation.canonical() for automation in loaded.automations}
    there = {name: automation.canonical() for name, automation in deployed.automations.items()}
    other = sorted(name for name in {*here, *there} if here.get(name) != there.get(name))
    if other:
        raise UsageError(
            f"{path} is not what is deployed in {stack.name} (different: {', '.join(other)}), and on a stack what is deployed"
            " counts. Deploy the file first, or leave --config out."
        )
