"""Makes a whole configuration of what a page shows: a file as it is, or a piece of one put where it belongs."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from closeout.actions.registry import builtin
from closeout.config import keys
from closeout.config.findings import Finding
from closeout.config.load import check
from tests.docs.pages import Block

FILE = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
aws: { account: '123456789012', region: eu-central-1 }
"""
AUTOMATION = {
    "on": "on: { pull_request: { types: [closed] } }",
    "repositories": "repositories: [acme/shop]",
    "steps": "steps: [{ uses: github/comment, with: { body: Done. } }]",
}


def whole(text: str) -> str | None:
    """The configuration that a block shows, None for YAML that is another program's."""
    shown: Any = YAML(typ="safe", pure=True).load(text)
    if isinstance(shown, list):
        return _automation("steps:\n" + textwrap.indent(text, "  "), {"steps"})
    if "version" in shown:
        return text
    if set(shown) <= set(keys.names("file")):
        begun = set(shown) & {"automations", "modules"}
        return (
            "version: 1\n"
            + text
            + ("" if begun else "automations:\n  shown:\n" + textwrap.indent(_keys(set()), "    "))
        )
    if set(shown) <= set(keys.names("automation")):
        return _automation(text, set(shown))
    return None


def _automation(text: str, given: set[str]) -> str:
    return FILE + "automations:\n  shown:\n" + textwrap.indent(_keys(given) + text, "    ")


def _keys(given: set[str]) -> str:
    return "".join(f"{line}\n" for key, line in AUTOMATION.items() if key not in given)


def modules(blocks: list[Block], folder: Path) -> None:
    """Write the modules that a page shows; the first line of each says its file."""
    for block in blocks:
        named = re.match(r"# (\w+\.py)\b", block.text)
        if block.language == "python" and named:
            (folder / named[1]).write_text(block.text, encoding="utf-8")


def findings(text: str, folder: Path) -> list[Finding]:
    """What `closeout check` says of a configuration, but for a function that is not on this machine."""
    path = folder / "closeout.yaml"
    path.write_text(text, encoding="utf-8")
    return [
        finding
        for finding in check(path, builtin())
        if (finding.code, finding.severity) != ("module-failed", "warning")
    ]
