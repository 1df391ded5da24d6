"""What a scene gets: a folder, a seeded source of chance, and how long it may take."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Stage:
    """`scale` is 1 for the usual run; `seconds` and `count` multiply a scene's own sizes by it."""

    folder: Path
    seed: int
    scale: float

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def seconds(self, usual: float) -> float:
        """Return how long something is to go on."""
        return usual * self.scale

    def count(self, usual: int) -> int:
        """Return how often something is to be done."""
        return max(1, round(usual * self.scale))

    def room(self, name: str) -> Path:
        """Return a new folder inside the scene's own."""
        room = self.folder / name
        room.mkdir()
        return room
