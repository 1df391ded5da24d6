"""`closeout.core.lean.NamedTuple` is to whoever runs it what `typing.NamedTuple` is to whoever checks types."""

from __future__ import annotations

import pickle
import typing

import pytest

from closeout.core import lean


class Lean(lean.NamedTuple):
    """A text."""

    name: str
    tags: tuple[str, ...] = ()

    @property
    def loud(self) -> str:
        """The name in capitals."""
        return self.name.upper()

    def __str__(self) -> str:
        """Return the name."""
        return self.name


class Typed(typing.NamedTuple):
    """A text."""

    name: str
    tags: tuple[str, ...] = ()

    @property
    def loud(self) -> str:
        """The name in capitals."""
        return self.name.upper()

    def __str__(self) -> str:
        """Return the name."""
        return self.name


def test_it_is_what_typings_is() -> None:
    """Fields, defaults, methods, texts."""
    for made in (Lean, Typed):
        value = made("a", tags=("b",))
        assert (tuple(value), value.loud, str(value)) == (("a", ("b",)), "A", "a")
        assert tuple(made("a")) == ("a", ())
        assert tuple(value._replace(name="c")) == ("c", ("b",))
        assert (made._fields, made._field_defaults) == (("name", "tags"), {"tags": ()})
        assert (made.__doc__, made.__module__) == ("A text.", __name__)
        assert made.__qualname__ == made.__name__
        assert list(made.__annotations__) == ["name", "tags"]
        assert type(pickle.loads(pickle.dumps(value))) is made
        assert made.__bases__ == (tuple,)
    assert repr(Lean("a")) == "Lean(name='a', tags=())"


def test_a_default_before_a_field_without_one_is_refused() -> None:
    """Else it would be the wrong field's."""
    with pytest.raises(TypeError, match="without a default"):

        class Wrong(lean.NamedTuple):
            a: int = 1
            b: str  # type: ignore[misc]


@pytest.mark.parametrize("wrong", [(), ("a", (), "c")])
def test_a_field_too_few_or_too_many_is_refused(wrong: tuple[typing.Any, ...]) -> None:
    """As any class does."""
    with pytest.raises(TypeError):
        Lean(*wrong)
