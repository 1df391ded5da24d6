"""Sabotages of the ledger file, its lock and its limits."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

LOCK = "tests/unit/ledger/sqlite/test_lock.py"
ORDER = "tests/unit/ledger/sqlite/test_order.py"
FAULTS = "tests/acceptance/test_ledger_faults.py"
DAMAGED = "tests/unit/cli/test_damaged_ledger.py"
PAGES = "tests/contract/http/test_pages.py"
OUTPUT = "tests/unit/actions/general/test_process.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "whoever asks for the lock closes the ledger again",
        "src/closeout/ledger/sqlite/lock.py",
        "        return descriptor in _ours or (ON_LEDGER and _locked(descriptor))",
        "        os.close(os.open(ledger, os.O_RDONLY))\n"
        "        return descriptor in _ours or (ON_LEDGER and _locked(descriptor))",
        (f"{LOCK}::test_nothing_in_this_process_drops_the_locks_of_sqlite",),
    ),
    Mutant(
        "the repair opens and closes the ledger by hand",
        "src/closeout/ledger/sqlite/writer.py",
        "            fresh = open_writer(self._path)",
        "            os.close(os.open(self._path, os.O_RDWR))\n            fresh = open_writer(self._path)",
        (
            f"{LOCK}::test_nothing_in_this_process_drops_the_locks_of_sqlite",
            f"{FAULTS}::test_a_command_after_an_io_error_leaves_the_servers_log_alone",
        ),
    ),
    Mutant(
        "the ledger itself is not locked",
        "src/closeout/ledger/sqlite/lock.py",
        'ON_LEDGER = sys.platform == "linux"',
        "ON_LEDGER = False",
        (f"{LOCK}::test_an_unknown_owner_can_be_found",),
    ),
    Mutant(
        "the lock file of earlier releases is not asked",
        "src/closeout/ledger/sqlite/lock.py",
        "            self._take_lock_files()",
        "            pass",
        (f"{LOCK}::test_a_server_of_an_earlier_release_keeps_this_one_out",),
    ),
    Mutant(
        "the lock file stands beside the link",
        "src/closeout/ledger/sqlite/lock.py",
        '    file = Path(f"{os.path.realpath(ledger)}.lock")',
        '    file = Path(f"{ledger}.lock")',
        (f"{LOCK}::test_the_lock_file_is_next_to_the_file_and_not_to_a_link",),
    ),
    Mutant(
        "a ledger may have two names",
        "src/closeout/ledger/sqlite/lock.py",
        "    if found.st_nlink > 1:",
        "    if False:",
        (f"{LOCK}::test_a_file_with_a_second_hard_link_cannot_be_opened",),
    ),
    Mutant(
        "a hard link stops the server that runs",
        "src/closeout/ledger/sqlite/lock.py",
        "    if _descriptors.get(_identity(found)) not in _ours:",
        "    if True:",
        (f"{LOCK}::test_a_running_server_survives_a_new_hard_link",),
    ),
    Mutant(
        "one process may be the engine twice",
        "src/closeout/ledger/sqlite/lock.py",
        "        if descriptor in _ours or (ON_LEDGER and not _within(0.3, descriptor)):",
        "        if ON_LEDGER and not _within(0.3, descriptor.number):",
        (f"{LOCK}::test_only_one_object_in_a_process_holds_a_ledger",),
    ),
    Mutant(
        "deliveries stand behind log lines",
        "src/closeout/ledger/sqlite/writer.py",
        "                if isinstance(job, Acceptance):\n                    deliveries.append(job)",
        "                if isinstance(job, Acceptance):\n                    others.append(job)  # type: ignore[arg-type]",
        (f"{ORDER}::test_deliveries_overtake_what_was_queued_earlier",),
    ),
    Mutant(
        "all that waits is one transaction",
        "src/closeout/ledger/sqlite/writer.py",
        "MOST_OTHERS = 128",
        "MOST_OTHERS = 1_000_000",
        (f"{ORDER}::test_the_group_that_a_delivery_may_wait_for_is_small",),
    ),
    Mutant(
        "log lines wait in memory without limit",
        "src/closeout/ledger/sqlite/ledger.py",
        "        self._log_room.acquire()",
        "        self._log_room.acquire(blocking=False)",
        (f"{ORDER}::test_lines_written_faster_than_stored_make_the_script_wait",),
    ),
    Mutant(
        "lines of a run are not counted",
        "src/closeout/ledger/lines.py",
        "            self._sizes[execution] = lines + 1, characters\n",
        "            self._sizes[execution] = lines, characters\n",
        (f"{ORDER}::test_the_lines_of_a_run_are_limited",),
    ),
    Mutant(
        "lines of a script are not counted",
        "src/closeout/actions/general/process.py",
        "if self._lines < HEAD_LINES and self._bytes + len(line) <= HEAD_BYTES:",
        "if self._bytes + len(line) <= HEAD_BYTES:",
        (f"{OUTPUT}::test_the_beginning_and_the_end_of_a_long_output_are_kept",),
    ),
    Mutant(
        "a page reads the whole log",
        "src/closeout/server/pages/run_pages.py",
        "limit=limit, characters=characters, **where)",
        "limit=10**9, characters=characters, **where)",
        (f"{PAGES}::test_a_long_log_shows_its_end",),
    ),
    Mutant(
        "a log window reads long lines without limit",
        "src/closeout/ledger/sqlite/views.py",
        "            if lines and (len(lines) == limit or size > characters):",
        "            if len(lines) == limit:",
        ("tests/contract/test_ledgers.py::TestSqlite",),
    ),
    Mutant(
        "a page that is open does not ask for all that it lacks",
        "src/closeout/server/pages/run_page.py",
        '            "again": 0 if lines.left_out else goes_on,',
        '            "again": goes_on,',
        (f"{PAGES}::test_an_open_page_catches_up_a_window_at_a_time",),
    ),
    Mutant(
        "a damaged ledger is one that cannot be read now",
        "src/closeout/ledger/sqlite/connection.py",
        "    if is_damaged(error):\n        return StoreUnavailable(_damaged(path, error))",
        "    if False:\n        return StoreUnavailable(_damaged(path, error))",
        (f"{DAMAGED}::test_damage_in_a_table_is_reported",),
    ),
    Mutant(
        "values that nobody wrote are a defect",
        "src/closeout/cli/ledger_option.py",
        "            selected.check_file()  # a value that closeout does not write: the file may be damaged",
        "            pass",
        (f"{DAMAGED}::test_values_of_a_wrong_type_are_damage",),
    ),
    Mutant(
        "ready while no run is taken up",
        "src/closeout/wiring/runtime.py",
        "        if troubles:",
        "        if False:",
        ("tests/unit/wiring/test_runtime.py::test_a_server_is_not_ready_while_a_run_cannot_be_resumed",),
    ),
    Mutant(
        "time goes back with the system's clock",
        "src/closeout/adapters/clock.py",
        "        self._ahead = max(self._ahead, wall - monotonic)",
        "        self._ahead = wall - monotonic",
        (
            "tests/unit/adapters/test_clock.py::test_time_advances_at_least_as_fast_as_the_monotonic_clock",
            "tests/contract/test_local_engine.py::test_setting_the_clock_back_prolongs_no_wait",
        ),
    ),
)
