"""Write what is made from the code: the JSON Schema and the reference pages about the file.

Run `python schema/generate.py` after changing a key, a code or an action's inputs; a test fails until then.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from closeout.actions.registry import builtin
from schema.config_pages import config_page, errors_page
from schema.json_schema import json_schema

PAGES: dict[str, Callable[[], str]] = {
    "src/closeout/config/closeout.schema.json": lambda: (
        json.dumps(json_schema(builtin()), indent=2, ensure_ascii=False) + "\n"
    ),
    "docs/reference/config.md": config_page,
    "docs/reference/config-errors.md": errors_page,
}
"""Every generated file, and what gives its text."""


if __name__ == "__main__":
    for name, text in PAGES.items():
        ROOT.joinpath(name).write_text(text(), encoding="utf-8")
