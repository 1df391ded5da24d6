"""What the audience sees: scenes, one line per event, and a ✓ or ✗ per check.

Plain text of at most 80 columns; click drops the colours where there is no terminal.
"""

from __future__ import annotations

import textwrap
import time

from closeout.cli import output

WIDTH = 80
INDENT = " " * 19
COLOURS = {"github": "magenta", "aws": "yellow", "closeout": "cyan", "status": "blue", "run": "white"}


class Narrator:
    """Writes the story and counts the checks that did not hold."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.held = 0
        self.failed: list[str] = []

    def elapsed(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._began

    def scene(self, title: str) -> None:
        """Begin a scene."""
        output.say()
        output.say(output.style(title, bold=True))

    def tell(self, who: str, text: str) -> None:
        """Write what happened: when, who, what."""
        head = f"{self.elapsed():6.2f}s  " + output.style(f"{who:<8}", fg=COLOURS.get(who)) + "  "
        first, *rest = textwrap.wrap(
            output.clean(text), WIDTH - len(INDENT), break_on_hyphens=False, max_lines=2, placeholder=" …"
        ) or [""]
        output.say(head + first)
        for line in rest:
            output.say(INDENT + line)

    def link(self, title: str, url: str) -> None:
        """Show a URL on a line of its own, whole, so that a terminal can open it."""
        output.say(f"  {title}")
        output.say(f"  {output.style(url, underline=True)}")

    def check(self, holds: bool, what: str, otherwise: str = "") -> bool:
        """Write ✓ or ✗ with what should hold; what was seen instead follows a ✗."""
        mark = output.style("✓", fg="green") if holds else output.style("✗", fg="red", bold=True)
        lines = textwrap.wrap(what, WIDTH - 4, break_on_hyphens=False)
        output.say(f"  {mark} " + "\n    ".join(lines))
        if holds:
            self.held += 1
            return True
        self.failed.append(what)
        for line in textwrap.wrap(f"instead: {output.clean(otherwise)}", WIDTH - 8):
            output.say(f"      {line}")
        return False
