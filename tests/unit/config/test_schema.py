"""The JSON Schema accepts what the loader accepts, and refuses unknown keys; generated files are up to date."""

from __future__ import annotations

import io
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from closeout.config import keys
from closeout.config.codes import CODES
from schema.config_pages import config_page, errors_page
from schema.generate import PAGES, ROOT
from schema.json_schema import json_schema
from tests.unit.config.known_actions import REGISTRY
from tests.unit.config.samples import AUTOMATION, REQUEST, SAMPLES, SHELL, Sample
from tests.unit.config.test_load import EVERYTHING

SCHEMA = json_schema(REGISTRY)
VALIDATOR = Draft202012Validator(SCHEMA)
SHAPES = {
    "unknown-key",
    "missing-key",
    "wrong-type",
    "bad-duration",
    "unknown-action",
    "unknown-input",
    "bad-reference",
}
"""Findings about shapes, which an editor can show."""
BEYOND = {"on: §3", "'env:1BAD'", "pull_request: [closed]"}


def _value(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(io.StringIO(text))


@pytest.mark.parametrize("text", [EVERYTHING, AUTOMATION, SHELL, REQUEST, "version: 1\nmodules: [hooks]\n"])
def test_valid_files_are_valid_by_the_schema(text: str) -> None:
    """The schema accepts the files that the loader accepts."""
    assert [error.message for error in VALIDATOR.iter_errors(_value(text))] == []


@pytest.mark.parametrize(
    "sample",
    [
        sample
        for sample in SAMPLES
        if sample.code in SHAPES and not any(part in sample.text for part in BEYOND)
    ],
    ids=lambda sample: sample.code,
)
def test_wrong_shapes_are_invalid(sample: Sample) -> None:
    """An editor shows a wrong shape while the user types."""
    assert not VALIDATOR.is_valid(_value(sample.file()[0]))


def test_the_schema_itself_is_valid() -> None:
    """By draft 2020-12's own schema, and each action's inputs are found by its `uses`."""
    Draft202012Validator.check_schema(SCHEMA)
    step = SCHEMA["$defs"]["step"]
    assert [rule["if"]["properties"]["uses"]["const"] for rule in step["allOf"]] == list(REGISTRY)
    wrong = AUTOMATION.replace("stack-name", "stackname")
    assert any("stackname" in error.message for error in VALIDATOR.iter_errors(_value(wrong)))


def test_every_key_has_a_description() -> None:
    """An editor shows for each key what the reference page says."""
    for key in keys.KEYS:
        level = SCHEMA if key.level == "file" else SCHEMA["$defs"][key.level]
        assert level["properties"][key.name]["description"] == key.meaning


@pytest.mark.parametrize("name", list(PAGES))
def test_generated_files_are_up_to_date(name: str) -> None:
    """Run `python schema/generate.py` when this fails."""
    assert ROOT.joinpath(name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_key_and_code_is_documented() -> None:
    """The reference pages name each key and each code of a finding."""
    config, errors = config_page(), errors_page()
    assert [key.name for key in keys.KEYS if f"| `{key.name}` |" not in config] == []
    assert [code for code in CODES if f"| `{code}` |" not in errors] == []
