"""Configurations made to mislead, each read by `closeout check`: refused with its code, and the sound ones beside them pass.

What a file cannot settle is played in `protection`. The last part is an environment that misleads: a secret that the
locale cannot spell.

Red when sabotaged: compare names without the pull request's number or the owner (`core/names.py`); take a pattern
that amounts to `*` (`core/patterns.py`); read a URL by one parser only.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from closeout.actions.registry import builtin
from closeout.config.load import check
from closeout.testing import deliveries
from tests.hostile.report import Report
from tests.hostile.server import CONFIG, GOOD, Server, status_of
from tests.hostile.stage import Stage

HEAD = """\
version: 1
secrets: {{ webhook: env:W, github: env:T }}
github: {{ api-url: '{api}' }}
aws: {{ account: '123456789012', region: eu-central-1 }}
automations:
"""
NUMBER, NAME = "${{ event.pull_request.number }}", "${{ event.repository.name }}"
OWNER, ID = "${{ event.repository.owner.login }}", "${{ event.repository.id }}"
FULL, BASE = "${{ event.repository.full_name }}", "${{ event.pull_request.base.ref }}"
REF, SHA = "${{ event.pull_request.head.ref }}", "${{ event.pull_request.head.sha }}"
SHARED = frozenset({"shared-name", "name-without-repository"})
WARNED = frozenset({"untrusted-value", "untrusted-name"})
STACK, OBJECTS = "aws/cloudformation-delete-stack", "aws/s3-delete-objects"


class Case(NamedTuple):
    """A file, and the codes of which one must be found; none: no error may be found."""

    name: str
    text: str
    codes: frozenset[str] = frozenset()


def automation(name: str, repositories: str, uses: str, inputs: str, more: str = "") -> str:
    """Return one automation with one step, as YAML."""
    return f"""\
  {name}:
    on: {{ pull_request: {{ types: [closed] }} }}
    repositories: {repositories}
    steps:
      - uses: {uses}
        with: {{ {inputs} }}
{more}"""


def file(*automations: str, api: str = "https://api.github.com") -> str:
    """Return a whole file."""
    return HEAD.format(api=api) + "".join(automations)


def stack(repositories: str, name: str, called: str = "clean", more: str = "") -> str:
    """Return an automation that deletes the stack of this name."""
    return automation(called, repositories, STACK, f"stack-name: '{name}'", more)


def objects(repositories: str, prefix: str, called: str = "clean") -> str:
    """Return an automation that deletes what is under this prefix."""
    return automation(called, repositories, OBJECTS, f"bucket: previews, prefix: '{prefix}'")


def shell(env: str) -> str:
    """Return an automation whose script is given these variables."""
    return automation("clean", "[acme/shop]", "shell", f"run: 'true', env: {{ {env} }}")


TWO = "[acme/shop, acme/web]"
ALLOWED = "        allow-untrusted: [event.pull_request.head.ref]\n"
CASES = (
    Case("name and number without a separator", file(stack("[acme/shop, acme/shop1]", f"preview-{NAME}{NUMBER}")), SHARED),
    Case("the same of a whole organization", file(stack("['acme/*']", f"preview-{NAME}{NUMBER}")), SHARED),
    Case("number, then name", file(stack("['acme/*']", f"preview-{NUMBER}{NAME}")), SHARED),
    Case("two automations, one name", file(stack("[acme/shop]", f"preview-{NUMBER}"), stack("[acme/web]", f"preview-{NUMBER}", "web")), SHARED),
    Case("two automations, one name by patterns", file(stack("[acme/shop]", f"shop-{NUMBER}"), stack("['acme/w*']", f"{NAME}-{NUMBER}", "web"), stack("[acme/shopper]", f"shop-{NUMBER}", "three")), SHARED),
    Case("two owners, one repository name", file(stack("[acme/shop, beta/shop]", f"preview-{NAME}-{NUMBER}")), SHARED),
    Case("two owners by a pattern", file(stack("['a*/shop', '!evil/*']", f"preview-{NAME}-{NUMBER}")), SHARED),
    Case("owner and name by a dash", file(stack("[a-b/c, a/b-c]", f"preview-{OWNER}-{NAME}-{NUMBER}")), SHARED),
    Case("no repository in the name", file(stack(TWO, f"preview-{NUMBER}")), SHARED),
    Case("a prefix of name and number", file(objects("['acme/*']", f"pr/{NAME}{NUMBER}/")), SHARED),
    Case("a prefix that another begins with", file(objects("[acme/shop]", f"pr/{NUMBER}/"), objects("[acme/web]", f"pr/{NUMBER}/web/", "web")), SHARED),
    Case("name by head.ref", file(stack("[acme/shop]", f"preview-{REF}")), frozenset({"untrusted-name"})),
    Case("the base branch alone", file(stack("[acme/shop]", f"preview-{BASE}")), SHARED | {"constant-name"}),
    Case("the repository's name alone", file(stack(TWO, f"preview-{NAME}")), SHARED | {"constant-name"}),
    Case("head.ref in env", file(shell(f"REF: '{REF}'")), WARNED),
    Case("the title in env", file(shell("T: '${{ event.pull_request.title }}'")), WARNED),
    Case("head.ref in a body", file(automation("clean", "[acme/shop]", "http/request", f"url: 'https://example.com/x', method: DELETE, body: {{ ref: '{REF}' }}")), WARNED),
    Case("head.ref in args", file(automation("clean", "[acme/shop]", "python", f"function: 'm:f', args: {{ ref: '{REF}' }}")), WARNED),
    Case("head.ref in a build's environment", file(automation("clean", "[acme/shop]", "aws/codebuild-start-build", f"project: teardown, environment: {{ REF: '{REF}' }}")), WARNED),
    *(Case(f"every repository as {pattern}", file(stack(f"['{pattern}']", f"preview-{ID}-{NUMBER}")), frozenset({"repositories-too-wide", "bad-pattern"}))
      for pattern in ("*", "**", "*/*", "[a-z]+*/*", "**/*", "?*/*", "*/*?", "[A-Za-z0-9_.-]+/*")),
    *(Case(f"the API's address {url!r}", file(stack("[acme/shop]", f"preview-{NUMBER}"), api=url), frozenset({"bad-url", "bad-value"}))
      for url in (r"https://api.github.com\@127.0.0.2", "https://a:b@127.0.0.2", "https://api.github.com#@127.0.0.2/x", "https://a b", "ftp://x", "https://", "https://xn--a/x\u2024y", "https://exa\u3002mple\u2100.com")),
    Case("a call to a misread host", file(automation("clean", "[acme/shop]", "http/request", r"url: 'https://example.com\@127.0.0.2/x', method: DELETE")), frozenset({"bad-input", "bad-url"})),
    Case("sound: one repository, the number", file(stack("[acme/shop]", f"preview-{NUMBER}"))),
    Case("sound: name, a dash, the number", file(stack(TWO, f"preview-{NAME}-{NUMBER}"))),
    Case("sound: id and number", file(stack("['acme/*', beta/shop]", f"preview-{ID}-{NUMBER}"))),
    Case("sound: two automations, other names", file(stack("[acme/shop]", f"shop-{NUMBER}"), stack("[acme/web]", f"web-{NUMBER}", "web"))),
    Case("sound: a prefix of one repository", file(objects("[acme/shop]", f"pr/{NUMBER}/"))),
)  # fmt: skip


def run(stage: Stage, report: Report) -> None:
    """Check every file, then play the secret."""
    for position, case in enumerate(CASES):
        path = stage.folder / f"case-{position}.yaml"
        path.write_text(case.text, encoding="utf-8")
        report.check(*_checked(path, case))
    refused = sum(bool(case.codes) for case in CASES)
    report.events.append(f"{refused} files to refuse or to warn of, {len(CASES) - refused} to take")
    _strange_secret(stage, report)


def _checked(path: Path, case: Case) -> tuple[bool, str]:
    try:
        found = check(path, builtin())
    except Exception as error:
        return False, f"{case.name}: `check` fails with {type(error).__name__}: {error}"
    codes = {finding.code for finding in found}
    errors = sorted({finding.code for finding in found if finding.severity == "error"})
    if not case.codes:
        return not errors, f"{case.name}: refused, {errors}"
    return bool(codes & case.codes), f"{case.name}: {sorted(codes) or 'fine'} instead of {sorted(case.codes)}"


def _strange_secret(stage: Stage, report: Report) -> None:
    """A secret in UTF-8 under a locale that is not: taken as its bytes, or refused with a sentence before the start."""
    secret = "gehe\u00efm-\u2603"
    variables = {
        "CLOSEOUT_WEBHOOK_SECRET": secret,
        "PYTHONUTF8": "0",
        "LC_ALL": "C",
        "PYTHONCOERCECLOCALE": "0",
    }
    server = Server(stage.room("secret"), CONFIG, variables=variables)
    body = deliveries.encode(deliveries.pull_request())
    headers = deliveries.signed_headers("pull_request", body, secret, "strange-secret")
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST /webhook HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    try:
        server.start()
    except AssertionError:
        said = server.log().decode("utf-8", "replace")
        fine = server.ended() == 4 and "defect" not in said and "Traceback" not in said
        report.check(
            fine, f"PYTHONUTF8=0 and a secret that is not ASCII: exit code {server.ended()}, {said[-200:]!r}"
        )
        return
    status = status_of(server.exchange(head.encode() + body, GOOD))
    server.end()
    report.check(status == 202, f"PYTHONUTF8=0 and a secret that is not ASCII: {status} for a good delivery")
