"""`closeout init` and `closeout schema`: a commented configuration to start from, and the schema that editors check it with.

The text is a file of its own, `init.yaml`, so that a test can check it like any other configuration. The schema is made from
the table of keys (`schema/generate.py`) and is in the package, so it needs no download.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from closeout.cli import options, output
from closeout.cli.commands import command
from closeout.core.errors import NotConfirmed, Unavailable

SCHEMA = "closeout.schema.json"
NEXT = """\
Next:
  1. Edit {path}: your repository, AWS account and stack names.
  2. closeout check {path}
  3. export CLOSEOUT_WEBHOOK_SECRET=...   the secret that you give to the webhook
     export CLOSEOUT_GITHUB_TOKEN=...     a token with Commit statuses: write
                                         and Pull requests: read
  4. closeout doctor --config {path}
  5. closeout plan --config {path} --pull-request OWNER/REPO#N
  6. closeout serve --config {path}
The automation is a dry run: it shows its plan and changes nothing.
Remove `mode: dry-run` when you trust the plan."""


@command("init", "closeout init", "closeout init deploy/closeout.yaml")
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default=options.DEFAULT_CONFIG)
def init(path: Path) -> None:
    """Write a commented configuration to PATH (closeout.yaml), and closeout.schema.json next to it for your editor.

    `closeout check` accepts the file unchanged. Its automation is a dry run, which changes nothing. The command
    overwrites neither an existing configuration (exit code 3) nor an existing schema.
    """
    if not _write(path, files("closeout.cli").joinpath("init.yaml").read_text(encoding="utf-8")):
        raise NotConfirmed(f"{path} exists, so nothing was written. Name another path: closeout init PATH")
    output.say(f"Wrote {path}.")
    schema_path = path.parent / SCHEMA
    if _write(schema_path, _schema()):
        output.say(f"Wrote {schema_path}.")
    else:
        output.note(f"{schema_path} exists; `closeout schema > {schema_path}` updates it.")
    output.note(NEXT.format(path=path))


def _write(path: Path, text: str) -> bool:
    """Write a new file and return True, or return False if there is one. Raises `Unavailable`."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    except FileNotFoundError:
        raise Unavailable(
            f"Cannot write {path}: there is no folder {path.parent}; create it first."
        ) from None
    except OSError as error:
        raise Unavailable(f"Cannot write {path}: {error.strerror}.") from None
    return True


@command("schema", f"closeout schema > {SCHEMA}")
def schema() -> None:
    """Print the JSON Schema of closeout.yaml.

    An editor with a YAML language server completes and checks the file when its first line is
    "# yaml-language-server: $schema=closeout.schema.json" and the schema is in the same folder. `closeout init` writes
    both; repeat the command of the example after you upgrade closeout.
    """
    output.say(_schema().rstrip("\n"))


def _schema() -> str:
    return files("closeout.config").joinpath(SCHEMA).read_text(encoding="utf-8")
