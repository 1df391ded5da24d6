"""moto without what it finds out anew for each answer: a third of an emulated call's time.

For every field of every answer it asks six classes under which names the value may be, though a field's names depend
on the field and the value's type only. For every request it lists the methods of the service's class, for every
list of versions it copies the objects with what is in them, and for every query of DynamoDB it looks at the whole table,
which it sorts by asking of each text whether it is a number, a set, a list, a map or nothing.
"""

from __future__ import annotations

import copy
import inspect
import io
from collections import defaultdict
from functools import cache, partial
from typing import Any

import xmltodict
from botocore import utils
from botocore.model import Shape
from moto.core import responses
from moto.core.serialize import AttributePicker, AttributePickerContext, ResponseSerializer
from moto.core.utils import get_value
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeKey

MISSING = object()
_pick = ResponseSerializer.get_value


def _value(self: ResponseSerializer, value: Any, key: str, shape: Shape) -> Any:
    """Return a field's value as moto does."""
    picker = self._value_picker
    if not isinstance(picker, AttributePicker):
        return _pick(self, value, key, shape)
    look = value.get if type(value) is dict else partial(get_value, value)
    for name in _names(picker, value, key, shape):
        found = look(name, MISSING)
        if found is not MISSING:
            break
    else:
        found = None
    if picker.response_transformers:
        path = ".".join((*self.path, key))
        for end, transform in picker.response_transformers.items():
            if path.endswith(end):
                return transform(found)
    return found


def _names(picker: AttributePicker, value: Any, key: str, shape: Shape) -> tuple[str, ...]:
    """Return the names of a field, each once; a shape belongs to one field, and keeps them."""
    kept: dict[Any, tuple[str, ...]] = vars(shape).setdefault("names_of_a_test_run", {})
    kind = type(picker), type(value), key
    if kind not in kept:
        context = AttributePickerContext(obj=value, key=key, shape=shape)
        kept[kind] = tuple(dict.fromkeys(picker.get_possible_keys(context)))
    return kept[kind]


def _listed(self: FakeKey, _memo: object) -> FakeKey:
    """Return the copy of an object that a list of versions marks as latest or not, without its bytes."""
    copied = object.__new__(type(self))
    copied.__dict__.update(self.__dict__, _value_buffer=io.BytesIO(), multipart=None, disposed=True)
    return copied


_cast: Any = vars(DynamoType)["cast_value"]


def _cast_value(self: DynamoType) -> Any:
    """Return a value as Python has it; most are texts."""
    return self.value if self.type == "S" else _cast.fget(self)


_query = Table.query
_asked = inspect.signature(_query)


def _queried(self: Table, *given: Any, **named: Any) -> Any:
    """Query a table; without an index only among the items of the partition, which moto sorts with all the others."""
    asked = _asked.bind(self, *given, **named).arguments
    partition = asked["hash_key"]
    if asked.get("index_name") is None and partition in self.items:
        whole, self = self, copy.copy(self)
        self.items = defaultdict(dict, {partition: whole.items[partition]})
    return _query(self, *given, **named)


def quicken() -> None:
    """Have the emulator of this process keep what it has found out."""
    Table.query = _queried  # type: ignore[method-assign]
    dynamo_type: Any = DynamoType
    dynamo_type.cast_value = property(_cast_value)
    serializer: Any = ResponseSerializer
    serializer.get_value = _value
    answers: Any = responses
    answers.method_names_from_class = cache(answers.method_names_from_class)
    key: Any = FakeKey
    key.__deepcopy__ = _listed
    xmltodict._validate_name = cache(xmltodict._validate_name)
    utils._parse_timestamp_with_tzinfo = cache(utils._parse_timestamp_with_tzinfo)
