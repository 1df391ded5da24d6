"""Named statements, read from the `.sql` files in this folder.

SQL is written and reviewed as SQL, and no statement is assembled from text. The only change made here is to repeat the
row of a `VALUES` list.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def named(file: str) -> dict[str, str]:
    """Return the statements of one file by name, without their comments."""
    statements: dict[str, str] = {}
    for part in (FOLDER / file).read_text("utf-8").split("\n-- name: ")[1:]:
        name, _, text = part.partition("\n")
        lines = (line for line in text.splitlines() if not line.startswith("--"))
        statements[name.strip()] = "\n".join(lines).strip().removesuffix(";")
    return statements


SQL = named("queries.sql")
"""The writer's statements."""
READ = named("views.sql")
"""The readers' statements."""


class Rows:
    """An INSERT of many rows in one statement.

    The sqlite3 module releases the interpreter's lock for each statement and must then wait for it while deliveries are
    received, so one statement for many rows is faster. Row counts are split into powers of two, so that few statements
    are compiled.
    """

    SIZES = (64, 32, 16, 8, 4, 2, 1)

    def __init__(self, statement: str) -> None:
        head, _, row = statement.rpartition("VALUES")
        row = row.strip()
        self.width = row.count("?")
        self._statements = {size: f"{head}VALUES {','.join([row] * size)}" for size in self.SIZES}

    def cut(self, count: int) -> list[tuple[str, int, int]]:
        """Return (statement, first row, row after the last) that together insert `count` rows."""
        cuts = []
        at = 0
        for size in self.SIZES:
            while count - at >= size:
                cuts.append((self._statements[size], at, at + size))
                at += size
        return cuts
