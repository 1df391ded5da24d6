"""The stable codes of findings, one line each: what `closeout check --json` gives and the reference explains.

A script may match on a code, so a code is never renamed; the reference page is made from this list.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # the file and its YAML
    "unreadable-file": "There is no such file, or it cannot be opened, is not UTF-8, or is larger than 256 KB.",
    "empty-file": "The file holds nothing.",
    "yaml-syntax": "The text is not valid YAML, or holds a second document.",
    "yaml-tag": "An unquoted `!` made a YAML tag of a value, which would silently lose it. Quote the value.",
    "yaml-merge": "Merge keys (`<<`) are not supported. Anchors and aliases are.",
    "yaml-too-large": "Values are nested too deep, or there are too many of them once aliases are followed.",
    "github-workflow": "The file, or an automation, is a whole workflow of GitHub Actions. The fix shows an automation.",
    "duplicate-key": "A key stands twice in one map.",
    "key-not-text": "A key is a number, a truth value, null, a list or a map.",
    "bad-character": "A value holds a NUL or half a surrogate pair.",
    # keys and types
    "unknown-key": "closeout has no such key at this place.",
    "missing-key": "A required key is not there.",
    "empty-value": "A key is there without a value.",
    "wrong-type": "The value is of another type than the key takes.",
    "bad-value": "The value is none of those that the key takes.",
    "out-of-range": "A number or a duration is below or above what is allowed.",
    "bad-duration": "A duration is not written like `90s`, `15m` or `1h30m`.",
    "bad-name": "An automation's name, a step's id or a variable's name holds characters that are not allowed.",
    "bad-url": "A URL is not `http(s)://host…`.",
    # secrets and AWS
    "bad-reference": "A secret is given as something else than `env:`, `file:` or `aws-secretsmanager:`. "
    "If it is the secret itself: it is now in a file, so replace it.",
    "reference-not-allowed": "A secret reference (`env:NAME`) is given to an input that takes none: the text itself would be used.",
    "reference-later": "A kind of secret reference that this version does not have yet.",
    "bad-account": "An AWS account is not twelve digits in quotes.",
    "aws-missing": "An `aws/*` step is used, and account or region is given neither in `aws:` nor in its `with:`.",
    "aws-role-account": "`assume-role` names a role of another account than `account`; every call of the step would be refused.",
    # triggers
    "missing-types": "`pull_request` without `types`: GitHub Actions' default has no `closed`, so closeout has none.",
    "filter-conflict": "A filter and its `-ignore` form stand together.",
    "bad-pattern": "A filter pattern that GitHub Actions would refuse as well.",
    "bad-trigger": "A filter that this event does not have.",
    "not-a-webhook": "An event of GitHub Actions that is never sent as a webhook.",
    "unknown-event": "Warning: GitHub is not known to send this event, and there is one that is almost called so.",
    "unknown-type": "Warning: GitHub is not known to send this action for this event, so it may never match. "
    "One that is almost a known one is an error, `bad-value`.",
    # guards
    "repositories-missing": "A destructive step needs `repositories`.",
    "repositories-too-wide": "`repositories` of an automation with a destructive step would match every repository.",
    "name-without-repository": "Several repositories can match, and nothing in what a step names tells them apart.",
    "shared-name": "Two subjects (pull requests, mostly) can give destructive steps one name, so closing one deletes what is the other's.",
    "undecided-name": "Patterns or templates are too intricate to tell whether two subjects can have one name.",
    "constant-name": "Warning: what a destructive step names is the same for every event, or for two pull requests of one repository.",
    "untrusted-name": "Text that an outsider chooses is part of a name, and `allow-untrusted` does not list it.",
    "untrusted-value": "Warning: text that an outsider chooses is handed to a step that deletes.",
    "unused-permission": "Warning: `allow-untrusted` lists a field that no name of the step uses.",
    "unguarded-event": "A destructive step on an event that has no live check, without `unguarded: true`.",
    # expressions
    "bad-expression": "A CEL expression does not compile, or cannot give the type that its place needs.",
    "bad-template": "A `${{` has no end.",
    "template-not-allowed": "`${{ }}` stands where it is not filled in (in a shell script: use `env:`).",
    # steps
    "unknown-action": "`uses` names no action.",
    "duplicate-id": "Two steps of an automation have one id.",
    "unknown-input": "The action has no such input.",
    "missing-input": "The action needs this input.",
    "bad-input": "The action does not take this value.",
    "misplaced-input": "An input of the action stands beside `uses` and not in `with`.",
    "not-for-action": "`destructive` or `pass-env` on an action that does not have it.",
    # Python
    "module-failed": "A module of `modules` cannot be imported. As a warning: what a `python` step calls is not on this machine.",
    "bad-function": "An `@on` function is declared in a way that cannot work.",
    "duplicate-automation": "Two automations have one name.",
}
