"""The stable codes of findings, as in `closeout check --json`, with one line each that explains them.

Scripts may match on a code, so a code is never renamed. The reference page is made from this list.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # the file and its YAML
    "unreadable-file": "There is no such file, or it cannot be opened, is not UTF-8, or is larger than 256 KB.",
    "empty-file": "The file is empty.",
    "yaml-syntax": "The text is not valid YAML, or contains a second document.",
    "yaml-tag": "YAML reads an unquoted `!` as a tag and drops it. Quote the value.",
    "yaml-merge": "Merge keys (`<<`) are not supported. Anchors and aliases are.",
    "yaml-too-large": "Values are nested too deep, or there are too many of them once aliases are followed.",
    "github-workflow": "The file, or an automation, is a whole workflow of GitHub Actions. The fix shows an automation.",
    "duplicate-key": "A map has the same key twice.",
    "key-not-text": "A key is a number, a truth value, null, a list or a map.",
    "bad-character": "A value contains a NUL or half a surrogate pair.",
    # keys and types
    "unknown-key": "closeout has no such key at this place.",
    "missing-key": "A required key is missing.",
    "empty-value": "A key has no value.",
    "wrong-type": "The value has the wrong type for this key.",
    "bad-value": "The key does not accept this value.",
    "out-of-range": "A number or a duration is below or above what is allowed.",
    "bad-duration": "A duration is not written like `90s`, `15m` or `1h30m`.",
    "bad-name": "An automation's name, a step's id or a variable's name contains characters that are not allowed.",
    "bad-url": "A URL is not `http(s)://host…`.",
    # secrets and AWS
    "bad-reference": "A secret is not a reference (`env:`, `file:` or `aws-secretsmanager:`). "
    "If you wrote the secret itself, rotate it: it is in a file now.",
    "reference-not-allowed": "An input that accepts no secret references has one (`env:NAME`): closeout would use the text itself.",
    "reference-later": "This version does not support this kind of secret reference yet.",
    "bad-account": "An AWS account is not twelve digits in quotes.",
    "aws-missing": "An `aws/*` step has no account or no region, neither in `aws:` nor in its `with:`.",
    "aws-role-account": "`assume-role` names a role in another account than `account`, so AWS would deny every call.",
    # triggers
    "missing-types": "`pull_request` has no `types`. The default in GitHub Actions does not include `closed`, so closeout has no default.",
    "filter-conflict": "A trigger has a filter and its `-ignore` form.",
    "bad-pattern": "GitHub Actions would reject this filter pattern too.",
    "bad-trigger": "This event does not support the filter.",
    "not-a-webhook": "The event exists in GitHub Actions only; GitHub sends no webhook for it.",
    "unknown-event": "Warning: GitHub documents no such event, but one with a similar name.",
    "unknown-type": "Warning: GitHub documents no such action for this event, so it may never match. "
    "A likely typo is an error, `bad-value`.",
    # guards
    "repositories-missing": "A destructive step needs `repositories`.",
    "repositories-too-wide": "An automation with a destructive step would match repositories of any owner.",
    "name-without-repository": "Several repositories can match, and the names in a step do not tell them apart.",
    "shared-name": "Two subjects (mostly pull requests) can produce the same name, so closing one would delete what belongs to the other.",
    "undecided-name": "The patterns or templates are too complex to decide whether two subjects can produce the same name.",
    "constant-name": "Warning: a destructive step uses the same name for every event, or for two pull requests of one repository.",
    "untrusted-name": "Text that outsiders control, or that is known only in the run, becomes part of a name. For a field of the event `allow-untrusted` permits it.",
    "untrusted-value": "Warning: outsiders control text that a destructive step receives.",
    "unused-permission": "Warning: `allow-untrusted` lists a field that no name of the step uses.",
    "unguarded-event": "A destructive step runs on an event without a live check, and `unguarded: true` is missing.",
    # expressions
    "bad-expression": "A CEL expression does not compile, or has the wrong type for its place.",
    "bad-template": "A `${{` has no end.",
    "template-not-allowed": "closeout does not fill in `${{ }}` at this place (in a shell script, use `env:`).",
    # steps
    "unknown-action": "There is no such action.",
    "unknown-step": "An expression asks for a step that is not before its own.",
    "duplicate-id": "Two steps of an automation have the same id.",
    "unknown-input": "The action has no such input.",
    "missing-input": "The action needs this input.",
    "bad-input": "The action does not accept this value.",
    "misplaced-input": "An input of the action is next to `uses` instead of in `with`.",
    "not-for-action": "The action does not support `destructive`, `expect`, `pass-env` or `recheck`.",
    "nothing-to-delete": "`environment` is set, and no step of the automation deletes by itself.",
    # Python
    "module-failed": "A module of `modules` cannot be imported. As a warning: this machine does not have what a `python` step calls.",
    "bad-function": "The declaration of an `@on` function cannot work.",
    "duplicate-automation": "Two automations have the same name.",
}
