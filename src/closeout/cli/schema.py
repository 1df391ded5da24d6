"""`closeout schema`: the JSON Schema of closeout.yaml, for completion and checks in an editor.

The file is made from the table of keys (`schema/generate.py`) and is in the package, so it needs no download.
"""

from __future__ import annotations

from importlib.resources import files

from closeout.cli import output
from closeout.cli.commands import command

FILE_NAME = "closeout.schema.json"


@command("schema", f"closeout schema > {FILE_NAME}")
def schema() -> None:
    """Print the JSON Schema of closeout.yaml.

    An editor with a YAML language server completes and checks the file when its first line is
    "# yaml-language-server: $schema=closeout.schema.json" and the schema is beside it. `closeout init` writes both;
    repeat the command of the example after you upgrade closeout.
    """
    output.say(text().rstrip("\n"))


def text() -> str:
    """Return the schema as it is in the package."""
    return files("closeout.config").joinpath(FILE_NAME).read_text(encoding="utf-8")
