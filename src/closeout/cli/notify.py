"""`closeout notify test`: send one message to each notifier, and say for each whether it arrived.

It reads the URLs as this shell may, and needs neither a server nor a ledger.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from closeout.cli import exits, options, output
from closeout.cli.commands import group


@group("notify", "closeout notify test --config closeout.yaml")
def notify() -> None:
    """Try the notifiers that the configuration names in `notify`."""


@notify.command(
    "test", examples=("closeout notify test", "closeout notify test --config closeout.yaml --json")
)
@options.config
@options.as_json
def test(*, config: Path, as_json: bool) -> int:
    """Send one message to each notifier of the configuration, and say whether it arrived.

    Run it with the variables of the server. Exit code 0 if each took its message, 1 if a URL cannot be used or the
    configuration names no notifier, 4 if one cannot be read or reached. With --json: [{"notifier", "ok", "code", "error"}].
    """
    from closeout.actions.registry import builtin
    from closeout.config.load import load
    from closeout.wiring.notifying import try_all

    results = try_all(load(config, builtin()))
    if as_json:
        output.print_json([_row(target, error) for target, error in results])
    else:
        for target, error in results:
            said = output.style("✓", fg="green") if error is None else output.style("✗", fg="red")
            told = "took the message" if error is None else output.clean(error.message)
            output.say(f"{said} {target}: {told}")
    if not results:
        output.note(f"{config} names no notifier; add `notify: {{ to: ['env:NAME'] }}`")
        return exits.FAILED
    return max((exits.code_for(error) for _, error in results if error is not None), default=exits.OK)


def _row(target: str, error: Any) -> dict[str, Any]:
    return {
        "notifier": target,
        "ok": error is None,
        "code": error.code if error else None,
        "error": error.message if error else None,
    }
