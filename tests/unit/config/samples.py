"""For every code of a finding: a file with the mistake, and the place where it must be found."""

from __future__ import annotations

from typing import NamedTuple


class Sample(NamedTuple):
    """`text` has one mistake, found at the character after the marker `§` (which is taken out)."""

    code: str
    text: str
    says: str = ""

    def file(self) -> tuple[str, tuple[int, int]]:
        """The text without its marker, and the (line, column) of the marker."""
        before, mark, after = self.text.partition("§")
        assert mark, self.text
        return before + after, (before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


AUTOMATION = """\
version: 1
aws: { account: '123456789012', region: eu-central-1 }
automations:
  preview:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
"""
SHELL = """\
version: 1
automations:
  tidy:
    on: push
    steps:
      - uses: shell
        destructive: false
        with: { run: 'true' }
"""
REQUEST = SHELL.replace("uses: shell", "uses: http/request").replace(
    "run: 'true'", "url: 'https://example.org'"
)


def _in(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, (old, text)
    return text.replace(old, new)


def preview(old: str, new: str) -> str:
    """The deleting automation with one place changed."""
    return _in(AUTOMATION, old, new)


def tidy(old: str, new: str) -> str:
    """The harmless automation with one place changed."""
    return _in(SHELL, old, new)


def request(old: str, new: str) -> str:
    """The automation with an HTTP request with one place changed."""
    return _in(REQUEST, old, new)


CLOSED = "{ pull_request: { types: [closed] } }"
STACK = "'preview-${{ event.pull_request.number }}'"

SAMPLES: tuple[Sample, ...] = (
    # the file and its YAML
    Sample("unreadable-file", "§" + "# long\n" * 50_000, "larger than 256 KB"),
    Sample("empty-file", "§# only a comment\n"),
    Sample("empty-file", "§---\n...\n"),
    Sample("yaml-syntax", "version: 1\nautomations: §]\n"),
    Sample("yaml-syntax", "version: 1\n§---\nversion: 1\n", "second document"),
    Sample("yaml-syntax", "version: 1\nautomations: { a: x $§{{ event.ref }} }\n", "quote a value that contains a template"),
    Sample("yaml-syntax", "automations: { a: x $§{{ event.ref }} }\n", "quote a value that contains a template"),
    Sample("yaml-syntax", "version: §\"\\UFFFFFFFF\"\n".replace("§", "", 1).replace("version", "§version")),
    Sample("yaml-syntax", "version: 1\nautomations: §\x01\n", "a character that YAML does not allow"),
    Sample("yaml-syntax", tidy("steps:", "steps: §*nowhere\n    x:"), "&nowhere"),
    Sample("yaml-tag", tidy("on: push", "on: push\n    if: §!event.deleted"), "quote"),
    Sample("yaml-tag", tidy("on: push", "on: push\n    if: §! event.deleted")),
    Sample("yaml-tag", tidy("on: push", "on: { push: { branches: [§!dependabot/**, main] } }")),
    Sample("yaml-tag", tidy("on: push", "on: { push: { branches: [main, §!!str 1] } }")),
    Sample("yaml-merge", tidy("on: push", "§<<: { on: push }\n    on: push")),
    Sample("yaml-too-large", "version: 1\nprotect: " + "[" * 39 + "§[" + "]" * 40 + "\n", "nested"),
    Sample("github-workflow", "on: push\n§jobs: { a: { runs-on: x, steps: [{ run: x }] } }\n", "write an automation"),
    Sample("duplicate-key", tidy("on: push", "on: push\n    §on: create"), "first on line 4"),
    Sample("key-not-text", tidy("on: push", "on: push\n    §1: x")),
    Sample("key-not-text", tidy("on: push", "on: push\n    §true: x")),
    Sample("key-not-text", tidy("on: push", "on: push\n    ? §[a]\n    : x")),
    Sample("bad-character", tidy("run: 'true'", 'run: §"a\\0b"')),
    # keys and types
    Sample("unknown-key", tidy("steps:", "§stepz: []\n    steps:"), "unknown key `stepz`"),
    Sample("unknown-key", "§secret: {}\n" + SHELL),
    Sample("unknown-key", "secrets: { webhook: env:A, §gitlab: env:B }\n" + SHELL),
    Sample("unknown-key", tidy("on: push", "on: { push: { §branch: [main] } }")),
    Sample("unknown-key", tidy("        destructive", "        retry: { §tries: 3 }\n        destructive")),
    Sample("missing-key", "§automations: {}\n", "version"),
    Sample("missing-key", "§version: 1\n", "automations"),
    Sample("missing-key", "version: 1\nautomations:\n  a:\n    §steps: [{ uses: github/comment, with: { body: x } }]\n", "on"),
    Sample("missing-key", "version: 1\nautomations:\n  a:\n    §on: push\n", "steps"),
    Sample("missing-key", tidy("uses: shell", "§name: x"), "uses"),
    Sample("empty-value", tidy("on: push", "on: push\n    §if:"), "no value"),
    Sample("empty-value", tidy("on: push", "on: push\n    if: §''")),
    Sample("empty-value", "version: 1\n§automations:\n"),
    Sample("empty-value", tidy("on: push", "on: push\n    senders: §[]")),
    Sample("empty-value", tidy("run: 'true'", "§run: ")),
    Sample("empty-value", tidy("on: push", "on: §{}")),
    Sample("wrong-type", "§- a\n"),
    Sample("wrong-type", tidy("on: push", "on: push\n    if: §{ a: b }"), "expected text, got a map"),
    Sample("wrong-type", tidy("on: push", "on: §3")),
    Sample("wrong-type", tidy("on: push", "on: push\n    unguarded: §'true'")),
    Sample("wrong-type", tidy("on: push", "on: push\n    max-changes: §'5'")),
    Sample("wrong-type", tidy("run: 'true'", "run: §true")),
    Sample("wrong-type", tidy("run: 'true'", "env: §[A]")),
    Sample("wrong-type", tidy("run: 'true'", "env: { A: §[b] }")),
    Sample("wrong-type", tidy("with: { run: 'true' }", "with: §[run]")),
    Sample("wrong-type", "version: 1\nautomations: §[a]\n"),
    Sample("wrong-type", "version: 1\nautomations:\n  a: { on: push, steps: [§x] }\n"),
    Sample("bad-value", SHELL.replace("version: 1", "version: §2")),
    Sample("bad-value", SHELL.replace("version: 1", "version: §'1'")),
    Sample("bad-value", SHELL.replace("version: 1", "version: §true")),
    Sample("bad-value", SHELL.replace("version: 1", "version: §1.0")),
    Sample("bad-value", tidy("on: push", "on: push\n    mode: §dryrun"), "dry-run"),
    Sample("bad-value", tidy("on: push", "on: push\n    status: §true")),
    Sample("bad-value", tidy("on: push", "on: §Push!")),
    Sample("bad-value", tidy("on: push", "on: { issues: { types: [§'a b'] } }")),
    Sample("bad-value", preview("types: [closed]", "types: [closed, §merged]"), "write closed, and next to `on`: if: event.pull_request.merged"),
    Sample("bad-value", preview("types: [closed]", "types: [closed, §close]"), "did you mean 'closed'?write closed"),
    Sample("bad-value", "modules: [§'my-hooks']\n" + SHELL),
    Sample("bad-value", preview("region: eu-central-1", "region: §europe")),
    Sample("bad-value", preview("with: {", "allow-untrusted: §head.ref\n        with: {")),
    Sample("out-of-range", tidy("on: push", "on: push\n    timeout: §0s")),
    Sample("out-of-range", tidy("on: push", "on: push\n    max-changes: §0")),
    Sample("out-of-range", tidy("        destructive", "        retry: { attempts: §99 }\n        destructive")),
    Sample("bad-duration", tidy("on: push", "on: push\n    timeout: §90"), "got `90`"),
    Sample("bad-duration", tidy("on: push", "on: push\n    timeout: §1 hour")),
    Sample("bad-duration", tidy("on: push", "on: push\n    grace: §[1h]")),
    Sample("bad-name", tidy("  tidy:", "  §tidy up!:")),
    Sample("bad-name", tidy("destructive: false", "id: §Tidy\n        destructive: false")),
    Sample("bad-name", tidy("destructive: false", "pass-env: [A, §'B=C']\n        destructive: false")),
    Sample("bad-url", "public-url: §closeout.example.org\n" + SHELL),
    Sample("bad-url", "github: { api-url: §'https://host/api?x=1' }\n" + SHELL),
    Sample("bad-url", "github: { api-url: §'https://host:/api' }\n" + SHELL, "port"),
    Sample("bad-url", "github: { api-url: §'https://a\\@host/api' }\n" + SHELL, "visible ASCII"),
    Sample("bad-url", "public-url: §'https://[::g]'\n" + SHELL),
    Sample("bad-url", "public-url: §'https://bücher.example'\n" + SHELL, "xn--"),
    # secrets and AWS
    Sample("bad-reference", "secrets: { webhook: §hunter2 }\n" + SHELL),
    Sample("bad-reference", "secrets: { webhook: [env:A, §hunter2] }\n" + SHELL),
    Sample("bad-reference", "secrets: { github: §'env:1BAD' }\n" + SHELL, "what follows `env:` is not a name"),
    Sample("bad-reference", request("url:", "token: §hunter2, url:")),
    Sample("bad-reference", request("url:", "secret-headers: { Authorization: §hunter2 }, url:")),
    Sample("reference-not-allowed", request("url: 'https://example.org'", "url: §env:HOOK_URL"), "secret-headers"),
    Sample("reference-later", "secrets: { webhook: §'aws-ssm:/closeout/webhook' }\n" + SHELL, "`aws-ssm:` references are not supported"),
    Sample("bad-reference", "notify: { to: [env:A, §'slack://T1/A1/secret'] }\n" + SHELL),
    Sample(
        "bad-reference",
        "notify: { to: §'arn:aws:sns:eu-central-1:123456789012:previews.fifo' }\n" + SHELL,
        "SNS topic",
    ),
    Sample("wrong-type", "notify: §'slack://T1/A1/secret'\n" + SHELL),
    Sample("missing-key", "notify: §{ on: failure }\n" + SHELL, "`to` is missing"),
    Sample("bad-value", "notify: { on: [failure, §repaired], to: env:A }\n" + SHELL, "recovered"),
    Sample("unknown-key", "notify: { §events: failure, to: env:A }\n" + SHELL, "known here: on, to"),
    Sample("bad-account", preview("'123456789012'", "§123456789012"), "quotes"),
    Sample("bad-account", preview("'123456789012'", "§'1234'")),
    Sample("bad-account", preview("with: {", "with: { account: §acme,"), "write it like"),
    Sample("aws-missing", preview("aws: { account: '123456789012', region: eu-central-1 }\n", "").replace("- uses", "- §uses")),
    Sample("aws-missing", preview(", region: eu-central-1", "").replace("- uses", "- §uses"), "region"),
    Sample("aws-role-account", preview("region: eu-central-1", "region: eu-central-1, assume-role: 'arn:aws:iam::210987654321:role/other'").replace("- uses", "- §uses"), "account 210987654321"),
    # triggers
    Sample("missing-types", preview(CLOSED, "§pull_request")),
    Sample("missing-types", preview(CLOSED, "[§pull_request]")),
    Sample("missing-types", preview(CLOSED, "{ §pull_request: { branches: [main] } }")),
    Sample("filter-conflict", tidy("on: push", "on: { push: { branches: [a], branches-ignore: §[b] } }")),
    Sample("bad-pattern", tidy("on: push", "on: { push: { branches: §['!a'] } }")),
    Sample("bad-pattern", tidy("on: push", "on: { push: { branches: [a, §'b[c'] } }")),
    Sample("bad-pattern", tidy("on: push", "on: { push: { paths: [§'?'] } }")),
    Sample("bad-pattern", preview("[acme/shop]", "[acme/a, §shop]").replace("preview-$", "p-${{ event.repository.id }}-$"), "OWNER/shop"),
    Sample("bad-pattern", preview("[acme/shop]", "['acme/*', §'acme/[']").replace("preview-$", "p-${{ event.repository.id }}-$")),
    Sample("bad-pattern", preview("[acme/shop]", "[§'acm[/shop']")),
    Sample("bad-pattern", preview("[acme/shop]", "§['!acme/shop']")),
    Sample("bad-trigger", tidy("on: push", "on: { issues: { branches: §[main] } }")),
    Sample("not-a-webhook", tidy("on: push", "on: §schedule")),
    Sample("not-a-webhook", tidy("on: push", "on: { §pull_request_target: { types: [closed] } }")),
    Sample("unknown-event", SHELL.replace("on: push", "on: [push, §pul_request_review]")),
    Sample("unknown-type", SHELL.replace("on: push", "on: { pull_request: { types: [§frobnicated_zzz] } }")),
    # guards
    Sample("repositories-missing", preview("    repositories: [acme/shop]\n", "").replace("    on:", "    §on:")),
    Sample("repositories-too-wide", preview("[acme/shop]", "§'*'")),
    Sample("repositories-too-wide", preview("[acme/shop]", "§['*/*']")),
    Sample("repositories-too-wide", preview("[acme/shop]", "§['**']")),
    Sample("name-without-repository", preview("[acme/shop]", "['acme/*']").replace("'preview-", "§'preview-")),
    Sample("name-without-repository", preview("[acme/shop]", "[acme/a, acme/b]").replace("'preview-", "§'preview-")),
    Sample("repositories-too-wide", preview("[acme/shop]", "§['[a-z]+*/*']")),
    Sample("shared-name", preview("[acme/shop]", "[acme/shop, acme/shop1]").replace(STACK, "§'preview-${{ event.repository.name }}${{ event.pull_request.number }}'"),
           "acme/shop1#7 and acme/shop#17 both produce preview-shop17"),
    Sample("shared-name", preview(STACK, "§'preview-${{ event.pull_request.base.ref }}'"), "acme/shop#7 and acme/shop#17 both produce"),
    Sample("shared-name", preview(STACK, "§'preview-${{ event.pull_request.head.sha }}'")),
    Sample("shared-name", AUTOMATION + AUTOMATION.partition("automations:\n")[2].replace("preview:", "web:").replace("acme/shop", "acme/web").replace(STACK, "§" + STACK),
           "acme/shop#7 (in `automations.preview.steps[0].with.stack-name`, line 9) and acme/web#7 both produce preview-7"),
    Sample("undecided-name", preview(STACK, "§'preview-" + "${{ event.pull_request.number }}-" * 101 + "'")),
    Sample("untrusted-value", tidy("run: 'true'", "run: 'true', env: { BRANCH: §'${{ event.pull_request.head.ref }}' }")
           .replace("on: push", "on: { pull_request: { types: [closed] } }\n    repositories: [acme/shop]").replace("        destructive: false\n", ""), "head.ref"),
    Sample("constant-name", preview(STACK, "§'preview'")),
    Sample("untrusted-name", preview(STACK, "§'preview-${{ event.pull_request.head.ref }}'"), "head.ref"),
    Sample("untrusted-name", preview(STACK, "§'${{ event.number > 1 ? \"a\" : \"b\" }}'"), "outsiders might control"),
    Sample("unused-permission", preview("with: {", "allow-untrusted: §event.pull_request.head.ref\n        with: {")),
    Sample("unguarded-event", preview(CLOSED, "§{ push: { branches: [main] } }"), "and `push` has no live check before it"),
    Sample("unguarded-event", preview("[closed]", "[closed, labeled]").replace("on: {", "on: §{"), "and only a closed pull request has a live check before it"),
    Sample("unguarded-event", preview(CLOSED, "§{ push: , pull_request: { types: [labeled] } }"), "and `push and pull_request` has no live check before it"),
    # expressions
    Sample("bad-expression", tidy("on: push", "on: push\n    if: §event.deleted ==")),
    Sample("bad-expression", tidy("on: push", "on: push\n    if: §deleted"), "undeclared"),
    Sample("bad-expression", tidy("on: push", "on: push\n    if: §${{ event.deleted }} && true"), "`${{ event.deleted }} && true`: Syntax error"),
    Sample("bad-expression", tidy("on: push", "on: push\n    if: §event.deleted }}"), "`event.deleted }}`: Syntax error"),
    Sample("bad-expression", tidy("on: push", "on: push\n    if: §\"'yes'\""), "true or false"),
    Sample("bad-expression", tidy("run: 'true'", "env: { A: §'${{ event. }}' }")),
    Sample("bad-expression", tidy("run: 'true'", "env: { A: §'${{ [event] }}' }"), "string or a whole number"),
    Sample("bad-expression", preview("    steps:", "    environment: §'${{ steps.a.outcome }}'\n    steps:"), "only a step can ask"),
    Sample("bad-template", tidy("run: 'true'", "env: { A: §'${{ event.a' }"), "no `}}`"),
    Sample("bad-template", tidy("on: push", "on: push\n    concurrency: §'${{ event.a + \"x\" }}'")),
    Sample("bad-template", tidy("on: push", "on: push\n    concurrency: §'${{ event.a'"), "no `}}`"),
    Sample("template-not-allowed", tidy("run: 'true'", "run: §'echo ${{ event.ref }}'"), "is not filled in"),
    Sample("template-not-allowed", tidy("destructive: false", "name: §'${{ event.ref }}'\n        destructive: false")),
    Sample("template-not-allowed", tidy("on: push", "on: push\n    status: §'x-${{ event.ref }}'")),
    Sample("template-not-allowed", preview("[acme/shop]", "[§'${{ event.repository.full_name }}']")),
    Sample("template-not-allowed", tidy("run: 'true'", "argv: [echo, §'${{ event.ref }}']")),
    Sample("bad-template", preview(STACK, "§'preview-${{ event.number'"), "no `}}`"),
    # steps
    Sample("unknown-action", preview("aws/cloudformation-delete-stack", "§aws/cloudformation-delete-stak")),
    Sample("unknown-action", tidy("uses: shell", "uses: §slack/comment"), "did you mean `github/comment`?"),
    Sample("duplicate-id", tidy("- uses: shell", "- { uses: shell, id: a, destructive: false, with: { run: x } }\n      - §id: a\n        uses: shell")),
    Sample("unknown-step", tidy("with: { run: 'true' }", "if: §steps.other.outcome == 'failure'\n        with: { run: 'true' }")),
    Sample("unknown-input", preview("stack-name:", "§stackname: x, stack-name:")),
    Sample("missing-input", preview(f"{{ stack-name: {STACK} }}", "§{ empty-buckets: true }")),
    Sample("missing-input", preview(f"        with: {{ stack-name: {STACK} }}\n", "").replace("- uses", "- §uses")),
    Sample("bad-input", request("url:", "method: §PUT, url:"), "GET or POST"),
    Sample("bad-input", preview("with: {", "with: { role-arn: §nonsense,")),
    Sample("bad-input", preview("cloudformation-delete-stack", "s3-delete-objects").replace("{ stack-name:", "§{ bucket: b, prefix:")),
    Sample("misplaced-input", tidy("with: { run: 'true' }", "§run: 'true'")),
    Sample("not-for-action", preview("with: {", "destructive: §false\n        with: {")),
    Sample("not-for-action", preview("with: {", "pass-env: §[A]\n        with: {")),
    Sample("not-for-action", tidy("with: {", "expect: §present\n        with: {"), "does not say whether it found"),
    Sample("not-for-action", preview("with: {", "recheck: §true\n        with: {"), "part of each recheck"),
    Sample("not-for-action", tidy("- uses: shell\n", "- §uses: shell\n        recheck: true\n"), "deletes by itself"),
    Sample("not-for-action", preview("    steps:\n", "    recheck: off\n    steps:\n      - §uses: shell\n        recheck: true\n        with: { run: 'true' }\n"), "`recheck` is off"),
    Sample("out-of-range", tidy("    steps:", "    recheck: [§30s]\n    steps:")),
    Sample("nothing-to-delete", tidy("    steps:", "    environment: §'preview-${{ event.ref }}'\n    steps:")),
)  # fmt: skip
"""Samples for every code but those about modules (see `test_functions.py`)."""
