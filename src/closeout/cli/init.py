"""`closeout init`: a commented configuration to start from.

The text is a file of its own, `init.yaml`, so that a test can check it as any other configuration.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from closeout.cli import options, output
from closeout.cli.commands import Command
from closeout.core.errors import NotConfirmed, Unavailable

NEXT = """\
Next:
  1. Edit {path}: your repository, your AWS account, the name of your stacks.
  2. closeout check {path}
  3. export CLOSEOUT_WEBHOOK_SECRET=...   the secret that you gave to the hook at GitHub
     export CLOSEOUT_GITHUB_TOKEN=...     a token with Commit statuses: write
                                         and Pull requests: read
  4. closeout serve --config {path}"""


@click.command(
    "init",
    cls=Command,
    short_help="Write a commented closeout.yaml to start from.",
    examples=("closeout init", "closeout init deploy/closeout.yaml"),
)
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default=options.DEFAULT_CONFIG)
def init(path: Path) -> None:
    """Write a commented configuration to PATH (closeout.yaml), which `closeout check` accepts as it is.

    A file that is there already is never overwritten (exit code 3).
    """
    text = files("closeout.cli").joinpath("init.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise NotConfirmed(f"{path} exists; it was left as it is.") from None
    except OSError as error:
        raise Unavailable(f"Cannot write {path}: {error.strerror}.") from None
    output.say(f"Wrote {path}.")
    output.note(NEXT.format(path=path))
