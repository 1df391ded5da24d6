"""botocore's descriptions of AWS's services, read once for a process.

Every session reads them anew, a tenth of a second for each client: many tests make sessions of their own, as the
program does in each of its lives.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from boto3 import Session
from botocore import endpoint_provider, hooks
from botocore.loaders import JSONFileLoader, Loader

SERVICES = ("cloudformation", "dynamodb", "lambda", "logs", "s3", "secretsmanager", "sqs", "sts")

_read = cache(JSONFileLoader().load_file)
_is_there = cache(JSONFileLoader().exists)


class _OnceRead(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    def load_file(self, path: str) -> Any:
        return _read(path)

    def exists(self, path: str) -> bool:
        return bool(_is_there(path))


_list_services = Loader.list_available_services
_make_aliaser = hooks.EventAliaser.__init__
_aliases: dict[str, str] = {}
_make_rules = endpoint_provider.RuleSet
_services: dict[tuple[str, ...], list[str]] = {}
_rules: dict[tuple[int, int], tuple[Any, ...]] = {}


def _listed(loader: Any, type_name: str) -> list[str]:
    """List what botocore knows: it looks into 400 folders."""
    key = (*loader.search_paths, type_name)
    if key not in _services:
        _services[key] = _list_services(loader, type_name)
    return _services[key]


def _ruled(*, rules: Any, partitions: Any, **rest: Any) -> Any:
    """Make the rules of a service's endpoints from what was read. Rules do not change."""
    key = id(rules), id(partitions)
    if key not in _rules:  # what the numbers belong to is kept, so that they stay its own
        _rules[key] = _make_rules(rules=rules, partitions=partitions, **rest), rules, partitions
    return _rules[key][0]


def _aliased(self: Any, emitter: Any, aliases: Any = None) -> None:
    """Share the names of events that were found among 90 by splitting each."""
    _make_aliaser(self, emitter, aliases)
    if aliases in (None, hooks.EVENT_ALIASES):
        self._alias_name_cache = _aliases


def keep_models() -> None:
    """Have every session of this process share what was read."""
    hooks.EventAliaser.__init__ = _aliased
    Loader.FILE_LOADER_CLASS = _OnceRead
    Loader.list_available_services = _listed
    endpoint_provider.RuleSet = _ruled


def read_models() -> None:
    """Read what the program's clients need, for processes that fork from this one."""
    session = Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1")
    for service in SERVICES:
        session.client(service)
