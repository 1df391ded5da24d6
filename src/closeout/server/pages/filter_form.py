"""A list with its filters: the form, the links that drop one filter or all of them, and its pages.

Each set of filters has exactly one URL, in any order in which they are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from closeout.ports import ListPage
from closeout.server.pages.wording import with_query

Option: TypeAlias = tuple[str, str]
"""One choice of a field: its value and its label."""
PERIODS = (
    ("1h", "The last hour"),
    ("1d", "The last day"),
    ("7d", "The last 7 days"),
    ("30d", "The last 30 days"),
)
"""The choices for `since` in the form; the URL accepts any time."""


class Field(NamedTuple):
    """One filter in the form. A field with options is a choice, else a line of text."""

    name: str
    label: str
    value: str
    options: tuple[Option, ...] = ()
    hint: str = ""


class Chip(NamedTuple):
    """A filter that is set, with the path of the same list without it."""

    label: str
    value: str
    without: str


class ListPageData(NamedTuple):
    """Everything that the page of a list shows."""

    rows: Sequence[Any]
    fields: tuple[Field, ...]
    chips: tuple[Chip, ...]
    newer: str | None
    older: str | None
    error: str | None
    advice: str
    """What to do if no row meets the filters."""


class FilterForm(NamedTuple):
    """The filters of one list. `labels` has their names in the URL, in the order of the form."""

    one: str
    """The name of a row."""
    path: str
    labels: Mapping[str, str]
    hints: Mapping[str, str]
    choices: Mapping[str, tuple[Option, ...]]

    def set(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the filters of a query that are set."""
        return {name: value for name, value in given.items() if value and name in self.labels}

    def listed(
        self, page: ListPage[Any], filters: Mapping[str, str], error: str | None = None
    ) -> ListPageData:
        """Return a page of the list with the filters that are set; `error` says what is wrong with one."""
        chips = tuple(
            Chip(self.labels[name], self._spoken(name, value), self.url(filters, without=name))
            for name, value in filters.items()
        )
        return ListPageData(
            page.rows,
            tuple(self._field(name, label, filters.get(name, "")) for name, label in self.labels.items()),
            chips,
            newer=self.url(filters, cursor=page.newer) if page.newer else None,
            older=self.url(filters, cursor=page.older) if page.older else None,
            error=error,
            advice=self._advice(chips),
        )

    def _field(self, name: str, label: str, value: str) -> Field:
        options = self.choices.get(name, ())
        if options and value and value not in dict(options):
            options = (*options, (value, value))  # a URL accepts values that the form does not offer
        return Field(name, label, value, options, self.hints.get(name, ""))

    def _spoken(self, name: str, value: str) -> str:
        return dict(self.choices.get(name, ())).get(value, value)

    def url(
        self, filters: Mapping[str, str], *, without: str | None = None, cursor: str | None = None
    ) -> str:
        """Return the path of the list with these filters."""
        kept = {name: filters[name] for name in self.labels if filters.get(name) and name != without}
        return with_query(self.path, **kept, cursor=cursor)

    def _advice(self, chips: Sequence[Chip]) -> str:
        if len(chips) == 1:
            return f"No {self.one} meets the filter {chips[0].label}: {chips[0].value}."
        return f"No {self.one} meets all of these filters together. Drop one of them:"
