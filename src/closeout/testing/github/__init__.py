"""A fake GitHub that answers over HTTP; `python -m closeout.testing.github --port 0` runs it by itself.

Tests in the same process use `FakeGitHub`, all others the control API under `/_control/`.
"""

from closeout.testing.github.server import TOKEN, FakeGitHub

__all__ = ["TOKEN", "FakeGitHub"]
