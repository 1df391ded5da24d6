"""Mistakes in the file: each is found in its place, several at once, and none shows a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from closeout.config.codes import CODES
from closeout.config.findings import Finding, Findings, listed, mask, near, printable
from closeout.config.load import check, load
from closeout.core.errors import ConfigError
from tests.unit.config.known_actions import REGISTRY
from tests.unit.config.samples import AUTOMATION, REQUEST, SAMPLES, SHELL, Sample, preview, tidy


def found(tmp_path: Path, text: str | bytes) -> list[Finding]:
    """All findings about a file with this text."""
    path = tmp_path / "closeout.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return check(path, REGISTRY)


@pytest.mark.parametrize("text", [AUTOMATION, SHELL, REQUEST])
def test_a_valid_file_has_no_findings(tmp_path: Path, text: str) -> None:
    """The files that the samples derive from are valid, so each sample has only its own mistake."""
    assert [finding.text() for finding in found(tmp_path, text)] == []


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.code)
def test_each_mistake_is_found_in_its_place(tmp_path: Path, sample: Sample) -> None:
    """With its code, line, column, message and fix; and nothing else is found."""
    text, place = sample.file()
    findings = found(tmp_path, text)
    assert [(finding.code, (finding.line, finding.column)) for finding in findings] == [
        (sample.code, place)
    ], [finding.pretty() for finding in findings]
    assert sample.says in findings[0].message + findings[0].fix
    assert findings[0].fix


def test_every_code_has_a_sample() -> None:
    """Every documented code can occur, and every code is documented."""
    modules = {"module-failed", "bad-function", "duplicate-automation"}
    assert {sample.code for sample in SAMPLES} | modules == set(CODES)
    with pytest.raises(LookupError):
        Findings("closeout.yaml").error(1, 1, "no-such-code", "a mistake", "mend it")


def test_the_caret_is_under_its_place_after_tabs() -> None:
    """A terminal shows a tab wider than a space, so the line of the caret has the same tabs."""
    findings = Findings("closeout.yaml", "a:\tb\tc\n")
    findings.error(1, 6, "bad-value", "c is wrong", "write d")
    assert findings.all()[0].pretty().splitlines()[1:3] == ["  1 | a:\tb\tc", "    |   \t \t^"]


def test_the_files_own_findings_come_before_those_of_its_modules() -> None:
    """Whatever the modules are named."""
    module, file = Findings("a.py"), Findings("closeout.yaml")
    module.error(1, 1, "bad-function", "of the module", "mend it")
    file.extend(module.all())
    file.error(2, 1, "bad-value", "of the file", "mend it")
    assert [finding.file for finding in file.all()] == ["closeout.yaml", "a.py"]


def test_several_mistakes_are_found_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """One mistake does not hide another."""
    text = (
        AUTOMATION.replace("[closed]", "[]")
        .replace("preview:", "pre view:")
        .replace("uses: aws/", "uses: was/")
    )
    findings = found(tmp_path, text)
    assert [finding.code for finding in findings] == ["bad-name", "empty-value", "unknown-action"]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (AUTOMATION.replace("repositories:", "repositorys:"), "repositories"),
        (AUTOMATION.replace("steps:", "step:"), "steps"),
        (AUTOMATION.replace("    on:", "    ons:"), "on"),
        (AUTOMATION.replace("stack-name:", "stack_name:"), "stack-name"),
        (AUTOMATION.replace("uses:", "use:"), "uses"),
        (AUTOMATION.replace("version:", "versoin:"), "version"),
        (AUTOMATION.replace("automations:", "automation:"), "automations"),
    ],
)
def test_a_misspelt_key_is_one_finding(tmp_path: Path, text: str, right: str) -> None:
    """The intended key is not reported as missing in addition; the file still does not load."""
    (finding,) = found(tmp_path, text)
    assert (finding.code, finding.severity) in {("unknown-key", "error"), ("unknown-input", "error")}
    assert finding.fix == f"did you mean `{right}`?"


def test_a_missing_key_is_found_next_to_an_unknown_one(tmp_path: Path) -> None:
    """An unknown key that resembles no missing one explains nothing."""
    text = AUTOMATION.replace("    repositories: [acme/shop]\n", "    colour: red\n")
    assert {finding.code for finding in found(tmp_path, text)} == {"unknown-key", "repositories-missing"}


def test_a_finding_is_shown_with_its_line_a_caret_and_a_fix(tmp_path: Path) -> None:
    """FILE:LINE:COL, the message, the line, a caret under the place, and what to do."""
    findings = found(tmp_path, tidy("steps:", "stepz: []\n    steps:"))
    path = tmp_path / "closeout.yaml"
    assert findings[0].pretty() == (
        f"{path}:5:5: automations.tidy.stepz: unknown key `stepz`\n"
        "  5 |     stepz: []\n"
        "    |     ^\n"
        "  fix: did you mean `steps`?"
    )
    assert findings[0].text() == f"{path}:5:5: automations.tidy.stepz: unknown key `stepz`"
    assert findings[0].to_json() == {
        "file": str(path),
        "line": 5,
        "column": 5,
        "code": "unknown-key",
        "message": "automations.tidy.stepz: unknown key `stepz`",
        "fix": "did you mean `steps`?",
        "severity": "error",
    }


def test_load_raises_with_every_finding(tmp_path: Path) -> None:
    """`load` refuses a file with errors, and its error has every finding of `check`."""
    path = tmp_path / "closeout.yaml"
    path.write_text(SHELL.replace("on: push", "on: schedule"), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load(path, REGISTRY)
    assert list(error.value.findings) == check(path, REGISTRY)
    assert error.value.message == error.value.findings[0].text()


def test_a_warning_does_not_reject_the_file(tmp_path: Path) -> None:
    """Something valid but probably not intended is reported, and loads."""
    path = tmp_path / "closeout.yaml"
    path.write_text(preview("'preview-${{ event.pull_request.number }}'", "preview"), encoding="utf-8")
    warning = load(path, REGISTRY).warnings[0]
    assert (warning.code, warning.severity) == ("constant-name", "warning")
    assert ": warning: automations.preview.steps[0].with.stack-name: this name is the same" in warning.text()


@pytest.mark.parametrize(
    "text",
    [
        "secrets: { webhook: hunter2 }\n" + SHELL,
        "secrets: { webhook: hunter2, nonsense: hunter2 }\n" + SHELL,
        "secrets: hunter2\n" + SHELL,
        "secrets: [hunter2]\n" + SHELL,
        "secrets:\n  - webhook: hunter2\n" + SHELL,
        "secrets:\n  - hunter2\n" + SHELL,
        "secrets:\n  hunter2\n" + SHELL,
        "secrets:\n  nonsense: hunter2\n" + SHELL,
        "secrets:\n  nonsense:\n    - hunter2\n" + SHELL,
        "notify:\n  - hunter2\n" + SHELL,
        "notify:\n  hunter2\n" + SHELL,
        "notify:\n  to: hunter2\n" + SHELL,
        "notify:\n  to:\n    - hunter2\n" + SHELL,
        "secrets: { webhook: [hunter2, hunter2] }\n" + SHELL,
        "secrets: { webhook: { value: hunter2 } }\n" + SHELL,
        "secrets:\n  webhook:\n    value: hunter2\n" + SHELL,
        "secrets: { webhok: hunter2 }\n" + SHELL,
        "secrets:\n  webhook: |\n    hunter2\n" + SHELL,
        'secrets: { webhook: "hunter2\n' + SHELL,
        "secrets:\n  webhook: hunter2: x\n" + SHELL,
        "secrets: { webhook: 'env:hunter2!' }\n" + SHELL,
        "secrets: { github: 'aws-ssm:hunter2' }\n" + SHELL,
        "secrets: { github: !x hunter2 }\n" + SHELL,
        "nonsense: { token: hunter2 }\n" + SHELL,
        tidy("run: 'true'", "run: ghp_hunter2hunter2, x: y"),
        REQUEST.replace("url:", "token: hunter2, url:"),
        REQUEST.replace("url:", "secret-headers: hunter2, url:"),
        REQUEST.replace("url:", "secret-headers: { A: [hunter2] }, url:"),
    ],
)
def test_a_secret_in_the_file_is_never_shown(tmp_path: Path, text: str) -> None:
    """A literal secret is an error, and neither the message nor the line repeats the value."""
    findings = found(tmp_path, text)
    assert [finding for finding in findings if finding.severity == "error"]
    for finding in findings:
        assert "hunter2" not in finding.pretty() + str(finding.to_json())


def test_a_line_is_hidden_from_its_first_secret_on() -> None:
    """Not one character of the secret or after it is shown; the text before it is."""
    findings = Findings("closeout.yaml", "to: [hunter2, hunter3] # both\n")
    for column in (15, 6, 15):
        findings.hide(1, column)
    findings.error(1, 6, "bad-reference", "no reference", "write one")
    assert [finding.source for finding in findings.all()] == ["to: [***"]


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    """No file, a folder, an invalid path: each is a finding, not an exception."""
    for path in (tmp_path / "none.yaml", tmp_path, Path("a\0b")):
        assert [finding.code for finding in check(path, REGISTRY)] == ["unreadable-file"]


def test_a_missing_file_comes_with_the_command_that_creates_one(tmp_path: Path) -> None:
    """The most common first mistake has its own fix; an unreadable file has another."""
    (missing,) = check(tmp_path / "none.yaml", REGISTRY)
    assert missing.message == "there is no such file"
    assert (
        missing.fix == "`closeout init` writes one; or name yours on the command line or in CLOSEOUT_CONFIG"
    )
    (folder,) = check(tmp_path, REGISTRY)
    assert folder.message == "cannot read the file: Is a directory"
    assert folder.fix == "check the path, the file's mode and its encoding (UTF-8)"


def test_a_file_that_is_not_utf8_is_a_finding(tmp_path: Path) -> None:
    """Another encoding is reported with the byte; a byte order mark is accepted."""
    assert "byte 3 is 0xe9" in found(tmp_path, b"# \xe9")[0].message
    assert found(tmp_path, b"\xef\xbb\xbf" + SHELL.encode()) == []


def test_aliases_work_within_the_limit(tmp_path: Path) -> None:
    """An alias is its anchor's value; a few lines of aliases cannot grow into millions of values."""
    assert (
        found(tmp_path, tidy("on: push", "on: &e push\n    senders: &s [octocat]\n    concurrency: *e")) == []
    )
    lines = ["version: 1", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert [finding.code for finding in found(tmp_path, "\n".join(lines))] == ["yaml-too-large"]


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a\n  b: *a\n"])
def test_an_alias_inside_of_its_own_anchor_is_a_finding(tmp_path: Path, text: str) -> None:
    """YAML allows a value that contains itself; no reader here could finish it."""
    assert [finding.code for finding in found(tmp_path, text)] == ["yaml-syntax"]


@pytest.mark.parametrize(
    "text", ["&x !tag a", "&x ! a", "!tag &x a", "!<tag:x> a", "&x\n      !tag a", "! [a]"]
)
def test_a_tag_after_an_anchor_is_found_too(tmp_path: Path, text: str) -> None:
    """The value would be lost silently there as well."""
    codes = [finding.code for finding in found(tmp_path, tidy("on: push", f"on: push\n    if: {text}"))]
    assert codes == ["yaml-tag"]


def test_one_mistake_in_aws_is_not_repeated_at_every_step(tmp_path: Path) -> None:
    """A wrong account is one finding, however many steps use it."""
    findings = found(tmp_path, AUTOMATION.replace("'123456789012'", "123456789012"))
    assert [finding.code for finding in findings] == ["bad-account"]


def test_control_characters_do_not_reach_a_terminal() -> None:
    """What is shown has no character that controls a terminal."""
    assert printable("a\x1b[31m\u202eb\tc") == "a\ufffd[31m\ufffdb\tc"


def test_secrets_in_a_line_are_masked_by_key_and_by_form() -> None:
    """`webhook: …` and tokens are masked everywhere; references stay."""
    assert mask("  webhook: hunter2") == "  webhook: ***"
    assert mask("  webhook: env:NAME") == "  webhook: env:NAME"
    assert mask("run: curl ghp_0123456789abcdef") == "run: curl ***"


def test_a_similar_word_is_found_despite_case_and_underscores() -> None:
    """`Empty_Buckets` means `empty-buckets`; a word unlike all others gets no suggestion."""
    assert near("Empty_Buckets", ["empty-buckets", "role-arn"]) == "empty-buckets"
    assert near("zzz", ["empty-buckets"]) is None
    assert (listed(["a", "b", "c"]), listed(["a"]), listed([])) == ("a, b or c", "a", "nothing")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (tidy("    on: push", "    on: push\n    status: true"), "bad-value", "`true` is not a context"),
        (
            tidy("    on: push", "    on: push\n    status: " + "x" * 256),
            "bad-value",
            "at most 255 characters",
        ),
        (tidy("automations:", "protect: { tags: [a] }\nautomations:"), "wrong-type", "tag: value pairs"),
    ],
)
def test_a_value_of_the_wrong_kind_says_what_to_write(
    tmp_path: Path, text: str, code: str, said: str
) -> None:
    """One finding each."""
    (finding,) = found(tmp_path, text)
    assert finding.code == code
    assert said in f"{finding.message} {finding.fix}"


def test_a_context_of_255_characters_is_valid(tmp_path: Path) -> None:
    """It is GitHub's limit."""
    assert found(tmp_path, tidy("    on: push", "    on: push\n    status: " + "x" * 255)) == []


def test_a_mistake_on_the_first_or_last_line_shows_it(tmp_path: Path) -> None:
    """And one on the last line."""
    findings = found(tmp_path, "nonsense: 1\n" + SHELL + "rubbish: 2")
    assert [finding.source for finding in findings if finding.code == "unknown-key"] == [
        "nonsense: 1",
        "rubbish: 2",
    ]
