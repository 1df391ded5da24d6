"""Sabotages of a recording on a real account: what it removes, what it refuses, and what its fixtures hold."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

REMOVAL = "tests/live/test_removal.py"
MASKS = "tests/live/test_masks.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a recording removes a stack without its tag",
        "tests/live/removal.py",
        '(tagged or stack["StackStatus"] == "REVIEW_IN_PROGRESS")',
        "True",
        (f"{REMOVAL}::test_stacks_without_the_tag_and_of_other_names_are_not_touched",),
    ),
    Mutant(
        "a recording calls a stack gone that it did not touch",
        "tests/live/removal.py",
        "        if not belongs(account, found):\n            status +=",
        "        if not belongs(account, found):\n            continue\n            status +=",
        (f"{REMOVAL}::test_stacks_without_the_tag_and_of_other_names_are_not_touched",),
    ),
    Mutant(
        "a recording takes an error for an absent stack",
        "tests/live/account.py",
        'if said["Code"] == "ValidationError" and "does not exist" in said["Message"]:',
        "if True:",
        (f"{REMOVAL}::test_an_error_is_not_read_as_gone",),
    ),
    Mutant(
        "a recording begins over a stack that is there",
        "tests/live/record.py",
        "        if account.stack(name) is not None:\n            raise Refused(",
        "        if False:\n            raise Refused(",
        (f"{REMOVAL}::test_a_name_that_is_taken_is_refused",),
    ),
    Mutant(
        "a recording removes under any name",
        "tests/live/account.py",
        "        if not name.startswith(PREFIX):",
        "        if False:",
        (f"{REMOVAL}::test_only_a_name_of_a_recording_can_be_removed",),
    ),
    Mutant(
        "a fixture is written that holds a name",
        "tests/live/record.py",
        "    if found:\n        raise Refused(",
        "    if False:\n        raise Refused(",
        (f"{REMOVAL}::test_a_fixture_that_would_name_the_recording_is_not_written",),
    ),
    Mutant(
        "a fixture keeps the secret that was set",
        "tests/live/masks.py",
        '        "SecretString",\n',
        "",
        (f"{MASKS}::test_json_in_a_text_is_masked_as_json",),
    ),
)
