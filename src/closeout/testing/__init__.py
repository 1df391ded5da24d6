"""Fakes and builders for tests: `play` an automation, sign deliveries, run a fake GitHub or an emulated AWS.

They are part of the package, so that you can test your own automations with the tools that closeout's own tests and
`closeout demo` use. See docs/reference/testing.md.
"""

from closeout.testing.rehearsal import Played, PlayedStep, PostedStatus, play

__all__ = ["Played", "PlayedStep", "PostedStatus", "play"]
