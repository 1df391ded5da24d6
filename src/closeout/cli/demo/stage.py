"""Set the stage: a temporary folder, an environment of its own, three processes, and a hook between them.

Nothing of the user's environment reaches AWS or GitHub: credentials and endpoints are the demo's.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from closeout.cli import output
from closeout.cli.demo.cloud import Cloud
from closeout.cli.demo.github import GitHub
from closeout.cli.demo.narrator import Narrator
from closeout.cli.demo.processes import Children
from closeout.cli.demo.server import Server
from closeout.cli.demo.story import Stage

SECRET = "the webhook secret of the demo"  # noqa: S105  known only to the demo's own processes
TOKEN = "demo-token-of-the-closeout-bot"  # noqa: S105
DELETE_SECONDS = "0.8"


def build(folder: Path, children: Children, narrator: Narrator) -> Stage:
    """Start everything; return what the scenes play with."""
    config = folder / "closeout.yaml"
    config.write_text(files("closeout.cli.demo").joinpath("closeout.yaml").read_text("utf-8"), "utf-8")
    env = _environment()
    aws = children.start("closeout.testing.aws", "--port", "0", "--delete-seconds", DELETE_SECONDS, env=env)
    fake = children.start("closeout.testing.github", "--port", "0", "--token", TOKEN, "--full", env=env)
    github_url = fake.url()
    narrator.tell("github", f"our fake GitHub, pid {fake.pid}, at {github_url}")
    aws_url = aws.url()
    narrator.tell("aws", f"emulated AWS (moto), pid {aws.pid}, at {aws_url}")
    settings = {
        **env,
        "AWS_ENDPOINT_URL": aws_url,
        "CLOSEOUT_GITHUB_API": github_url,
        "CLOSEOUT_GITHUB_TOKEN": TOKEN,
        "CLOSEOUT_WEBHOOK_SECRET": SECRET,
    }
    server = Server(children, config, folder / "closeout.db", settings)
    seconds = server.start()
    narrator.tell("closeout", f"closeout serve, pid {server.pid}, {server.url}, {seconds:.2f} s")
    github = GitHub(github_url, TOKEN)
    github.hook(server.webhook, SECRET)
    output.say()
    for line in config.read_text("utf-8").splitlines()[1:]:
        output.say(f"  | {line}")
    return Stage(narrator, github, Cloud(aws_url, env), server)


def _environment() -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AWS_", "CLOSEOUT_", "GITHUB_"))
    }
    return {
        **kept,
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
