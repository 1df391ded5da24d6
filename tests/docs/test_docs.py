"""What the documentation says is what the program does: configurations, commands, names, codes, figures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from markdown_it import MarkdownIt

from closeout.actions.registry import builtin
from closeout.actions.spec import Action
from closeout.cli.commands import CONTEXT
from closeout.cli.main import closeout as root
from closeout.config.codes import CODES
from closeout.core import errors, protect
from closeout.patrol.report import PatrolFigures
from closeout.server.metrics import ServerMetrics
from closeout.wiring.drills import DrillFigures
from closeout.wiring.notifying import NotifierFigures
from tests.docs import configurations
from tests.docs.pages import ROOT, Block, blocks, column, commands, pages, spans

README = ROOT / "README.md"
DOCS = ROOT / "docs"
SHELL = ("sh", "console", "ini")
OF_OTHERS = {"--quick", "--check", "--only"}
"""Options of the Makefile's own programs that contributors' pages name."""


def yaml_blocks() -> list[Block]:
    """Every YAML block of the pages."""
    return [block for block in blocks() if block.language == "yaml"]


@pytest.mark.parametrize("block", yaml_blocks(), ids=lambda block: block.place)
def test_a_configuration_in_the_docs_is_accepted_as_it_stands(block: Block, tmp_path: Path) -> None:
    """`closeout check` finds nothing in what a reader would copy; a piece is tried where it belongs in a file."""
    text = configurations.whole(block.text)
    if text is None:
        assert re.search(r"(?m)^(jobs|groups|runs):", block.text), (
            "neither a configuration nor known to be another's"
        )
        return
    configurations.modules([other for other in blocks() if other.page == block.page], tmp_path)
    found = configurations.findings(text, tmp_path)
    assert not found, "\n".join(finding.text() for finding in found)


def parse(arguments: list[str]) -> None:
    """Parse a command line as `closeout` would, and run nothing. Raises click's errors."""
    name, rest = "closeout", arguments
    command: click.Command | None = root
    context: click.Context | None = None
    while command is not None:
        context = command.make_context(name, list(rest), parent=context)
        if not isinstance(command, click.Group):
            return
        found, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        name = str(found)


def shown_commands() -> list[tuple[str, list[str]]]:
    """Every command line in a block that a reader would paste."""
    return [
        (f"{block.place} {' '.join(call)[:60]}", call)
        for block in blocks()
        if block.language in SHELL
        for call in commands(block.text)
    ]


@pytest.mark.parametrize(
    "call", [call for _, call in shown_commands()], ids=[name for name, _ in shown_commands()]
)
def test_a_command_line_in_the_docs_parses(call: list[str]) -> None:
    """What a reader would paste is a command that exists, with options that it has and values that it takes."""
    try:
        parse(call)
    except (click.exceptions.NoArgsIsHelpError, click.exceptions.Exit):
        return
    except click.ClickException as error:
        pytest.fail(f"closeout {' '.join(call)}: {error.format_message()}")


def test_commands_named_in_a_sentence_exist() -> None:
    """A code span `closeout …` names commands that exist, and options that these have."""
    wrong = []
    for place, text in spans():
        if text.startswith("closeout ") and re.match(r"closeout [a-z]", text):
            problem = missing(text.split()[1:])
            if problem:
                wrong.append(f"{place}: `{text}`: {problem}")
    assert not wrong, "\n".join(wrong)


def missing(words: list[str]) -> str | None:
    """What there is not of the commands and options in a call that may lack values."""
    command: click.Command = root
    context = click.Context(root, info_name="closeout", **CONTEXT)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"there is no command {words[0]}"
        command, words = found, words[1:]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word not in known]
    return f"there is no option {unknown[0]}" if unknown else None


def every_option(command: click.Command) -> set[str]:
    """The options of a command and of all below it."""
    found = {option for parameter in command.params for option in parameter.opts}
    if isinstance(command, click.Group):
        context = click.Context(command, **CONTEXT)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            found |= every_option(below) if below is not None else set()
    return found


def test_options_named_in_a_sentence_exist() -> None:
    """A code span that begins with an option names one that some command has."""
    known = every_option(root) | {"--help", "--version"} | OF_OTHERS
    wrong = [
        f"{place}: `{text}`"
        for place, text in spans()
        if text.startswith("--") and text.split()[0] not in known
    ]
    assert not wrong, "\n".join(wrong)


def test_every_action_has_a_section_and_is_named_by_a_how_to_or_the_reference() -> None:
    """The reference has one heading for each registered action, in the registry's order."""
    text = (DOCS / "reference/actions.md").read_text("utf-8")
    assert re.findall(r"(?m)^## (\S+)$", text) == list(builtin())


@pytest.mark.parametrize("action", builtin().values(), ids=lambda action: action.uses)
def test_every_permission_that_an_action_may_need_is_listed(action: Action) -> None:
    """With every optional input given, an action needs nothing that its section of the reference leaves out."""
    text = (DOCS / "reference/actions.md").read_text("utf-8")
    section = text.split(f"\n## {action.uses}\n")[1].split("\n## ")[0]
    inputs = {
        name: True
        if value.type == "boolean"
        else "${{ event.example }}"
        if value.type == "string"
        else value.default
        for name, value in action.inputs.items()
    }
    needed = {name for permission in action.permissions(inputs) for name in permission.actions}
    assert not [name for name in sorted(needed) if f"`{name}`" not in section]


def error_codes() -> set[str]:
    """The code of every error class."""
    return {
        value.code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.CloseoutError)
    }


def guard_rows() -> list[list[str]]:
    """The cells of every row of the tables of guards."""
    text = (DOCS / "reference/guards.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]
    return [row for row in rows if row[0] not in ("guard", "---")]


def test_every_code_in_the_reference_of_guards_exists() -> None:
    """A guard's code is one of a finding or of an error."""
    known = error_codes() | set(CODES)
    codes = [row[-1].strip("`") for row in guard_rows() if row[-1]]
    assert codes
    assert not set(codes) - known


def test_every_kind_of_refusal_stands_in_the_reference_of_guards() -> None:
    """No error of a guard, and no finding that refuses a dangerous file, is missing from the page."""
    kinds = {
        value.code
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.GuardRefused)
    }
    findings = {"repositories-missing", "repositories-too-wide", "untrusted-name", "unguarded-event", "constant-name",
                "name-without-repository", "template-not-allowed"}  # fmt: skip
    text = (DOCS / "reference/guards.md").read_text("utf-8")
    absent = [code for code in sorted(kinds | findings | {"reopened", "timeout"}) if f"`{code}`" not in text]
    assert not absent


def source() -> str:
    """All text of the product, white space and the quotes between joined strings taken off."""
    text = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    return re.sub(r"\"\s+f?\"", "", re.sub(r"\s+", " ", text))


def test_the_messages_of_guards_are_those_of_the_code() -> None:
    """Each piece between the dots of a documented message stands in the source."""
    code = source()
    wrong = []
    for row in guard_rows():
        for message in re.findall(r"`([^`]*)`", row[2]) if len(row) == 4 else ():
            pieces = [piece.strip(" ;:,.") for piece in message.split("…")]
            wrong += [f"{row[0]}: {piece!r}" for piece in pieces if piece and piece not in code]
    assert not wrong, "\n".join(wrong)


def test_every_pattern_that_is_protected_by_itself_is_listed() -> None:
    """The page names exactly the built-in patterns, in their order."""
    text = (
        (DOCS / "reference/guards.md").read_text("utf-8").split("## Protected by themselves")[1].split(":")[0]
    )
    assert tuple(re.findall(r"`([^`]+)`", text)) == protect.BUILT_IN


def metrics() -> dict[str, str]:
    """Name → type of every metric that the server gives."""
    stats: dict[str, Any] = {
        "runs_by_verdict": {"success": 1},
        "runs_by_state": {"queued": 1},
        "suspects": 1,
        "queue_age": 1.0,
        "step_durations": {("a", "s"): (1, 1.0)},
        "empty_runs": {"a": 5},
    }
    figures = ServerMetrics()
    figures.patrol = lambda: PatrolFigures({"lists": 1.0}, 1, 0, {"rounds": 1}, 0)
    figures.drill = lambda: DrillFigures(1.0, {"disk": "fine"})
    figures.notifiers = lambda: {"env:A": NotifierFigures(1, 0)}
    page = figures.render("0", stats, 0).decode()
    return dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)$", page))


def test_every_metric_is_documented_with_its_type() -> None:
    """The reference has exactly the metrics of the page."""
    text = (DOCS / "reference/http.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| `(closeout_\w+)[^`]*` \| (\w+) \|", text)
    assert sorted(rows) == sorted(metrics().items())


def test_rules_for_alerts_use_metrics_that_there_are() -> None:
    """No rule that a reader would copy waits for a metric that never comes."""
    text = (DOCS / "how-to/monitor.md").read_text("utf-8")
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bcloseout_\w+", text)}
    assert used
    assert used <= set(metrics())


def test_every_table_of_the_ledger_is_documented() -> None:
    """The page has one row for each table of the schema."""
    schema = (ROOT / "src/closeout/ledger/sqlite/schema.sql").read_text("utf-8")
    assert column(DOCS / "reference/ledger.md", "table") == re.findall(
        r"(?m)^CREATE (?:VIRTUAL )?TABLE (\w+)", schema
    )


def test_every_page_can_be_reached_from_the_index() -> None:
    """docs/index.md links each page, so that nothing is written for nobody."""
    index = (DOCS / "index.md").read_text("utf-8")
    lost = [
        path.relative_to(DOCS).as_posix()
        for path in pages()
        if path.is_relative_to(DOCS)
        and path.name != "index.md"
        and f"]({path.relative_to(DOCS).as_posix()}" not in index
    ]
    assert not lost


def test_the_readme_begins_with_a_short_configuration_and_the_two_commands() -> None:
    """The first screen has a whole configuration of at most twelve lines, and two targets that the Makefile has."""
    first = next(block for block in yaml_blocks() if block.page == README)
    assert first.text.startswith("version: 1")
    assert len(first.text.splitlines()) <= 12
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("demo", "test"):
        assert f"make {target}" in README.read_text("utf-8")
        assert re.search(rf"(?m)^{target}:", makefile)


def test_the_readme_is_short() -> None:
    """A stranger reads it to its end: at most 700 words, code and tables included."""
    assert len(re.findall(r"\S*\w\S*", README.read_text("utf-8"))) <= 700


def test_files_that_the_promises_give_as_proof_exist() -> None:
    """Each promise names tests, and the tests are there."""
    named = re.findall(r"\btests/[\w/.]+\w", (DOCS / "explanation/promises.md").read_text("utf-8"))
    assert len(named) >= 5
    absent = [name for name in named if not (ROOT / name).exists()]
    assert not absent


def test_an_example_says_that_something_is_gone_only_if_it_is() -> None:
    """A comment that says "gone" stands behind steps that may fail: those examples stop after a failure."""
    shown = [(block.place, block.text) for block in yaml_blocks()]
    init = ROOT / "src/closeout/cli/init.yaml"
    texts = [*shown, (init.name, init.read_text("utf-8"))]
    saying = [(place, text) for place, text in texts if re.search(r"body:.*preview.* is gone", text)]
    assert len(saying) >= 2
    assert not [place for place, text in saying if "\n    on-failure: stop" not in text]


def test_both_forms_of_the_stacks_file_are_accepted(tmp_path: Path) -> None:
    """cdk/closeout.yaml as it stands, and with the automation that its comment shows in the place of the first."""
    text = (ROOT / "cdk/closeout.yaml").read_text("utf-8")
    head, second = text.split("\nautomations:\n")[0], text.split("\n#\n")[-1]
    other = f"{head}\n{re.sub(r'(?m)^# ?', '', second)}"
    assert "aws/cloudformation-delete-stack" in other
    for form in (text, other):
        found = configurations.findings(form, tmp_path)
        assert not found, "\n".join(finding.text() for finding in found)


def test_no_placeholder_stands_outside_of_code() -> None:
    """`${{ }}` is code wherever it stands: a mark that is not closed where it should be shows it bare."""
    bare = [
        f"{page.name}: {child.content}"
        for page in pages()
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))
        for child in token.children or []
        if child.type == "text" and "{{" in child.content
    ]
    assert not bare


def test_the_cdk_is_called_in_its_folder() -> None:
    """`npx cdk` finds its command line and its settings in cdk/ only, so each page goes there first."""
    wrong = []
    for page in pages():
        shown = [line for block in blocks() if block.page == page and block.language == "sh" for line in block.text.splitlines()]  # fmt: skip
        at = [number for number, line in enumerate(shown) if "npx cdk" in line]
        if at and not any("cd cdk" in line for line in shown[: at[0]]):
            wrong.append(page.name)
    assert not wrong


def test_make_targets_in_the_docs_exist() -> None:
    """`make x` names a target of the Makefile, in blocks and in sentences."""
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8")))
    texts = [text for _, text in spans()] + [block.text for block in blocks() if block.language == "sh"]
    named = {name for text in texts for name in re.findall(r"(?m)^(?:\$ )?make ([a-z-]+)", text)}
    assert named
    assert not named - targets
