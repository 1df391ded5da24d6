"""The JSON Schema of the file, for editors: completion, descriptions and a first check while typing.

It is made from the table of keys and the registry and says the shapes only; the loader decides. So it must accept
all that the loader accepts, and refuse keys that nobody knows.
"""

from __future__ import annotations

from typing import Any

from closeout.actions.registry import Registry
from closeout.actions.spec import Action, Input
from closeout.config import keys
from closeout.core.problems import EVENTS

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_BOOLEAN: Schema = {"type": "boolean"}
_DURATION: Schema = {
    "type": "string",
    "pattern": "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
    "examples": ["90s", "15m", "1h30m", "2d"],
}
_REFERENCE: Schema = {
    "type": "string",
    "pattern": "^(env:|file:|aws-secretsmanager:).+$",
    "examples": ["env:NAME", "file:/run/secrets/NAME", "aws-secretsmanager:NAME#json-key"],
}
_TARGET: Schema = {"anyOf": [_REFERENCE, {"type": "string", "pattern": "^arn:aws[a-z-]*:sns:[^.]+$"}]}
_TEXTS: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
_URL: Schema = {"type": "string", "pattern": "^(https?://|env:).+$"}
_ACCOUNT: Schema = {"type": "string", "pattern": "^[0-9]{12}$"}
_OFF: Schema = {"enum": ["off", False]}
_CONDITION: Schema = {"anyOf": [_TEXT, _BOOLEAN]}

_SHAPES: dict[tuple[str, str], Schema] = {
    ("file", "version"): {"const": 1},
    ("file", "secrets"): {"$ref": "#/$defs/secrets"},
    ("file", "public-url"): _URL,
    ("file", "github"): {"$ref": "#/$defs/github"},
    ("file", "aws"): {"$ref": "#/$defs/aws"},
    ("file", "modules"): _TEXTS,
    ("file", "protect"): {"anyOf": [_TEXTS, {"$ref": "#/$defs/protect"}]},
    ("file", "public-logs"): _BOOLEAN,
    ("file", "patrol"): {"$ref": "#/$defs/patrol"},
    ("file", "automations"): {
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
        "additionalProperties": {"$ref": "#/$defs/automation"},
    },
    ("secrets", "webhook"): {"anyOf": [_REFERENCE, {"type": "array", "items": _REFERENCE, "minItems": 1}]},
    ("secrets", "github"): _REFERENCE,
    ("github", "api-url"): _URL,
    ("aws", "account"): _ACCOUNT,
    ("aws", "region"): _TEXT,
    ("aws", "assume-role"): _TEXT,
    ("protect", "names"): _TEXTS,
    ("protect", "tags"): {"type": "object", "additionalProperties": _TEXT},
    ("patrol", "deliveries"): {"anyOf": [_DURATION, _OFF]},
    ("patrol", "state"): {"anyOf": [_DURATION, _OFF]},
    ("patrol", "drill"): {"anyOf": [_DURATION, _OFF]},
    ("patrol", "limit"): {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 1000}, _OFF]},
    ("file", "notify"): {"$ref": "#/$defs/notify"},
    ("notify", "on"): {
        "anyOf": [{"enum": list(EVENTS)}, {"type": "array", "minItems": 1, "items": {"enum": list(EVENTS)}}]
    },
    ("notify", "to"): {"anyOf": [_TARGET, {"type": "array", "items": _TARGET, "minItems": 1}]},
    ("automation", "notify"): {"$ref": "#/$defs/notify"},
    ("automation", "on"): {
        "anyOf": [
            _TEXTS,
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/trigger"}]},
            },
        ]
    },
    ("automation", "bases"): {"enum": ["ever", "at-close"]},
    ("automation", "repositories"): _TEXTS,
    ("automation", "senders"): _TEXTS,
    ("automation", "if"): _CONDITION,
    ("automation", "status"): {"anyOf": [_TEXT, {"const": False}]},
    ("automation", "concurrency"): _TEXT,
    ("automation", "timeout"): _DURATION,
    ("automation", "queue-timeout"): _DURATION,
    ("automation", "on-failure"): {"enum": ["continue", "stop"]},
    ("automation", "mode"): {"enum": ["apply", "dry-run"]},
    ("automation", "grace"): _DURATION,
    ("automation", "max-changes"): {"type": "integer", "minimum": 1},
    ("automation", "max-objects"): {"type": "integer", "minimum": 1},
    ("automation", "unguarded"): _BOOLEAN,
    ("automation", "recheck"): {
        "anyOf": [{"const": "off"}, _DURATION, {"type": "array", "minItems": 1, "items": _DURATION}]
    },
    ("automation", "environment"): _TEXT,
    ("automation", "patrol"): {"anyOf": [{"enum": ["report", "repair"]}, _OFF]},
    ("automation", "steps"): {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}},
    ("step", "with"): {"type": "object"},
    ("step", "id"): {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
    ("step", "name"): _TEXT,
    ("step", "if"): _CONDITION,
    ("step", "timeout"): _DURATION,
    ("step", "retry"): {"$ref": "#/$defs/retry"},
    ("step", "destructive"): _BOOLEAN,
    ("step", "allow-untrusted"): _TEXTS,
    ("step", "pass-env"): _TEXTS,
    ("step", "expect"): {"enum": ["any", "present"]},
    ("step", "recheck"): _BOOLEAN,
    ("retry", "attempts"): {"type": "integer", "minimum": 1, "maximum": 20},
    ("retry", "backoff"): _DURATION,
    **{("trigger", name): _TEXTS for name in keys.names("trigger")},
}
_REQUIRED = {"notify": ["to"], "file": ["version"], "automation": ["on", "steps"], "step": ["uses"]}


def json_schema(registry: Registry) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a configuration that may use these actions."""
    levels = dict.fromkeys(key.level for key in keys.KEYS)
    definitions = {level: _level(level, registry) for level in levels if level != "file"}
    for uses, action in registry.items():
        definitions[f"with {uses}"] = _with(action)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "closeout.yaml",
        "description": "Durable automation on GitHub events.",
        **_level("file", registry),
        "anyOf": [{"required": ["automations"]}, {"required": ["modules"]}],
        "$defs": definitions,
    }


def _level(level: str, registry: Registry) -> Schema:
    shape: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {"description": keys.meaning(level, name), **_shape(level, name, registry)}
            for name in keys.names(level)
        },
    }
    if level in _REQUIRED:
        shape["required"] = _REQUIRED[level]
    if level == "step":
        shape["allOf"] = [_inputs_of(uses, action) for uses, action in registry.items()]
    return shape


def _shape(level: str, name: str, registry: Registry) -> Schema:
    return {"enum": list(registry)} if (level, name) == ("step", "uses") else _SHAPES[level, name]


def _inputs_of(uses: str, action: Action) -> Schema:
    reference = "with " + uses.replace("~", "~0").replace("/", "~1").replace(" ", "%20")
    then: Schema = {"properties": {"with": {"$ref": f"#/$defs/{reference.replace(' ', '%20')}"}}}
    if any(spec.required for spec in action.inputs.values()):
        then["required"] = ["with"]
    return {"if": {"properties": {"uses": {"const": uses}}, "required": ["uses"]}, "then": then}


def _with(action: Action) -> Schema:
    properties = {
        name: {"description": spec.description, **_input(spec)} for name, spec in action.inputs.items()
    }
    if action.needs_aws:
        for name in keys.names("aws"):
            properties.setdefault(name, {"description": keys.meaning("aws", name), **_SHAPES["aws", name]})
    shape: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    required = [name for name, spec in action.inputs.items() if spec.required]
    return {**shape, "required": required} if required else shape


def _input(spec: Input) -> Schema:
    shape = dict(_input_type(spec))
    if spec.default is not None and spec.type != "duration":
        shape["default"] = spec.default
    return shape


def _input_type(spec: Input) -> Schema:
    if spec.secret:
        return {"type": "object", "additionalProperties": _REFERENCE} if spec.type == "map" else _REFERENCE
    template: Schema = {"type": "string", "pattern": "\\$\\{\\{"}
    match spec.type:
        case "boolean":
            return _BOOLEAN
        case "integer":
            return {"anyOf": [{"type": "integer"}, template]} if spec.templates else {"type": "integer"}
        case "duration":
            return _DURATION
        case "list":
            return _TEXTS
        case "map":
            return {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
        case "any":
            return {}
        case _:
            if not spec.choices:
                return _TEXT
            choices: Schema = {"enum": list(spec.choices)}
            return {"anyOf": [choices, template]} if spec.templates else choices
