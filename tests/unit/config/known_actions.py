"""A small registry, so that the tests of `config` do not depend on the real actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closeout.actions.registry import Registry
from closeout.actions.spec import Action, Input
from closeout.core.retry import Backoff, Retry


def action(uses: str, inputs: dict[str, Input], destructive: Any = "unless-declared", **more: Any) -> Action:
    """An action that plans nothing."""
    return Action(
        uses=uses,
        summary=f"Summary of {uses}",
        description=f"Description of {uses}.",
        inputs=inputs,
        destructive=destructive,
        permissions=lambda inputs: (),
        plan=lambda inputs, clients: (),
        apply=lambda change, inputs, work: None,
        verify=lambda changes, clients: (),
        **more,
    )


def _prefix(inputs: Mapping[str, Any]) -> Sequence[str]:
    return () if str(inputs["prefix"]).endswith("/") else ("`prefix` must end in a delimiter",)


def _text(description: str = "text", **more: Any) -> Input:
    return Input(type="string", description=description, **more)


REGISTRY = Registry(
    (
        action(
            "aws/cloudformation-delete-stack",
            {
                "stack-name": _text("the stack's exact name", required=True, names=True),
                "empty-buckets": Input(type="boolean", description="empty its buckets", default=False),
                "role-arn": _text("a service role", pattern="arn:.+", names=True),
            },
            "always",
            needs_aws=True,
            absent=lambda inputs: f"stack {inputs['stack-name']}",
            timeout=7200.0,
            retry=Retry(attempts=5, backoff=Backoff(first=2.0)),
        ),
        action(
            "aws/s3-delete-objects",
            {
                "bucket": _text("the bucket", required=True, names=True),
                "prefix": _text("the prefix", required=True, names=True),
            },
            "always",
            needs_aws=True,
            check=_prefix,
        ),
        action("github/comment", {"body": _text("Markdown", required=True)}, "never"),
        action(
            "http/request",
            {
                "url": _text("the URL", required=True),
                "method": _text("the method", default="POST", choices=("GET", "POST")),
                "json": Input(type="any", description="the body"),
                "tries": Input(type="integer", description="tries"),
                "wait": Input(type="duration", description="how long"),
                "secret-headers": Input(type="map", description="headers by reference", secret=True),
                "token": _text("a token", secret=True),
            },
        ),
        action(
            "shell",
            {
                "run": _text("a script", templates=False, instead="pass it by `env:`"),
                "argv": Input(type="list", description="a command", templates=False),
                "env": Input(type="map", description="variables"),
            },
            own_code=True,
            passes_env=True,
        ),
    )
)
