"""The engines behind `ports.Durable`: run functions that outlive their process."""

from __future__ import annotations

from closeout.engine.durable import ReplayDurable
from closeout.engine.local import Counts, Engine, Finished

__all__ = ["Counts", "Engine", "Finished", "ReplayDurable"]
