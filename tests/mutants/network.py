"""Sabotages of what leaves this machine: origins, redirects, redaction."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = ()
