"""What the tests of the stack share: its synthesized form, and bundles of one small file each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from closeout_cdk.bundling import Bundle, Bundler, Target

ROOT = Path(__file__).resolve().parent.parent
COMMITTED: Mapping[str, Any] = json.loads((ROOT / "cdk.context.json").read_text())
FLAGS: Mapping[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]

DELETES = """\
version: 1
aws: { account: '123456789012', region: eu-central-1 }
automations:
  preview-cleanup:
    on:
      pull_request: { types: [closed], branches: [develop] }
    repositories: [acme/shop]
    timeout: 5h
    queue-timeout: 30h
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}', empty-buckets: true }
      - uses: aws/codebuild-start-build
        with: { project: preview-teardown }
      - uses: aws/s3-delete-objects
        with:
          bucket: previews-of-acme
          prefix: 'pr-${{ event.pull_request.number }}/'
          assume-role: arn:aws:iam::210987654321:role/closeout-previews
          account: '210987654321'
"""


class SmallBundler(Bundler):
    """Gives bundles of one file, whatever they are made for: a template does not look into them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "cache")
        self._folder = folder

    def receiver(self, rules: str) -> Bundle:
        """Return the receiver's."""
        return self._made_small("receiver", rules)

    def worker(self, config: Path, code: Path | None, requirements: Path | None, target: Target) -> Bundle:
        """Return the worker's."""
        return self._made_small("worker", config.read_text())

    def guard(self, target: Target) -> Bundle:
        """Return the guard's."""
        return self._made_small("guard", "")

    def notify(self, target: Target) -> Bundle:
        """Return the notifier's bundle."""
        return self._made_small("notify", "")

    def _made_small(self, name: str, text: str) -> Bundle:
        place = self._folder / name
        place.mkdir(exist_ok=True)
        (place / "handler.txt").write_text(text)
        return Bundle(name=name, path=place, hash=f"{name}0", unpacked=1, zipped=1, fresh=True)


class Made:
    """A synthesized stack: its template as a dict, by type and by outputs, and its app."""

    def __init__(self, app: cdk.App) -> None:
        self.app = app
        (made,) = app.synth().stacks
        self.stack = str(made.stack_name)
        self.tags = dict(made.tags)
        self.template: dict[str, Any] = made.template

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resources of a type, by their logical id."""
        return {name: made for name, made in self.template["Resources"].items() if made["Type"] == kind}

    def one(self, kind: str, part: str = "") -> dict[str, Any]:
        """Return the properties of the only resource of a type whose logical id holds `part`."""
        found = [made["Properties"] for name, made in self.of(kind).items() if part in name]
        assert len(found) == 1, (kind, part, list(self.of(kind)))
        return dict(found[0])

    def statements(self, part: str) -> list[dict[str, Any]]:
        """Return the statements of the only policy whose logical id holds `part`."""
        return list(self.one("AWS::IAM::Policy", part)["PolicyDocument"]["Statement"])


Make = Callable[..., Made]


def flat(value: Any) -> str:
    """Return a property as one text, references and all."""
    return json.dumps(value, sort_keys=True)


def allowed(made: Made, policy: str) -> list[tuple[set[str], str]]:
    """Return what a policy allows: actions, and resources as text."""
    found = []
    for statement in made.statements(policy):
        if statement["Effect"] == "Allow":
            actions = statement["Action"]
            found.append(
                ({actions} if isinstance(actions, str) else set(actions), flat(statement["Resource"]))
            )
    return found
