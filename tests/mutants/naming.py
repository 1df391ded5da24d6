"""Sabotages of names that two subjects must not share."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

TABLE = "tests/unit/config/test_uniqueness.py::test_names_that_two_subjects_can_share_are_refused_with_both"
RUN = "tests/unit/run/test_run.py"
CONFIG = "src/closeout/config"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "names are not held against each other",
        f"{CONFIG}/load.py",
        "    uniqueness.check(context.uses)",
        "    pass",
        (TABLE,),
    ),
    Mutant(
        "where one field of a name ends and the next begins does not count",
        f"{CONFIG}/collisions.py",
        "    return sum(1 << bit for bit, pair in enumerate(pairs) if (left == pair[0]) != (right == pair[1]))",
        "    return 0",
        (TABLE,),
    ),
    Mutant(
        "a name is held against itself only",
        f"{CONFIG}/uniqueness.py",
        "    for other in (compared, *earlier[:-1]):",
        "    for other in (compared,):",
        (TABLE,),
    ),
    Mutant(
        "two owners count as one",
        f"{CONFIG}/subjects.py",
        '    return ("owner" in known or _same_only(one.owners, two.owners)) and (',
        "    return True and (",
        (TABLE,),
    ),
    Mutant(
        "a prefix may begin like another subject's",
        f"{CONFIG}/subjects.py",
        "    return [*filled, TAIL] if tail else filled",
        "    return filled",
        (TABLE,),
    ),
    Mutant(
        "a search that was ended is a yes",
        f"{CONFIG}/uniqueness.py",
        '            use.at.error("undecided-name", message, f"make the name of fixed text and {SAFE}")',
        "            pass",
        ("tests/unit/config/test_uniqueness.py::test_a_hostile_file_costs_a_limited_search",),
    ),
    Mutant(
        "a search has no end",
        f"{CONFIG}/languages.py",
        "        self._left -= steps",
        "        self._left -= 0",
        ("tests/unit/config/test_languages.py::test_an_endless_search_ends",),
    ),
    Mutant(
        "a pattern for any owner passes",
        f"{CONFIG}/languages.py",
        "        return any(not _owner_states(automaton, _OWNER - {char}, budget) for char in shared)",
        "        return True",
        ("tests/unit/config/test_languages.py::test_a_pattern_that_matches_any_owner_is_detected",),
    ),
    Mutant(
        "another open pull request of the branch is not asked for",
        "src/closeout/run/work.py",
        "            livecheck.check(subject, self._context.deps.github, self._branch(subject))",
        "            livecheck.check(subject, self._context.deps.github, None)",
        (f"{RUN}::test_a_branchs_preview_stays_while_another_pull_request_of_it_is_open",),
    ),
    Mutant(
        "a list of other pull requests counts as that of the branch",
        "src/closeout/adapters/github.py",
        '        if any(type(pull[0]) is not int or pull[1:] != ("open", branch) for pull in found):',
        "        if False:",
        ("tests/unit/adapters/test_github.py::test_a_malformed_list_of_pull_requests_is_an_error",),
    ),
)
