"""The stack of `patrol_scene`, for the tests of patrol and of its drill."""

from __future__ import annotations

from tests.unit.wiring.patrol_scene import emulator, scene

__all__ = ["emulator", "scene"]
