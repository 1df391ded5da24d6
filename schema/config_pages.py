"""The reference pages about the file, made from the table of keys and the list of codes.

A page that is written by hand falls behind the code; these two are compared with what this module gives, so a
key or a code without its sentence cannot be merged.
"""

from __future__ import annotations

from closeout.config import keys
from closeout.config.codes import CODES

_LEVELS = {
    "file": ("The file", "Keys at the top of `closeout.yaml`."),
    "secrets": (
        "`secrets`",
        (
            "A reference is `env:NAME` (an environment variable), `file:PATH` (a file that only its owner can read) or "
            "`aws-secretsmanager:NAME`, with `#key` for one value of a JSON secret. A secret itself is refused."
        ),
    ),
    "github": ("`github`", "Needed for GitHub Enterprise Server only."),
    "aws": ("`aws`", "A step's `with` may override each of them for that step."),
    "protect": (
        "`protect`",
        "The short form, a list, is the same as `names`. A plan that includes something protected is rejected entirely.",
    ),
    "patrol": (
        "`patrol`",
        "What [patrol](../explanation/patrol.md) does by itself. `off` switches a part off, for `closeout patrol` too.",
    ),
    "notify": (
        "`notify`",
        "See [Get told when something needs you](../how-to/get-told.md).",
    ),
    "automation": (
        "An automation",
        "Keys of an entry of `automations`. Its name is its key.",
    ),
    "trigger": (
        "A trigger",
        (
            "Filters of one event under `on`, with the meaning that they have in GitHub Actions: the last pattern that "
            "matches decides, `!` takes back, `*` does not cross a `/` and `**` does. An event without filters has no value."
        ),
    ),
    "step": ("A step", "Keys of an item of `steps`. The inputs of its action are under `with`."),
    "retry": (
        "`retry`",
        "Only calls that fail with a transient error (throttling, a timeout, a 5xx) are retried.",
    ),
}

_NOTES = """\
## Durations

`90s`, `15m`, `3h`, `1h30m`, `2d`: days, hours, minutes and seconds in this order. A number without a unit is an
error.

## URLs

One strict rule applies to `github.api-url`, `public-url`, the `url` of `http/request` and the `Location` of a redirect: `http` or
`https`, a host of ASCII letters, digits, `.`, `_` and `-` (or an IPv6 address in brackets), an optional port from 1 to 65535, and
visible ASCII characters. A backslash, credentials, an empty port or a fragment is an error. Write an international host in its ASCII
form (`xn--…`), and percent-encode other characters.

## YAML

* The file is YAML 1.2: `on`, `yes` and `no` are text, `true` and `false` are truth values.
* A value that begins with `!` must be quoted. YAML would read `!event.pull_request.draft` as a tag and drop it, so
  every tag is an error.
* A repeated key is an error, and so is a key without a value (an event under `on` may have none).
* Anchors and aliases work; merge keys (`<<`) do not. A file has at most 256 KB and one document.
* Numbers that are names (an AWS account, a tag like `012`) must be quoted.

## What is checked when the file is loaded

Everything that does not depend on an event: types and ranges, patterns, that each expression compiles, the inputs of
each action, and the guards: a destructive step needs `repositories`, an event with a live check (a pull request that was
closed, a deleted ref) or `unguarded: true`, and a name that no outsider controls and that tells repositories apart. `closeout check` shows all mistakes at once; [config-errors](config-errors.md) explains the codes.

## Functions instead of steps

`@on(...)` in a module of `modules` takes the keys of an automation as keywords (`condition` for `if`, underscores for
dashes) and is checked by the same rules. A function counts as destructive unless it says `destructive=False`.
"""


def config_page() -> str:
    """Return docs/reference/config.md."""
    lines = [
        "# closeout.yaml",
        "",
        "<!-- Made by `python schema/generate.py` from src/closeout/config/keys.py and schema/config_pages.py. -->",
        "",
        "Triggers have the shape and the meaning of a workflow's `on` in GitHub Actions; steps have `uses`, `with`, `if` and",
        "`id`; `${{ }}` and `if` hold [CEL expressions](expressions.md). The actions and their inputs are listed by",
        "`closeout actions list`. For completion in an editor, the file begins with the line",
        "`# yaml-language-server: $schema=closeout.schema.json`, and `closeout schema > closeout.schema.json` puts the",
        "schema beside it. `closeout init` writes both.",
        "",
    ]
    for level, (title, text) in _LEVELS.items():
        lines += [
            f"## {title}",
            "",
            text,
            "",
            "| key | value | default | meaning |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| `{key.name}` | {_cell(key.form)} | {_cell(key.default)} | {_cell(key.meaning)} |"
            for key in keys.KEYS
            if key.level == level
        ]
        lines.append("")
    return "\n".join(lines) + "\n" + _NOTES


def errors_page() -> str:
    """Return docs/reference/config-errors.md."""
    lines = [
        "# Findings in a configuration",
        "",
        "<!-- Made by `python schema/generate.py` from src/closeout/config/codes.py. -->",
        "",
        "`closeout check` prints each finding as `FILE:LINE:COL: message`; with `--json` it also gives the code, which never",
        "changes its meaning. Warnings do not keep the file from being used.",
        "",
        "| code | meaning |",
        "| --- | --- |",
    ]
    return "\n".join([*lines, *(f"| `{code}` | {_cell(text)} |" for code, text in CODES.items())]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
