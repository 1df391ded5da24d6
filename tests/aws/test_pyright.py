"""`from closeout import on, Run` under a second type checker, with the snippets that mypy checks in `tests/packaging`.

Pyright comes from npm, so it is checked where Node is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.packaging.test_typed_api import RIGHT, WRONG

ROOT = Path(__file__).parents[2]
PYRIGHT = ROOT / "cdk" / "node_modules" / ".bin" / "pyright"


def errors(folder: Path) -> Counter[str]:
    """Return the number of errors in each file of a folder."""
    command = [str(PYRIGHT), "--outputjson", "--pythonpath", sys.executable, str(folder)]
    found = json.loads(subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout)
    assert found["summary"]["filesAnalyzed"] == len(list(folder.glob("*.py")))
    return Counter(
        Path(each["file"]).stem for each in found["generalDiagnostics"] if each["severity"] == "error"
    )


def test_a_right_automation_passes_and_each_wrong_name_fails(tmp_path: Path) -> None:
    """One start of the checker for all snippets."""
    (tmp_path / "right.py").write_text(RIGHT, "utf-8")
    names = {name.replace(" ", "_"): text for name, (text, _) in WRONG.items()}
    for name, text in names.items():
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
    assert set(errors(tmp_path)) == set(names)
