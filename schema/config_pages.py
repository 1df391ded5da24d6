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
            "`aws-secretsmanager:NAME`, with `#key` for one value of a JSON secret. closeout rejects a secret itself."
        ),
    ),
    "github": ("`github`", "Needed for GitHub Enterprise Server only."),
    "aws": ("`aws`", "A step's `with` can override each key for that step."),
    "protect": (
        "`protect`",
        "A list is the short form of `names`. closeout rejects an entire plan that includes something protected.",
    ),
    "patrol": (
        "`patrol`",
        "What [patrol](../explanation/patrol.md) does by itself. `off` turns a part off, also for `closeout patrol`.",
    ),
    "notify": (
        "`notify`",
        (
            "See [Get notified when something needs you](../how-to/get-told.md). A message lists the first ten of several problems. "
            "If a notifier does not answer, closeout tries again after 30 seconds, then less often, down to once an hour."
        ),
    ),
    "automation": (
        "An automation",
        "Keys of an entry of `automations`. Its name is its key.",
    ),
    "trigger": (
        "A trigger",
        (
            "Filters of one event under `on`, as in GitHub Actions: the last pattern that matches decides, `!` excludes, `*` "
            "does not match a `/`, and `**` does. An event without filters has no value."
        ),
    ),
    "step": ("A step", "Keys of an item of `steps`. The inputs of its action are under `with`."),
    "retry": (
        "`retry`",
        "closeout retries only calls with a transient error: throttling, a timeout, a 5xx.",
    ),
}

_NOTES = """\
## Durations

`90s`, `15m`, `3h`, `1h30m`, `2d`: days, hours, minutes and seconds, in this order. A unit is required.

## URLs

One strict rule applies to `github.api-url`, `public-url`, the `url` of `http/request` and the `Location` of a redirect: `http` or
`https`, a host of ASCII letters, digits, `.`, `_` and `-` (or an IPv6 address in brackets), an optional port from 1 to 65535, and
visible ASCII characters. A backslash, credentials, an empty port or a fragment is an error. Write an international host in its ASCII
form (`xn--…`), and percent-encode other characters.

## YAML

* The file is YAML 1.2: `on`, `yes` and `no` are text, `true` and `false` are truth values.
* Quote a value that begins with `!`. YAML would read `!event.pull_request.draft` as a tag and drop it, so every tag is an error.
* Quote numbers that are names, such as an AWS account or a tag like `012`.
* A repeated key is an error, and so is a key without a value (except an event under `on`).
* Anchors and aliases work; merge keys (`<<`) do not. A file has at most 256 KB and one document.

## What is checked when the file is loaded

Everything that does not depend on an event: types, ranges, patterns, expressions, the inputs of each action, and the
[guards](guards.md#when-the-file-is-loaded). A destructive step needs `repositories`; an event with a live check (a closed pull request, a
deleted ref) or `unguarded: true`; and a name that no outsider controls and that differs between repositories. `closeout check` shows all
mistakes at once; [config-errors](config-errors.md) explains the codes.

## Functions instead of steps

`@on(...)` in a module of `modules` takes the keys of an automation as keyword arguments (`condition` for `if`, underscores for dashes), with
the same checks. A function counts as destructive unless it has `destructive=False`.
"""


def config_page() -> str:
    """Return docs/reference/config.md."""
    lines = [
        "# closeout.yaml",
        "",
        "<!-- Made by `python schema/generate.py` from src/closeout/config/keys.py and schema/config_pages.py. -->",
        "",
        "Triggers look and work like a workflow's `on` in GitHub Actions; steps have `uses`, `with`, `if` and `id`. `${{ }}` and `if`",
        "contain [CEL expressions](expressions.md). `closeout actions list` lists the [actions](actions.md). For completion in an editor,",
        "`closeout init` writes a schema beside the file, and a first line that names it",
        "(`# yaml-language-server: $schema=closeout.schema.json`).",
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
        "`closeout check` prints each finding as `FILE:LINE:COL: message`; with `--json` it adds the code, which never",
        "changes its meaning. A file with warnings only is valid.",
        "",
        "| code | meaning |",
        "| --- | --- |",
    ]
    return "\n".join([*lines, *(f"| `{code}` | {_cell(text)} |" for code, text in CODES.items())]) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
