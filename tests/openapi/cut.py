"""Cut GitHub's OpenAPI description down to what closeout asks for and reads.

The whole description is 13 MB; the cut is small enough to be read in a review. Run it on a newer description
with `python tests/openapi/cut.py PATH/TO/api.github.com.json`, the file of that name in the npm package
`@octokit/openapi`. It fails when an operation or a field that closeout relies on is no longer there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("github.json")
HERE = "/repos/{owner}/{repo}"

Fields = dict[str, "Fields"]


def fields(*paths: str) -> Fields:
    """Return dotted paths as a tree; `[]` steps into a list."""
    tree: Fields = {}
    for path in paths:
        at = tree
        for part in path.split("."):
            at = at.setdefault(part, {})
    return tree


_COMMENT = ("id", "body", "html_url", "user.id")
_HOOK = (
    "id",
    "events.[]",
    "active",
    "updated_at",
    "config.url",
    "config.content_type",
    "config.insecure_ssl",
)
_OF_REPOSITORY = ("last_response.code", "last_response.status", "last_response.message")
_CONFIG = ("url", "content_type", "insecure_ssl", "secret")
_DELIVERY = (
    "id",
    "guid",
    "delivered_at",
    "event",
    "status",
    "status_code",
    "redelivery",
    "duration",
    "action",
)
_RUN = ("id", "status", "conclusion", "html_url", "display_title", "name", "created_at")
Operation = tuple[str, str, str, Fields]


def hooks(owner: str, more: tuple[str, ...]) -> tuple[Operation, ...]:
    """Return what is asked about hooks: the same paths below a repository and an organization."""
    one = f"{owner}/hooks/{{hook_id}}"
    hook = (*_HOOK, *more)
    return (
        ("get", f"{owner}/hooks", "200", fields(*(f"[].{name}" for name in hook))),
        ("post", f"{owner}/hooks", "201", fields(*hook)),
        ("get", one, "200", fields(*hook)),
        ("patch", one, "200", fields(*hook)),
        ("delete", one, "204", {}),
        ("get", f"{one}/config", "200", fields(*_CONFIG)),
        ("patch", f"{one}/config", "200", fields(*_CONFIG)),
        ("post", f"{one}/pings", "204", {}),
        ("get", f"{one}/deliveries", "200", fields(*(f"[].{name}" for name in _DELIVERY))),
        (
            "get",
            f"{one}/deliveries/{{delivery_id}}",
            "200",
            fields(*_DELIVERY, "request.headers", "request.payload", "response.payload"),
        ),
        ("post", f"{one}/deliveries/{{delivery_id}}/attempts", "202", {}),
    )


OPERATIONS: tuple[Operation, ...] = (
    ("get", "/user", "200", fields("id", "login")),
    ("get", HERE, "200", fields("id", "full_name", "default_branch", "owner.id")),
    ("post", HERE + "/statuses/{sha}", "201", fields("state", "context", "description", "target_url")),
    (
        "get",
        HERE + "/pulls/{pull_number}",
        "200",
        fields(
            "id",
            "number",
            "state",
            "base.repo.id",
            "base.repo.full_name",
            "base.repo.owner.id",
            "head.ref",
        ),
    ),
    ("get", HERE + "/pulls", "200", fields("[].number", "[].state", "[].head.ref")),
    ("get", HERE + "/pulls/{pull_number}/files", "200", fields("[].filename", "[].previous_filename")),
    ("get", HERE + "/git/ref/{ref}", "200", fields("ref", "object.sha")),
    ("get", HERE + "/issues/{issue_number}/comments", "200", fields(*(f"[].{name}" for name in _COMMENT))),
    ("post", HERE + "/issues/{issue_number}/comments", "201", fields(*_COMMENT)),
    ("patch", HERE + "/issues/comments/{comment_id}", "200", fields(*_COMMENT)),
    ("get", HERE + "/deployments", "200", fields("[].id", "[].environment")),
    ("get", HERE + "/deployments/{deployment_id}/statuses", "200", fields("[].state")),
    (
        "post",
        HERE + "/actions/workflows/{workflow_id}/dispatches",
        "200",
        fields("workflow_run_id", "run_url", "html_url"),
    ),
    (
        "get",
        HERE + "/actions/workflows/{workflow_id}/runs",
        "200",
        fields("total_count", *(f"workflow_runs.[].{name}" for name in _RUN)),
    ),
    ("get", HERE + "/actions/runs/{run_id}", "200", fields(*_RUN)),
    ("post", HERE + "/actions/runs/{run_id}/cancel", "202", {}),
    *hooks(HERE, _OF_REPOSITORY),
    *hooks("/orgs/{org}", ()),
)
"""Method, path, the status of the good answer, and the fields of it that closeout reads."""

_KEPT = (
    "type",
    "enum",
    "nullable",
    "format",
    "minimum",
    "maximum",
    "maxLength",
    "minLength",
    "pattern",
    "default",
)


class Cut:
    """The cut of one description."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole

    def resolve(self, value: Any) -> Any:
        """Follow a `$ref`, and the first of several alternatives."""
        while isinstance(value, dict):
            if "$ref" in value:
                at: Any = self._whole
                for part in value["$ref"].removeprefix("#/").split("/"):
                    at = at[part.replace("~1", "/").replace("~0", "~")]
                value = at
            elif "properties" not in value and (
                options := value.get("allOf") or value.get("oneOf") or value.get("anyOf")
            ):
                value = next(item for item in options if self.resolve(item).get("type") != "null")
            else:
                break
        return value

    def request_schema(self, value: Any) -> Any:
        """Return a request's schema in full, references filled in, prose left out."""
        if isinstance(value, list):
            return [self.request_schema(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            value = self.resolve(value)
        dropped = ("description", "example", "examples", "x-github", "title", "externalDocs", "summary")
        return {
            key: {name: self.request_schema(item) for name, item in inner.items()}
            if key == "properties"
            else self.request_schema(inner)
            for key, inner in value.items()
            if key not in dropped
        }

    def answer_schema(self, value: Any, wanted: Fields, place: str) -> dict[str, Any]:
        """Return an answer's schema with no more than the wanted fields. Raises KeyError for one that is not there."""
        schema = self.resolve(value)
        kept: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
        if "[]" in wanted:
            return kept | {"items": self.answer_schema(schema["items"], wanted["[]"], place + "[]")}
        if not wanted:
            return kept
        missing = set(wanted) - set(schema.get("properties", {}))
        if missing:
            message = f"{place} has no field {sorted(missing)}"
            raise KeyError(message)
        kept["properties"] = {
            name: self.answer_schema(schema["properties"][name], inner, f"{place}.{name}")
            for name, inner in wanted.items()
        }
        required = sorted(set(schema.get("required", ())) & set(wanted))
        return kept | ({"required": required} if required else {})

    def operation(self, method: str, path: str, status: str, wanted: Fields) -> dict[str, Any]:
        """Cut one operation."""
        whole = self._whole["paths"][path][method]
        cut: dict[str, Any] = {
            "operationId": whole["operationId"],
            "parameters": [self.request_schema(self.resolve(item)) for item in whole.get("parameters", ())],
            "responses": {},
        }
        if "requestBody" in whole:
            cut["requestBody"] = self.request_schema(whole["requestBody"])
        answer = self.resolve(whole["responses"][status])
        content = answer.get("content", {}).get("application/json")
        cut["responses"][status] = {"description": "The good answer"}
        if content and wanted:
            schema = self.answer_schema(content["schema"], wanted, f"{method} {path}")
            cut["responses"][status]["content"] = {"application/json": {"schema": schema}}
        return cut


def main() -> None:
    """Write the cut beside this file."""
    whole = json.loads(Path(sys.argv[1]).read_text())
    cut = Cut(whole)
    paths: dict[str, dict[str, Any]] = {}
    for method, path, status, wanted in OPERATIONS:
        paths.setdefault(path, {})[method] = cut.operation(method, path, status, wanted)
    result = {
        "openapi": whole["openapi"],
        "info": {
            "title": "A cut of GitHub's REST API description (MIT licence, GitHub Inc.)",
            "version": whole["info"]["version"],
            "license": whole["info"]["license"],
        },
        "servers": [{"url": "https://api.github.com"}],
        "paths": paths,
    }
    TARGET.write_text(json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
