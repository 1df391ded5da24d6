"""`closeout demo`: the main job on this machine, in separate processes, with a check of everything that it shows.

It is the acceptance test that a newcomer can watch: an emulated AWS, a fake GitHub and the real `closeout serve`
talk over HTTP, and the exit code says whether every check held.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import click

from closeout.cli import exits, output
from closeout.cli.commands import command
from closeout.core.errors import Unavailable

NEEDED = ("moto", "werkzeug")


@command("demo", "closeout demo", "closeout demo --keep-open")
@click.option(
    "--keep-open",
    is_flag=True,
    help="Keep the server running, so that you can open the run's page; Ctrl-C ends it.",
)
def demo(keep_open: bool) -> int:
    """Close a pull request and watch its preview be torn down; then see seven cases in which something goes wrong.

    Starts an emulated AWS, a fake GitHub and `closeout serve` as processes of their own, on free ports of this
    machine, in a temporary folder. Needs no account and leaves nothing behind. Exit code 1 if a check fails. Takes
    less than a minute.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable(
            f"The demo needs {' and '.join(missing)}: install closeout with its extra, closeout[demo], or run `make demo`."
        )
    signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="closeout-demo-") as folder:
        return _play(Path(folder), keep_open=keep_open)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # SIGTERM as Ctrl-C: every child is ended first


def _play(folder: Path, *, keep_open: bool) -> int:
    from closeout.cli.demo.narrator import Narrator
    from closeout.cli.demo.processes import Children
    from closeout.cli.demo.scenes import SCENES
    from closeout.cli.demo.stage import build

    narrator = Narrator()
    output.say(output.style("closeout demo", bold=True) + ": pull requests close, on this machine only")
    with Children(folder) as children:
        stage = build(folder, children, narrator)
        for scene in SCENES:
            scene(stage)
        total = narrator.held + len(narrator.failed)
        output.say(f"\n{narrator.held} of {total} checks held, in {narrator.elapsed():.0f} s.")
        for check in narrator.failed:
            output.say(output.style(f"  ✗ {check}", fg="red"))
        if narrator.failed:
            output.note(f"The server's last words:\n{children.last_output('closeout')}")
        if keep_open:
            _keep_open(stage.github.details())
    return exits.FAILED if narrator.failed else exits.OK


def _keep_open(urls: dict[str, str]) -> None:
    """Keep everything running until Ctrl-C, and print what can be opened."""
    output.say("\nThe server is still up. Open a run's page in a browser; Ctrl-C ends the demo.")
    for title, url in urls.items():
        output.say(f"  {title}\n  {url}")
    sys.stdout.flush()
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        output.say()
