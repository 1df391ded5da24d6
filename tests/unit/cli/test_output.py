"""What a person reads: times, sizes, and outside text made safe for a terminal."""

from __future__ import annotations

import json
import time

import pytest

from closeout.cli import output
from closeout.cli.deliver import is_loopback
from closeout.cli.exits import MEANINGS, code_for
from closeout.core import errors
from closeout.core.units import iso


@pytest.mark.parametrize(
    ("then", "text"), [(None, "-"), (995, "5s"), (700, "5m"), (-9_800, "3h"), (-200_000, "2d")]
)
def test_an_age_has_one_unit(then: float | None, text: str) -> None:
    """So that it fits a narrow column."""
    assert output.ago(then, now=1000) == text


def test_outside_text_cannot_steer_a_terminal() -> None:
    """Escape sequences and line breaks from a branch name or a log line are shown, not obeyed."""
    assert output.clean("a\x1b[2Jb\rc\td\u202e\n") == r"a\x1b[2Jb\rc    d\u202e\n"
    assert output.clean("caf\u00e9 \u2019\u00a0: \U0001f600\ufe0f") == "caf\u00e9 \u2019 : \U0001f600\ufe0f"


def test_a_table_fits_its_width(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are two spaces apart; the widest flexible one is cut, with an ellipsis."""
    monkeypatch.setenv("COLUMNS", "40")
    output.table(
        ("ID", "TEXT", "MORE"), [("1", "short", "m"), ("2" * 12, "x" * 100, "y" * 20)], shrink=(1, 2)
    )
    assert capsys.readouterr().out == (
        "ID            TEXT          MORE\n"
        "1             short         m\n"
        f"222222222222  {'x' * 11}…  {'y' * 11}…\n"
    )


def test_text_is_wrapped_only_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with hyphens and a long ARN stay whole, so that they can be copied."""
    monkeypatch.setenv("COLUMNS", "80")
    arn = f"arn:aws:cloudformation:eu-central-1:123456789012:stack/{'preview-' * 8}"
    text = output.wrapped(f"{'word ' * 14}cut-off-here {arn} end", "  ", "    ")
    assert text.splitlines() == [f"  {'word ' * 14}".rstrip(), "    cut-off-here", f"    {arn}", "    end"]


@pytest.mark.parametrize(
    ("zone", "text"), [("UTC", "2026-11-27 23:50:00 UTC"), ("Europe/Berlin", "2026-11-28 00:50:00+01:00")]
)
def test_a_time_has_its_zone(monkeypatch: pytest.MonkeyPatch, zone: str, text: str) -> None:
    """People read local time with its zone; programs read UTC."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert output.moment(1_795_823_400.25) == text
        assert output.clock_time(1_795_823_400.25) == text[11:]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert iso(1_795_823_400.25) == "2026-11-27T23:50:00.250Z"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.8.7", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    """Loopback addresses and localhost need no confirmation."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com", "2130706433"]
)
def test_everything_else_is_not_loopback(host: str) -> None:
    """A name may resolve to anything, so only the literal forms count."""
    assert not is_loopback(host)


def test_every_error_ends_in_a_documented_exit_code() -> None:
    """Whatever class an error has, its exit code is one that --help explains."""
    documented = {code for code, _ in MEANINGS}
    for error in (
        errors.UsageError("x"),
        errors.NotFound("x"),
        errors.NotConfirmed("x"),
        errors.GuardRefused("x"),
        errors.WrongAccount("x"),
        errors.LedgerInUse("x"),
        errors.SecretError("x"),
        errors.Unavailable("x"),
        errors.ConfigError("x"),
        errors.ServiceError("x", service="a", operation="b", reason="c"),
    ):
        assert code_for(error) in documented
    assert code_for(errors.NameRefused("x")) == 3
    assert code_for(errors.LedgerInUse("x")) == 4
    assert code_for(errors.NotFound("x")) == 1


def test_only_our_own_colours_reach_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A fact that was not cleaned is shown all the same, even if it contains closeout's own colour codes."""
    fact = "t\x1b[31mred\x1b[8m\x1b]8;;http://x\x07\x9b2J\u202e\u3164"
    for line in (output.word("failure") + " " + fact, output.clean(output.style("x", bold=True) + fact)):
        output.say(line)
        output.note(line)
    shown = r"t\x1b[31mred\x1b[8m\x1b]8;;http://x\x07\x9b2J\u202e\u3164"
    assert capsys.readouterr() == (f"failure {shown}\nx{shown}\n",) * 2
    assert output._safe(output.style("x", fg="red") + fact) == f"\x1b[31mx\x1b[0m{shown}"
    assert output._safe("two\nlines\r") == "two\nlines\\r"


def test_json_keeps_its_value_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get the exact text; a terminal shows it."""
    value = {"title": "t\x1b[31m\x9b2J\u202e\u2028\x7f\U000e0041 \u00fc\n"}
    output.print_json(value)
    output.print_json_line(value)
    output.print_document(json.dumps(value, ensure_ascii=False).encode())
    whole, _, rest = capsys.readouterr().out.partition("}\n")
    line, document, _ = rest.split("\n")
    assert all(json.loads(text) == value for text in (whole + "}", line, document))
    assert (whole + line).replace("\n", "").isprintable()
    assert "\u00fc" in whole
