"""Which programs a script calls, and which of them Lambda has."""

from __future__ import annotations

import pytest

from closeout_cdk import programs


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ("echo hello", ()),
        ("dropdb x", ("dropdb",)),
        ("cd /tmp && tar xf a.tar", ("tar",)),
        ("curl -s x | jq .id", ("jq",)),
        ("if psql -c 1; then echo yes; fi", ("psql",)),
        ("PGPASSWORD=x psql -c 1", ("psql",)),
        ("exec terraform destroy", ("terraform",)),
        ("! kubectl get ns", ("kubectl",)),
        ("true || aws s3 ls", ("aws",)),
        ("git status # then find", ("git",)),
        ("./own --now", ("./own",)),
        ("for x in a b; do helm delete $x; done", ("helm",)),
        ("tidy() { echo tidied; }\ntidy", ()),
        ('"$TOOL" --now', ()),
        ("cat <<EOF\naws s3 ls\nEOF", ()),
        ("case $1 in\n  a) aws s3 ls ;;\nesac", ()),
        ("echo 'a\naws b'", ()),
        ("X=$(aws s3 ls)", ("aws",)),
        ("X=$((1 + 2))", ()),
        ("x=(aws gcloud)", ()),
        ("aws a\naws b", ("aws",)),
    ],
)
def test_only_what_plainly_stands_as_a_command_counts(script: str, calls: tuple[str, ...]) -> None:
    """A script that works must never be refused: what is not understood is not looked at."""
    assert programs.of_script(script) == calls


@pytest.mark.parametrize(
    "program", ["sh", "python3", "/bin/sh", "/usr/bin/curl", "./bin/tool", "bin/tool", "/var/task/bin/tool"]
)
def test_what_is_in_the_image_or_in_the_code_is_found(program: str) -> None:
    """By its name, or by its path."""
    assert programs.missing(program, ["bin/tool"]) is None


@pytest.mark.parametrize("program", ["aws", "/usr/bin/git", "./bin/other", "tar", "cd"])
def test_what_is_in_neither_is_missed(program: str) -> None:
    """`cd` too: as a program by itself there is none."""
    assert f"`{program}` is neither in Lambda's image nor in codePath" == programs.missing(
        program, ["bin/tool"]
    )


def test_a_program_of_the_code_is_not_on_the_path() -> None:
    """The fix is in the sentence."""
    assert "write `./tool`" in str(programs.missing("tool", ["tool"]))
