"""Cut what GitHub's description says of the `closed` webhook, with GitHub's own examples of what it can be made from.

Run it as `cut.py` beside it: `python tests/openapi/cut_closed.py PATH/TO/api.github.com.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("closed.json")
PROSE = ("description", "example", "examples", "x-github", "title", "externalDocs", "summary", "deprecated")
WEBHOOK = "webhook-pull-request-closed"
EXAMPLES = ("pull-request", "pull-request-simple-items", "issue-event-items")


def without_prose(value: Any, *, names: bool = False) -> Any:
    """Return a schema without what is for people. The keys of `properties` are names, whatever they are called."""
    if isinstance(value, list):
        return [without_prose(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_prose(inner, names=key == "properties" and not names)
        for key, inner in value.items()
        if names or key not in PROSE
    }


def referred(value: Any) -> set[str]:
    """Return the names of the schemas that a schema refers to."""
    if isinstance(value, list):
        return set().union(*map(referred, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    here = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
    return here.union(*map(referred, value.values()))


def main() -> None:
    """Write the cut beside this file."""
    whole = json.loads(Path(sys.argv[1]).read_text())
    schemas: dict[str, Any] = {}
    wanted = {WEBHOOK}
    while wanted:
        name = wanted.pop()
        schemas[name] = without_prose(whole["components"]["schemas"][name])
        wanted |= referred(schemas[name]) - set(schemas)
    examples = {name: whole["components"]["examples"][name]["value"] for name in EXAMPLES}
    result = {
        "source": f"GitHub's REST API description {whole['info']['version']} (MIT licence, GitHub Inc.)",
        "components": {"schemas": schemas},
        "examples": examples,
    }
    TARGET.write_text(json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
