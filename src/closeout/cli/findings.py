"""How the errors of a configuration are shown: the place, the line, a caret and the fix.

`check`, `serve` and every command that loads the file show them in the same way, on a terminal, in a build's log
and in the journal of a service: the fix is of use wherever the message is read.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from closeout.cli import output

if TYPE_CHECKING:
    from closeout.config.findings import Finding


def show(findings: Sequence[Finding], *, err: bool) -> None:
    """Print `FILE:LINE:COL: message` for each, and indented below it the line, a caret and the fix."""
    stream = sys.stderr if err else sys.stdout
    for finding in findings:
        output.say(_colour(finding) if stream.isatty() else finding.pretty(), stream)


def _colour(finding: Finding) -> str:
    """Return a finding for a terminal: in colour, with its sentences wrapped between words."""
    head, *rest = finding.pretty().splitlines()
    main = "yellow" if finding.severity == "warning" else "red"
    lines = [output.style(output.wrapped(head, following="  "), bold=True)]
    for line in rest:
        if line.strip(" |^~") == "" and "^" in line:
            lines.append(output.style(line, fg=main, bold=True))
        elif line.lstrip().startswith("fix:"):
            lines.append(output.style(output.wrapped(line.strip(), "  ", "    "), fg="green"))
        else:
            lines.append(line)
    return "\n".join((*lines, ""))
