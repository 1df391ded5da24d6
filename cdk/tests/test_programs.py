"""Which programs a script calls, and which of them Lambda would miss."""

from __future__ import annotations

import pytest

from closeout_cdk import programs


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ("echo hello", ()),
        ("echo hello\ndropdb x", ("dropdb",)),
        ("aws a\naws b", ("aws",)),
        ("  git status # then find", ("git",)),
        ("./own --now", ("./own",)),
        ("tool --now", ("tool",)),
        ("made-here --now", ()),
        ("/opt/terraform", ()),
        ("PGPASSWORD=x psql -c 1", ()),
        ("echo \\\naws", ()),
        ("find() { echo found; }\nfind x", ()),
        ("find=1", ()),
        ('"$TOOL" --now', ()),
        ("cat <<EOF\naws s3 ls\nEOF", ()),
        ("echo 'a\naws b'", ()),
        ('echo "a\naws b"', ()),
    ],
)
def test_only_what_plainly_begins_a_line_counts(script: str, calls: tuple[str, ...]) -> None:
    """A script that works must never be refused: what is not understood is not looked at."""
    assert programs.of_script(script, ["tool"]) == calls


@pytest.mark.parametrize(
    "program",
    [
        "sh",
        "python3",
        "/bin/sh",
        "/usr/bin/curl",
        "./bin/tool",
        "bin/tool",
        "/var/task/bin/tool",
        "unheard-of",
    ],
)
def test_what_is_in_the_image_or_in_the_code_is_found(program: str) -> None:
    """By its name or its path; an unknown program may be there."""
    assert programs.missing(program, ["bin/tool"]) is None


@pytest.mark.parametrize("program", ["aws", "/usr/bin/git", "tar"])
def test_what_the_image_lacks_is_missed(program: str) -> None:
    """Whatever folder it would be in."""
    assert programs.missing(program, ["bin/tool"]) == f"`{program}` is not in Lambda's image"


@pytest.mark.parametrize("program", ["./bin/other", "bin/git", "/var/task/other"])
def test_what_the_code_lacks_is_missed(program: str) -> None:
    """The bundle is the working folder."""
    assert programs.missing(program, ["bin/tool"]) == f"`{program}` is not in codePath"


def test_a_program_of_the_code_is_not_on_the_path() -> None:
    """The fix is in the sentence, whatever the program is called."""
    assert "write `./tool`" in str(programs.missing("tool", ["tool"]))
    assert "write `./aws`" in str(programs.missing("aws", ["aws"]))
    assert programs.missing("./aws", ["aws"]) is None
