"""`make demo-aws`: the 2021 write-up's demonstration, on the real template, with checks of all that it shows.

The CDK's own command line deploys `closed-pr-event-stack` to an emulated account on this machine; a fake GitHub
opens and closes pull request #17. The exit code says whether everything that was shown held.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from pathlib import Path

import click

from closeout.cli import exits, output
from closeout.cli.demo.narrator import Narrator
from closeout.core.errors import Unavailable
from tests.aws.demo.preview import Previews
from tests.aws.demo.scenes import SCENES, Stage
from tests.aws.world import World

HERE = Path(__file__).parent
GITHUB = ["192.30.252.0/22", "185.199.108.0/22", "140.82.112.0/20", "143.55.64.0/20", "127.0.0.1/32"]
"""GitHub's ranges as in 2026, and the fake one's address."""


def main() -> int:
    """Play it. Exit code 1 if a check did not hold, 4 if something could not be started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="closeout-demo-aws-") as folder:
            return play(Path(folder))
    except Unavailable as error:
        output.note(error.message)
        return exits.UNAVAILABLE
    except KeyboardInterrupt:
        output.note("Stopped; everything that was started has been ended.")
        return exits.INTERRUPTED


def play(folder: Path) -> int:
    """Deploy, play the scenes, and sum up."""
    narrator = Narrator()
    output.say(
        click.style("closeout demo-aws", bold=True) + ": the stack, on an emulated account of this machine"
    )
    narrator.scene("1  cdk deploy closed-pr-event-stack")
    addresses = folder / "github-addresses.json"
    addresses.write_text(json.dumps({"hooks": GITHUB}), "utf-8")
    world = World(
        folder,
        (HERE / "closeout.yaml").read_text("utf-8"),
        code=HERE / "code",
        context={"githubAddresses": str(addresses)},
        tell=narrator.tell,
    )
    with world:
        for name in ("WebhookUrl", "WebhookSecretName", "GitHubTokenSecretName"):
            output.say(f"  {name}\n    {world.outputs[name]}")
        narrator.tell("aws", "here the webhook answers below the emulator's own address")
        world.add_repository()
        stage = Stage(narrator, world, Previews(world.cloud))
        for scene in SCENES:
            scene(stage)
        if narrator.failed:
            output.note(f"The emulator's last words:\n{world.cloud.last_output()}")
    total = narrator.held + len(narrator.failed)
    output.say()
    output.say(f"{narrator.held} of {total} checks held, in {narrator.elapsed():.0f} s.")
    for check in narrator.failed:
        output.say(click.style(f"  ✗ {check}", fg="red"))
    return exits.FAILED if narrator.failed else exits.OK


if __name__ == "__main__":
    sys.exit(main())
