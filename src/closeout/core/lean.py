"""`NamedTuple` without `typing`, for what a receiver imports.

The import of `typing` and what its `NamedTuple` makes of each annotation take 5 ms of a cold start of 50. For whoever
checks types this is `typing.NamedTuple`, and every other name of `typing` is imported under `TYPE_CHECKING` on that path:
annotations are text there (`from __future__ import annotations`), and nobody evaluates them.
"""

from __future__ import annotations

from collections import namedtuple

__all__ = ["TYPE_CHECKING", "NamedTuple"]
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class _Making(type):
        """Makes a class of fields into `collections.namedtuple`'s, with the methods and texts that it was given."""

        def __new__(cls, name, bases, content):
            if not bases:
                return super().__new__(cls, name, bases, content)
            fields = content.pop("__annotations__", {})
            optional = [field for field in fields if field in content]
            if optional != list(fields)[len(fields) - len(optional) :]:
                raise TypeError(f"{name}: a field without a default follows one with")
            defaults = [content.pop(field) for field in optional]
            made = namedtuple(name, fields, defaults=defaults, module=content.pop("__module__"))  # noqa: PYI024
            made.__annotations__ = fields
            for key, value in content.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Making):
        """Its subclasses are tuples, as `typing.NamedTuple`'s are; it is none of their bases."""
