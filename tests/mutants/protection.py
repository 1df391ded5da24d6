"""Sabotages of protected resources and runs whose automation is gone."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = ()
