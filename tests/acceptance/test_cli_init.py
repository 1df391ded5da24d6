"""The first command of a newcomer: `closeout init` writes a safe configuration and what an editor needs for it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from closeout.cli import exits
from tests.acceptance.cli_process import closeout


def validator(config: Path) -> Draft202012Validator:
    """Read the schema as an editor does: the path in the first line is relative to the file."""
    first = config.read_text("utf-8").splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert named is not None, first
    return Draft202012Validator(json.loads((config.parent / named[1]).read_text("utf-8")))


def value(config: Path) -> Any:
    """Read the file as YAML."""
    return YAML(typ="safe").load(config)


def test_an_editor_finds_the_schema_and_accepts_the_file(tmp_path: Path) -> None:
    """The first line names a schema that is there, that accepts the file and that refuses a misspelt key."""
    assert closeout("init", "closeout.yaml", cwd=tmp_path).code == exits.OK
    config = tmp_path / "closeout.yaml"
    assert list(validator(config).iter_errors(value(config))) == []
    config.write_text(config.read_text("utf-8").replace("automations:", "automtions:"), "utf-8")
    assert list(validator(config).iter_errors(value(config)))


def test_the_schema_stands_beside_the_file_wherever_that_is(tmp_path: Path) -> None:
    """A path in another folder gets its schema there, and both files are named."""
    (tmp_path / "deploy").mkdir()
    told = closeout("init", "deploy/app.yaml", cwd=tmp_path)
    assert told.out == "Wrote deploy/app.yaml.\nWrote deploy/closeout.schema.json.\n"
    assert validator(tmp_path / "deploy/app.yaml")


def test_the_first_automation_changes_nothing(tmp_path: Path) -> None:
    """It is a dry run until somebody removes the line, and init says so without a question."""
    told = closeout("init", cwd=tmp_path)
    automations = value(tmp_path / "closeout.yaml")["automations"]
    assert [one["mode"] for one in automations.values()] == ["dry-run"]
    assert "changes nothing" in told.err
    assert "?" not in told.out + told.err


def test_a_schema_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """It may be a newer one; the note says how to replace it."""
    (tmp_path / "closeout.schema.json").write_text("mine")
    told = closeout("init", cwd=tmp_path)
    assert told.code == exits.OK
    assert "closeout.schema.json exists; `closeout schema > closeout.schema.json` updates it." in told.err
    assert (tmp_path / "closeout.schema.json").read_text() == "mine"


def test_schema_prints_what_init_writes(tmp_path: Path) -> None:
    """`closeout schema > closeout.schema.json` gives the same file, so an upgrade needs no other command."""
    closeout("init", cwd=tmp_path)
    assert closeout("schema", cwd=tmp_path).out == (tmp_path / "closeout.schema.json").read_text("utf-8")


def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    """Nothing is made beside the file that was asked for."""
    told = closeout("init", "none/closeout.yaml", cwd=tmp_path)
    assert told.code == exits.UNAVAILABLE
    assert (
        told.err == "closeout: Cannot write none/closeout.yaml: there is no folder none; create it first.\n"
    )
