"""`closeout completion`: completion for bash, zsh and fish, printed or installed.

click writes the scripts. This module knows where each shell reads them: fish from a folder, bash and zsh from a line
in their start-up file.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import click

from closeout.cli import output
from closeout.cli.commands import group
from closeout.core.errors import Unavailable, UsageError

VARIABLE = "_CLOSEOUT_COMPLETE"
START_FILES = {"bash": ".bashrc", "zsh": ".zshrc"}
SHELLS = ("bash", "zsh", "fish")
ZSH_FIRST = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"
"""A new user's .zshrc does not turn the completion system on."""


@group("completion", "closeout completion install", "closeout completion zsh > _closeout")
def completion() -> None:
    """Complete commands, options, run ids, delivery ids, automations and actions in bash, zsh and fish.

    Most people need only `install`; the other commands print the script.
    """


@completion.command("install", examples=("closeout completion install", "closeout completion install fish"))
@click.argument("shell", type=click.Choice(SHELLS), required=False, metavar="[bash|zsh|fish]")
def install(shell: str | None) -> None:
    """Install the completion for your shell, or for the one that you name.

    fish: writes ~/.config/fish/completions/closeout.fish. bash and zsh: writes the script to
    ~/.local/share/closeout and adds one line to ~/.bashrc or ~/.zshrc. A second call changes nothing.
    """
    name = shell or Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise UsageError(f"Name your shell: closeout completion install {'|'.join(SHELLS)}.")
    try:
        for path in _install(name):
            output.say(f"Wrote {path}.")
    except OSError as error:
        raise Unavailable(f"Cannot write {error.filename}: {error.strerror}.") from None
    output.note(f"Start a new {name}, and type: closeout runs show <Tab>")


def _install(shell: str) -> list[Path]:
    home = Path.home()
    if shell == "fish":
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        return [_write(folder / "fish" / "completions" / "closeout.fish", source(shell))]
    folder = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    script = _write(folder / "closeout" / f"completion.{shell}", source(shell))
    start = (Path(os.environ.get("ZDOTDIR") or home) if shell == "zsh" else home) / START_FILES[shell]
    text = start.read_text(encoding="utf-8", errors="surrogateescape") if start.exists() else ""
    line = f"source '{script}'\n"
    if line in text:
        return [script]
    with start.open("a", encoding="utf-8") as file:
        file.write(("\n" if text and not text.endswith("\n") else "") + line)
    return [script, start]


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def source(shell: str) -> str:
    """Return the script that a shell evaluates."""
    from click.shell_completion import get_completion_class

    from closeout.cli.main import closeout

    kind = get_completion_class(shell)
    assert kind is not None
    text = kind(closeout, {}, "closeout", VARIABLE).source()
    first, _, rest = text.partition("\n")
    return f"{first}\n{ZSH_FIRST}{rest}" if shell == "zsh" else text


def _show(shell: str) -> None:
    output.say(source(shell).rstrip("\n"))


for _shell in SHELLS:
    completion.command(
        _shell,
        examples=(f"closeout completion {_shell}",),
        help=f"Print the completion script for {_shell}.",
    )(partial(_show, _shell))
