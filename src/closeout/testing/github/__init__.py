"""A fake GitHub that answers over HTTP; `python -m closeout.testing.github --port 0` runs it by itself.

One door: `FakeGitHub` for tests in the same process, the control API under `/_control/` for all others.
"""

from closeout.testing.github.server import TOKEN, FakeGitHub

__all__ = ["TOKEN", "FakeGitHub"]
