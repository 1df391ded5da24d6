"""The file-level keys: secrets, addresses, the AWS account, modules, protection.

They are separate from the automations because they describe this installation: on AWS the stack's own secrets
and addresses replace them, while the automations stay the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field

from closeout.config import keys
from closeout.config.document import Mapping, Scalar, Sequence
from closeout.config.notify import read_notify
from closeout.config.patrol import PatrolSettings, read_patrol
from closeout.config.references import hide, read_reference
from closeout.config.values import ConfigNode
from closeout.core.errors import InputError
from closeout.core.problems import Route
from closeout.core.url import parse_base

GITHUB_API = "https://api.github.com"
_ENV = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*\Z")
_ACCOUNT = re.compile(r"[0-9]{12}\Z")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]\Z")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}\Z")
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsSettings:
    """The account that `aws/*` steps act in; None for keys that the file does not set."""

    account: str | None = None
    region: str | None = None
    assume_role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The file-level keys. `public_url` and `api_url` may be `env:NAME`, which is read at start."""

    secrets_webhook: tuple[str, ...] = ()
    secrets_github: str | None = None
    public_url: str | None = None
    api_url: str = GITHUB_API
    aws: AwsSettings = field(default_factory=AwsSettings)
    modules: tuple[str, ...] = ()
    protect_names: tuple[str, ...] = ()
    protect_tags: MappingType[str, str] = field(default_factory=dict)
    public_logs: bool = False
    patrol: PatrolSettings = field(default_factory=PatrolSettings)
    notify: Route | None = None
    """Where problems are reported; None: nowhere."""


def read_settings(found: MappingType[str, ConfigNode]) -> Settings:
    """Read the file-level keys, except `automations`."""
    webhook, token = _secrets(found.get("secrets"))
    names, tags = _protect(found.get("protect"))
    github = _section(found, "github")
    api_url = _url(github.get("api-url"))
    public_logs = found["public-logs"].boolean() if "public-logs" in found else None
    return Settings(
        secrets_webhook=webhook,
        secrets_github=token,
        public_url=_url(found.get("public-url")),
        api_url=api_url or GITHUB_API,
        aws=read_aws(_section(found, "aws")),
        modules=_modules(found.get("modules")),
        protect_names=names,
        protect_tags=tags,
        public_logs=bool(public_logs),
        patrol=read_patrol(found.get("patrol")),
        notify=read_notify(found.get("notify")),
    )


def _section(found: MappingType[str, ConfigNode], key: str) -> dict[str, ConfigNode]:
    return (found[key].section(keys.names(key)) if key in found else None) or {}


def read_version(found: MappingType[str, ConfigNode], root: ConfigNode) -> None:
    """Check `version`."""
    at = found.get("version")
    if at is None:
        if root.lacks("version", keys.names("file")):
            root.error("missing-key", "`version` is missing", "begin the file with `version: 1`")
    elif not isinstance(at.node, Scalar) or type(at.node.value) is not int or at.node.value != 1:
        at.error("bad-value", "this closeout reads version 1 only", "write `version: 1`, without quotes")


def read_aws(section: MappingType[str, ConfigNode]) -> AwsSettings:
    """Read account, region and role, of the file or of a step."""
    like, fix = "write it like eu-central-1", "write it like arn:aws:iam::123456789012:role/NAME"
    region, role = section.get("region"), section.get("assume-role")
    return AwsSettings(
        account=_account(section.get("account")),
        region=region.matching(_REGION, "is not an AWS region", like) if region else None,
        assume_role=role.matching(_ROLE, "is not the ARN of a role", fix) if role else None,
    )


def _account(at: ConfigNode | None) -> str | None:
    if at is None:
        return None
    value = at.node.value if isinstance(at.node, Scalar) else None
    if isinstance(value, str) and _ACCOUNT.match(value):
        return value
    fix = "write it like '123456789012'"
    if isinstance(at.node, Scalar) and at.node.plain and at.node.text.isdigit():
        fix = f"quote it, or YAML makes a number of it: '{at.node.text.zfill(12)}'"
    at.error("bad-account", "an AWS account is twelve digits in quotes", fix)
    return None


def _secrets(at: ConfigNode | None) -> tuple[tuple[str, ...], str | None]:
    if at is None:
        return (), None
    if not isinstance(at.node, Mapping):
        hide(at.node, at)
    section = at.section(keys.names("secrets")) or {}
    if isinstance(at.node, Mapping):
        for key, value in at.node.entries:
            if key.value not in section:
                hide(value, at)
    webhook: list[str] = []
    if "webhook" in section:
        place = section["webhook"]
        items = place.items() if isinstance(place.node, Sequence) else [place]
        webhook = [text for item in items or [] if (text := read_reference(item)) is not None]
    return tuple(webhook), read_reference(section["github"]) if "github" in section else None


def _url(at: ConfigNode | None) -> str | None:
    value = at.text() if at else None
    if at is None or value is None:
        return None
    if _ENV.match(value):
        return value
    try:
        parse_base(value)
    except InputError as error:
        fix = "write https://HOST/PATH without query, or env:NAME"
        at.error("bad-url", f"not a URL that can be used here: {error.message}", fix)
        return None
    return value.rstrip("/")


def _modules(at: ConfigNode | None) -> tuple[str, ...]:
    fix = "write it as in `import`: my_hooks or package.module"
    return at.each_matching(_MODULE, "is not a module name", fix) if at else ()


def _protect(at: ConfigNode | None) -> tuple[tuple[str, ...], dict[str, str]]:
    if at is None:
        return (), {}
    if not isinstance(at.node, Mapping):
        return at.texts() or (), {}
    section = at.section(keys.names("protect")) or {}
    names = section["names"].texts() if "names" in section else ()
    tags: dict[str, str] = {}
    place = section.get("tags")
    if place is not None and not isinstance(place.node, Mapping):
        place.wrong("a map", "write tag: value pairs; '*' stands for any value")
    elif place is not None and isinstance(place.node, Mapping):
        for key, node in place.node.entries:
            value = place.to(node, str(key.value)).text()
            if value is not None:
                tags[str(key.value)] = value
    return names or (), tags
