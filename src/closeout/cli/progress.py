"""One line on standard error that says what a command is doing, on a terminal only, and is gone when there is a result.

A program that reads the output, and a log, never see it.
"""

from __future__ import annotations

import sys

from closeout.cli import output


class Line:
    """The line. It is on standard error, so that it may be shown beside JSON."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._shown = False

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._on:
            self.clear()
            sys.stderr.write(output.cut(f"… {text}", output.columns() - 1))
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False
