"""The engines that implement `ports.Durable`: their run functions survive the death of the process."""

from __future__ import annotations

from closeout.engine.durable import ReplayDurable
from closeout.engine.local import Engine
from closeout.engine.recorder import Finished
from closeout.engine.schedule import Counts

__all__ = ["Counts", "Engine", "Finished", "ReplayDurable"]
