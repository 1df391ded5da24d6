"""The parameters in `cdk.context.json` and `cdk deploy -c key=value`, checked before anything is created.

Values are JSON in the file and text on the command line, so each is read from both. All mistakes are reported
together, with the key that was probably meant.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
"""`cdk/`: where relative paths begin."""

STACK = "closed-pr-event-stack"
"""The stack's name unless `stackName` says another one."""
LONGEST_NAME = 24
"""Characters of a stack's name: CloudFormation must not truncate the functions' names, because policies use their prefixes."""
RETENTION = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""Days that CloudWatch Logs can keep a log group's events."""
KEEPABLE = ("ledger", "secrets", "logs")

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]")
_STACK_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9-]{{0,{LONGEST_NAME - 1}}}")
_STAGE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:root|(?:role|user)/[\w+=,.@/*-]{1,512})", re.ASCII)
_POLICY = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:policy/[\w+=,.@/-]{1,512}", re.ASCII)
_MAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;.]+")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_RESERVABLE = range(1, 10_001)
"""Values that some account may allow; 0 would switch a function off."""
_RESERVED = ("AWS_", "LAMBDA_", "CLOSEOUT_", "_")


class ParameterError(Exception):
    """The parameters cannot be used; the message has one line for each mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters, with every default filled in. Paths are absolute; `None` if there is no such file."""

    stack_name: str
    region: str
    stage: str
    config_file: Path
    code_path: Path | None
    requirements_file: Path | None
    environment: Mapping[str, str]
    worker_policies: tuple[str, ...]
    """ARNs of the user's own managed policies, for what their scripts and functions do."""
    webhook_secret_name: str | None
    github_token_secret: str | None
    """The name of an existing secret; None: the stack creates an empty one."""
    secret_readers: tuple[str, ...]
    github_addresses: tuple[str, ...]
    """CIDR ranges; empty: any address."""
    guard: tuple[str, ...] | None
    """CIDR ranges that may ask the guard; empty: any address; None: the stack has no guard."""
    api_log_role: str
    log_retention_days: int
    retention_days: int
    receiver_concurrency: int | None
    """The receiver's reserved concurrency, which is also its limit; None: what the account has left."""
    worker_concurrency: int | None
    alarm_email: str | None
    architecture: str
    bundle_platform: str
    keep: frozenset[str]
    branch: str | None = None
    """The write-up's `pPrToBranch`, to be checked against the configuration."""
    notes: tuple[str, ...] = field(default=())


class _Bad(Exception):
    """A value is wrong; the message says what is expected."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Bad(f"expected text, got {json.dumps(value, default=str)}")
    return value.strip()


def _optional(value: Any) -> str | None:
    return (_text(value) or None) if value is not None else None


def _matching(pattern: re.Pattern[str], form: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = _text(value)
        if not pattern.fullmatch(text):
            raise _Bad(f"`{text}` is not {form}")
        return text

    return read


def _maybe(read: Callable[[Any], str]) -> Callable[[Any], str | None]:
    return lambda value: None if _optional(value) is None else read(value)


def _choice(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = "off" if value is False else _text(value)
        if text not in words:
            close = difflib.get_close_matches(text, words, n=1)
            raise _Bad(
                f"`{text}` is none of {', '.join(words)}" + (f"; did you mean `{close[0]}`?" if close else "")
            )
        return text

    return read


def _number(value: Any, allowed: Sequence[int], form: str) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not text.isdecimal() or int(text) not in allowed:
        raise _Bad(f"`{text}` is {form}")
    return int(text)


def _days(allowed: Sequence[int]) -> Callable[[Any], int]:
    known = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else ", ".join(map(str, allowed))
    return lambda value: _number(value, allowed, f"not a number of days that can be kept ({known})")


def _concurrency(value: Any) -> int | None:
    if value is False or str(value).strip() in ("off", "false", ""):
        return None
    most = f"{_RESERVABLE[-1]:,}"
    return _number(value, _RESERVABLE, f"neither off nor a number of invocations at once, 1 to {most}")


def _list(value: Any) -> list[str]:
    """Read a list, or its form on a command line: JSON, or text with commas."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            value = _json(text)
        else:
            value = [part.strip() for part in text.split(",") if part.strip()]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _Bad(f"expected a list of texts, got {json.dumps(value, default=str)}")
    return value


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise _Bad(f"`{text}` is not JSON") from None


def _readers(value: Any) -> tuple[str, ...]:
    readers = _list(value)
    for arn in readers:
        if ":sts::" in arn and ":assumed-role/" in arn:
            raise _Bad(f"`{arn}` is a session; give the role that it assumed: arn:aws:iam::ACCOUNT:role/NAME")
        if not _PRINCIPAL.fullmatch(arn):
            raise _Bad(f"`{arn}` is not the ARN of a role, of a user or of an account's root")
        if re.search(r":(?:role|user)/[*/]*$", arn):
            raise _Bad(f"`{arn}` is everybody in that account; name the roles")
    return tuple(dict.fromkeys(readers))


def _policies(value: Any) -> tuple[str, ...]:
    policies = _list(value)
    for arn in policies:
        if not _POLICY.fullmatch(arn):
            raise _Bad(
                f"`{arn}` is not the ARN of a policy of your own account (arn:aws:iam::ACCOUNT:policy/NAME)"
            )
    return tuple(dict.fromkeys(policies))


def _keep(value: Any) -> frozenset[str]:
    if value in (True, "true", "all"):
        return frozenset(KEEPABLE)
    if value in (None, False, "false", "none"):
        return frozenset()
    words = _list(value)
    read = _choice(*KEEPABLE)
    return frozenset(read(word) for word in words)


def _environment(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        value = _json(value) if value.strip() else {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _Bad("expected a map of variables to texts")
    for name in value:
        if not _VARIABLE.fullmatch(name) or name.upper().startswith(_RESERVED):
            raise _Bad(f"`{name}` cannot be set: {', '.join(_RESERVED[:3])} belong to AWS and to closeout")
    return {str(name): str(item) for name, item in value.items()}


def _there(kind: str, is_there: Callable[[Path], bool]) -> Callable[[Any], Path | None]:
    def read(value: Any) -> Path | None:
        text = _optional(value)
        if text is None:
            return None
        path = (ROOT / text).resolve()
        if not is_there(path):
            raise _Bad(f"there is no {kind} `{text}` (looked for it from {ROOT.name}/)")
        return path

    return read


_file = _there("file", Path.is_file)
_folder = _there("folder", Path.is_dir)


def _config(value: Any) -> Path:
    path = _file(value)
    if path is None:
        raise _Bad("name the configuration, like closeout.yaml")
    return path


def _addresses(value: Any) -> tuple[str, ...]:
    if value in (None, "", "off", False, "false"):
        return ()
    from closeout_cdk import addresses  # noqa: PLC0415 - only when asked for

    path = _file(value)
    assert path is not None
    try:
        return addresses.read(path)
    except ValueError as error:
        raise _Bad(f"{path.name}: {error}") from None


def _guard(value: Any) -> tuple[str, ...] | None:
    if value in (None, "", "off", False, "false"):
        return None
    if value == "any":
        return ()
    from closeout_cdk import addresses  # noqa: PLC0415 - as above

    try:
        return addresses.networks(_list(value))
    except ValueError as error:
        raise _Bad(f"{error}; say off, any, or the address ranges of your runners") from None


_READ: dict[str, tuple[str, Any, Callable[[Any], Any]]] = {
    "stackName": (
        "stack_name",
        STACK,
        _matching(
            _STACK_NAME, f"a stack's name (letters, digits, `-`, at most {LONGEST_NAME}, a letter first)"
        ),
    ),
    "region": ("region", "eu-central-1", _matching(_REGION, "an AWS region, like eu-central-1")),
    "stage": ("stage", "prod", _matching(_STAGE, "the name of a stage (letters, digits, `_`, `-`)")),
    "configFile": ("config_file", "closeout.yaml", _config),
    "codePath": ("code_path", "", _folder),
    "requirementsFile": ("requirements_file", "", _file),
    "environment": ("environment", {}, _environment),
    "workerPolicies": ("worker_policies", [], _policies),
    "webhookSecretName": ("webhook_secret_name", "", _maybe(_matching(_SECRET_NAME, "the name of a secret"))),
    "githubTokenSecret": (
        "github_token_secret",
        "create",
        _matching(_SECRET_NAME, "`create` or the name of a secret (its name, not its ARN)"),
    ),
    "secretReaders": ("secret_readers", [], _readers),
    "githubAddresses": ("github_addresses", "off", _addresses),
    "guard": ("guard", "off", _guard),
    "apiGatewayLogRole": ("api_log_role", "create", _choice("existing", "create", "off")),
    "logRetentionDays": ("log_retention_days", 30, _days(RETENTION)),
    "retentionDays": ("retention_days", 30, _days(range(7, 3651))),
    "receiverConcurrency": ("receiver_concurrency", "off", _concurrency),
    "workerConcurrency": ("worker_concurrency", "off", _concurrency),
    "alarmEmail": ("alarm_email", "", _maybe(_matching(_MAIL, "a mail address"))),
    "architecture": ("architecture", "arm64", _choice("arm64", "x86_64")),
    "bundlePlatform": ("bundle_platform", "lambda", _choice("lambda", "host")),
    "keepOnDestroy": ("keep", [], _keep),
}
"""For each key in the file: its field, default and reader."""

DEPRECATED = {"pWebhookSecretName": "webhookSecretName", "pGitHubAcessTokenSecretName": "githubTokenSecret"}
"""The parameters of the 2021 write-up, and their present names."""
OLD_BRANCH = "pPrToBranch"

DEFAULTS: Mapping[str, Any] = {key: default for key, (_, default, _) in _READ.items()}


def read(context: Mapping[str, Any]) -> Parameters:
    """Read the parameters from the app's context. Raises `ParameterError` with every mistake."""
    problems: list[str] = []
    given = {key: value for key, value in context.items() if not _is_cdk(key)}
    branch, notes = _deprecated(given, problems)
    values: dict[str, Any] = {"branch": branch, "notes": tuple(notes)}
    problems += [_unknown(key) for key in given if key not in _READ]
    for key, (name, default, reader) in _READ.items():
        try:
            values[name] = reader(default if given.get(key) is None else given[key])
        except _Bad as error:
            problems.append(f"{key}: {error}")
    if problems:
        raise ParameterError(
            "cdk.context.json (or -c) cannot be used:\n" + "\n".join(f"  {line}" for line in problems)
        )
    if values["github_token_secret"] == "create":  # noqa: S105 - a word of the parameter
        values["github_token_secret"] = None
    return Parameters(**values)


def _is_cdk(key: str) -> bool:
    """Whether a key is the CDK's own: a feature flag, a setting, or a cached lookup."""
    return key.startswith("@") or ":" in key or key in ("tree", "node_modules")


def _unknown(key: str) -> str:
    close = difflib.get_close_matches(key.casefold(), [name.casefold() for name in _READ], n=1, cutoff=0.6)
    names = {name.casefold(): name for name in _READ}
    return f"{key}: there is no such parameter" + (
        f"; did you mean `{names[close[0]]}`?" if close else f"; known: {', '.join(_READ)}"
    )


def _deprecated(given: dict[str, Any], problems: list[str]) -> tuple[str | None, list[str]]:
    """Move the write-up's keys to today's; return its branch and a note about each."""
    notes: list[str] = []
    for old, new in DEPRECATED.items():
        value = given.pop(old, None)
        if value in (None, ""):
            continue
        if given.get(new) not in (None, "", DEFAULTS[new], value):
            problems.append(f"{old}: `{new}` says something else; remove {old}")
            continue
        given[new] = value
        notes.append(f"{old} is read as `{new}`; write {new}, since {old} goes away with version 1")
    branch = given.pop(OLD_BRANCH, None)
    if branch in (None, ""):
        return None, notes
    notes.append(
        f"{OLD_BRANCH} is checked against the configuration, which names branches now"
        f" (on: {{ pull_request: {{ types: [closed], branches: [{branch}] }} }}); remove {OLD_BRANCH}"
    )
    return str(branch), notes
