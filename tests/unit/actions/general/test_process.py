"""Scripts under supervision, with real processes: nothing outlives its time, its parent or its server."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closeout.actions.general.process import (
    HEAD_BYTES,
    HEAD_LINES,
    LINE_LIMIT,
    PATIENCE,
    TAIL_BYTES,
    TAIL_LINES,
    Output,
    Supervised,
    _watch,
    end_survivor,
    end_tree,
    started,
)
from closeout.actions.general.supervisor import STOPPED

LEFT_OUT = re.compile(r"… \(([0-9,]+) lines left out\)")


def within(seconds: float, what: Callable[[], bool]) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    return started(pid) is None


def run(
    script: str,
    tmp_path: Path,
    *,
    timeout: float = 10.0,
    grace: float = 0.2,
    patience: float = PATIENCE,
    **options: Any,
) -> tuple[Any, list[str]]:
    """Run a shell script to its end; return the exit code and the lines."""
    lines: list[str] = []
    process = Supervised(grace=grace, patience=patience)
    code = process.run(
        ["/bin/sh", "-eu", "-c", script],
        environment={"PATH": os.environ["PATH"], **options.pop("environment", {})},
        directory=str(tmp_path),
        event=options.pop("event", {}),
        timeout=timeout,
        output=Output(lines.append),
    )
    return code, lines


def pid_in(path: Path) -> int:
    """Wait for a script to write its pid, and return it."""
    assert within(10, lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


# --- how it ends ----------------------------------------------------------------------------------------


def test_output_and_errors_are_streamed(tmp_path: Path) -> None:
    """Both streams, each in its order, in the folder that was given, with nothing on standard input."""
    code, lines = run("echo one; echo two >&2; pwd; cat; printf end", tmp_path)
    assert (code, sorted(lines)) == (0, sorted(["one", "two", str(tmp_path), "end"]))
    assert [line for line in lines if line != "two"] == ["one", str(tmp_path), "end"]


def test_a_scripts_last_output_is_read_after_its_end(tmp_path: Path) -> None:
    """It may end while an earlier line is being stored."""
    process = Supervised()
    lines: list[str] = []

    def store(line: str) -> None:
        lines.append(line)
        if line == "first":
            (tmp_path / "stored").touch()
            assert within(30, lambda: gone(process.identity["pid"]))

    process.run(
        ["/bin/sh", "-c", "echo first >&2; while [ ! -e stored ]; do sleep 0.01; done; echo last"],
        environment={"PATH": os.environ["PATH"]},
        directory=str(tmp_path),
        event={},
        timeout=30.0,
        output=Output(store),
    )
    assert lines == ["first", "last"]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 7", 7),
        ("false; echo no", 1),
        ("echo $UNSET", 2),
        ("kill -9 $$", 137),
        ("kill -INT $$; exit 7", 130),
        ("kill -PIPE $$; exit 7", 141),
        ("kill -TERM $$; exit 7", 143),
    ],
)
def test_the_exit_code_is_the_scripts(tmp_path: Path, script: str, code: int) -> None:
    """A script that died of a signal gives 128 and its number; `-e` and `-u` hold, and no signal is ignored."""
    assert run(script, tmp_path)[0] == code


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("dropdb-not-there", "dropdb-not-there is not on the PATH of closeout's user"),
        ("./drop", "there is no ./drop"),
        ("./script", "./script is there, and the interpreter that its first line names is not"),
    ],
)
def test_a_missing_program_is_named_with_where_it_was_searched(
    tmp_path: Path, program: str, said: str
) -> None:
    """Not the last folder of the PATH: the name, the PATH or the script's first line is wrong."""
    (tmp_path / "script").write_text("#!/no/such/interpreter\n")
    (tmp_path / "script").chmod(0o755)
    lines: list[str] = []
    code = Supervised().run(
        [program],
        environment={"PATH": os.environ["PATH"]},
        directory=str(tmp_path),
        event={},
        timeout=10.0,
        output=Output(lines.append),
    )
    assert (code, lines) == (127, [said])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """The folder is named, not the program."""
    code, lines = run("true", tmp_path / "gone")
    assert code == 127
    assert str(tmp_path / "gone") in lines[0]


def test_the_payload_is_a_private_file_that_is_deleted(tmp_path: Path) -> None:
    """Mode 600 in a folder of mode 700; whatever the payload contains, it is JSON in UTF-8."""
    script = 'stat -c "%a" "$CLOSEOUT_EVENT_PATH" "$(dirname "$CLOSEOUT_EVENT_PATH")"; cat "$CLOSEOUT_EVENT_PATH"; echo; echo "$CLOSEOUT_EVENT_PATH"'
    _, lines = run(script, tmp_path, event={"title": "ü\n$(id)"})
    assert lines[:2] == ["600", "700"]
    assert lines[2] == '{"title": "ü\\n$(id)"}'
    assert not Path(lines[3]).parent.exists()


def test_an_environment_larger_than_a_pipe_gets_through(tmp_path: Path) -> None:
    """The order is read to its end before anything runs."""
    code, lines = run('echo "${#BIG}"', tmp_path, environment={"BIG": "x" * 120_000})
    assert (code, lines) == (0, ["120000"])


def test_a_script_wakes_its_step_with_output_and_with_its_end() -> None:
    """So a step ends when its script does, and not at the next poll."""
    reading, writing = os.pipe()
    with (
        subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child,
        _watch([reading], child.pid) as woken,
    ):
        assert not woken.select(0)
        os.write(writing, b"x")
        assert woken.select(30)
        os.read(reading, 1)
        child.kill()
        assert woken.select(30)
    os.close(reading)
    os.close(writing)


def test_a_script_that_has_ended_leaves_no_open_file(tmp_path: Path) -> None:
    """A server runs thousands of them."""

    def watched() -> set[str]:
        opened = [each for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        return {each.name for each in opened if "pidfd" in str(each.readlink())}

    before = watched()
    process = Supervised()
    process.run(
        ["/bin/true"], environment={}, directory=str(tmp_path), event={}, timeout=30.0, output=Output(print)
    )
    assert process._stdin.closed
    assert process._stdout.closed
    assert process._stderr.closed
    assert watched() <= before


# --- time -----------------------------------------------------------------------------------------------


class Stopped(NamedTuple):
    """A script that was stopped at its time limit."""

    folder: Path
    code: int | None
    lines: list[str]
    seconds: float


_STOP = "sleep 300 & echo $! > near; setsid sleep 300 & echo $! > far;"
LIMITED: dict[str, tuple[str, dict[str, float]]] = {
    "a whole group": (
        "trap 'echo cleaning; exit 3' TERM; (sleep 60 & echo $! > inner; wait) & sleep 60 & echo $! > outer; wait",
        {"timeout": 2.0, "grace": 10.0},
    ),
    "deaf": (
        "trap '' TERM; echo $$ > me; while :; do sleep 0.05; done",
        {"timeout": 2.0, "grace": 0.2},
    ),
    "stops its supervisor once": (
        f"{_STOP} trap 'echo cleaning; exit' TERM; kill -STOP $PPID\nsleep 300",
        {"timeout": 3.0, "patience": 0.5},
    ),
    "stops its supervisor again and again": (
        f'{_STOP} trap "" TERM; setsid sh -c "for i in $(seq -s " " 600); do kill -STOP $PPID || break; sleep 0.05; done" 2> /dev/null &\nsleep 300',
        {"timeout": 3.0, "patience": 0.5},
    ),
}
"""Scripts that reach their time limit, by name, and what limits them."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stopped]]:
    """Run all of `LIMITED` side by side, because each takes seconds; return what becomes of one."""

    def limited(name: str, folder: Path) -> Stopped:
        script, limits = LIMITED[name]
        began = time.monotonic()
        code, lines = run(script, folder, **limits)
        return Stopped(folder, code, lines, time.monotonic() - began)

    with ThreadPoolExecutor(len(LIMITED)) as pool:
        ends = {name: pool.submit(limited, name, tmp_path_factory.mktemp("limited")) for name in LIMITED}
        yield lambda name: ends[name].result(60)


def test_at_the_time_limit_the_whole_group_ends(stopped: Callable[[str], Stopped]) -> None:
    """The script, its child and its grandchild; a trap gets its chance."""
    folder, code, lines, seconds = stopped("a whole group")
    assert code is None
    assert lines == ["cleaning"]
    assert seconds < 30, "it waited for what sleeps for a minute"
    assert within(10, lambda: gone(pid_in(folder / "inner")) and gone(pid_in(folder / "outer")))


def test_a_script_that_ignores_the_request_is_killed(stopped: Callable[[str], Stopped]) -> None:
    """SIGKILL after the grace period."""
    folder, code, _, seconds = stopped("deaf")
    assert code is None
    assert seconds < 30, "it waited for what sleeps for a minute"
    assert gone(pid_in(folder / "me"))


def test_a_scripts_background_processes_end_with_it(tmp_path: Path) -> None:
    """Even one that has left its group, and although it holds the output open."""
    began = time.monotonic()
    script = "sleep 60 & echo $! > child; setsid sh -c 'echo $$ > daemon; exec sleep 60' & while [ ! -s daemon ]; do sleep 0.01; done"
    code, _ = run(script, tmp_path)
    assert code == 0
    assert time.monotonic() - began < 30, "it waited for what sleeps for a minute"
    assert within(10, lambda: gone(pid_in(tmp_path / "child")) and gone(pid_in(tmp_path / "daemon")))


def test_the_end_of_a_background_process_does_not_end_the_script(tmp_path: Path) -> None:
    """The supervisor, parent of every orphan, is notified of that end, too."""
    script = "(echo $$ > orphan &); while [ ! -s orphan ]; do sleep 0.01; done; sleep 0.05; echo fine"
    assert run(script, tmp_path) == (0, ["fine"])


def test_a_flood_of_output_neither_blocks_nor_escapes_the_limit(tmp_path: Path) -> None:
    """`yes` is stopped in time, and what is kept is bounded."""
    code, lines = run("yes 0123456789012345678901234567890123456789", tmp_path, timeout=0.5)
    assert code is None
    assert sum(len(line) + 1 for line in lines) <= HEAD_BYTES + TAIL_BYTES + TAIL_LINES + 200
    assert len(lines) <= HEAD_LINES + TAIL_LINES + 2


# --- death ----------------------------------------------------------------------------------------------

SERVER = """
import sys, threading
from closeout.actions.general.process import Output, Supervised
def work():
    process = Supervised(grace=0.5)
    process.run(["/bin/sh", "-c", sys.argv[1]], environment={{"PATH": {path!r}}}, directory={directory!r},
                event={{}}, timeout=60, output=Output(lambda line: None))
thread = threading.Thread(target=work); thread.start(); thread.join()
"""


def server(script: str, tmp_path: Path) -> subprocess.Popen[bytes]:
    """Start a process that runs a script as the server does, on a thread."""
    code = SERVER.format(path=os.environ["PATH"], directory=str(tmp_path))
    return subprocess.Popen([sys.executable, "-c", code, script], cwd=Path(__file__).parents[4] / "src")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_of_a_script_outlives_the_server(tmp_path: Path, number: int) -> None:
    """Kill -9 of the server: the script, which ignores TERM, and its child are gone before long."""
    started_server = server(
        "trap '' TERM; sleep 60 & echo $! > child; echo $$ > me; wait; sleep 60", tmp_path
    )
    me, child = pid_in(tmp_path / "me"), pid_in(tmp_path / "child")
    assert not gone(me)
    started_server.send_signal(number)
    started_server.wait(5)
    assert within(10, lambda: gone(me) and gone(child))


def test_a_script_dies_with_its_supervisor(tmp_path: Path) -> None:
    """Should the supervisor itself be killed, the kernel ends the script: the parent-death signal."""
    lines: list[str] = []
    process = Supervised()
    ended: list[int | None] = []
    thread = threading.Thread(
        target=lambda: ended.append(
            process.run(
                ["/bin/sh", "-c", "echo $$ > me; exec sleep 60"],
                environment={"PATH": os.environ["PATH"]},
                directory=str(tmp_path),
                event={},
                timeout=60,
                output=Output(lines.append),
            )
        )
    )
    thread.start()
    me = pid_in(tmp_path / "me")
    os.kill(process.identity["pid"], signal.SIGKILL)
    thread.join(5)
    assert ended == [-9]
    assert within(10, lambda: gone(me))


@pytest.mark.parametrize(("times", "cleans"), [("once", True), ("again and again", False)])
def test_a_script_that_stops_its_supervisor_leaves_nothing(
    stopped: Callable[[str], Stopped], times: str, cleans: bool
) -> None:
    """What it has started goes with it, in its own session or not; in order, if the supervisor can be woken."""
    folder, code, lines, _ = stopped(f"stops its supervisor {times}")
    assert (code, "cleaning" in lines) == (None, cleans)
    assert within(10, lambda: gone(pid_in(folder / "near")))
    assert within(10, lambda: gone(pid_in(folder / "far")))


def begun(process: Supervised, script: str, folder: Path) -> threading.Thread:
    """Let a supervisor run a script in a thread."""
    thread = threading.Thread(
        target=lambda: process.run(
            ["/bin/sh", "-c", script],
            environment={"PATH": os.environ["PATH"]},
            directory=str(folder),
            event={},
            timeout=60.0,
            output=Output(lambda _line: None),
        )
    )
    thread.start()
    return thread


def test_a_survivor_that_was_stopped_is_ended_with_all_that_is_below_it(tmp_path: Path) -> None:
    """The next server finds it by its pid and start time."""
    process = Supervised(grace=0.2)
    script = "supervisor=$PPID; (ulimit -t 30; while kill -STOP $supervisor; do :; done) & sleep 300 & echo $! > near; wait"
    thread = begun(process, script, tmp_path)
    pid_in(tmp_path / "near")
    assert end_survivor(process.identity, patience=0.5)
    assert within(10, lambda: gone(pid_in(tmp_path / "near")))
    thread.join(10)


def test_a_tree_is_ended_below_a_supervisor_that_cannot_act(tmp_path: Path) -> None:
    """A stopped supervisor ends nothing itself; what is below it goes first, also what left its session."""
    process = Supervised()
    script = "sleep 300 & echo $! > near; setsid sleep 300 & echo $! > far; wait"
    thread = begun(process, script, tmp_path)
    below = [pid_in(tmp_path / "near"), pid_in(tmp_path / "far")]
    supervisor = process.identity["pid"]
    os.kill(supervisor, signal.SIGSTOP)
    end_tree(supervisor)
    assert within(10, lambda: all(gone(pid) for pid in (*below, supervisor)))
    thread.join(10)


def test_the_thread_that_parked_a_supervisor_may_end(tmp_path: Path) -> None:
    """A parent-death signal belongs to a thread; here none of the server's threads is anybody's parent."""
    made: list[Supervised] = []
    thread = threading.Thread(target=lambda: made.append(Supervised()))
    thread.start()
    thread.join()
    lines: list[str] = []
    code = made[0].run(
        ["/bin/echo", "fine"],
        environment={},
        directory=str(tmp_path),
        event={},
        timeout=5,
        output=Output(lines.append),
    )
    assert (code, lines) == (0, ["fine"])


def test_a_parked_supervisor_that_is_released_runs_nothing() -> None:
    """Only its pid was recorded. It ends by itself."""
    process = Supervised()
    pid = process.identity["pid"]
    process.dispose()
    process.dispose()
    assert gone(pid)
    assert process._process.returncode == STOPPED


def test_a_parked_supervisor_that_cannot_act_is_killed_on_release() -> None:
    """Nothing is left of it, not even a zombie."""
    process = Supervised(grace=0.0, patience=0.0)
    pid = process.identity["pid"]
    os.kill(pid, signal.SIGSTOP)
    process.dispose()
    assert not Path(f"/proc/{pid}").exists()


# --- survivors of an earlier life -----------------------------------------------------------------------


def test_a_survivor_is_ended_with_its_script(tmp_path: Path) -> None:
    """A retry must not run at the same time as the attempt before it."""
    ended: list[int | None] = []
    process = Supervised(grace=0.2)
    script = "trap '' TERM; echo $$ > me; while :; do sleep 0.05; done"
    thread = threading.Thread(
        target=lambda: ended.append(
            process.run(
                ["/bin/sh", "-c", script],
                environment={"PATH": os.environ["PATH"]},
                directory=str(tmp_path),
                event={},
                timeout=60,
                output=Output(lambda _line: None),
            )
        )
    )
    thread.start()
    me = pid_in(tmp_path / "me")
    assert end_survivor(process.identity)
    thread.join(5)
    assert gone(me)
    assert ended == [137]


@pytest.mark.parametrize("stopped", [False, True])
def test_the_script_of_a_survivor_may_clean_up(tmp_path: Path, stopped: bool) -> None:
    """Its supervisor is asked first, which also wakes one that somebody has stopped."""
    process = Supervised(grace=30.0)
    script = "trap 'echo done > cleaned; exit' TERM; echo $$ > me; while :; do sleep 0.05; done"
    thread = begun(process, script, tmp_path)
    pid_in(tmp_path / "me")
    if stopped:
        os.kill(process.identity["pid"], signal.SIGSTOP)
    assert end_survivor(process.identity, patience=30.0)
    thread.join(10)
    assert (tmp_path / "cleaned").exists()


def test_a_survivor_that_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    """Its supervisor would wait for ten minutes until it kills a script that does not listen."""
    process = Supervised(grace=600.0)
    thread = begun(process, "trap '' TERM; echo $$ > me; while :; do sleep 0.05; done", tmp_path)
    me = pid_in(tmp_path / "me")
    assert end_survivor(process.identity, patience=0.1)
    thread.join(10)
    assert within(10, lambda: gone(me))


def test_a_reused_pid_is_left_alone() -> None:
    """The same number with another start time is another process. Without a start time, nothing is known of it."""
    other = subprocess.Popen(["/bin/sleep", "30"])
    try:
        assert end_survivor({"pid": other.pid, "started": "another-boot:1"})
        assert end_survivor({"pid": other.pid, "started": None})
        assert other.poll() is None
        assert started(other.pid) is not None
    finally:
        other.kill()
        other.wait()


def test_a_zombie_and_a_missing_pid_have_ended() -> None:
    """Neither can do anything any more."""
    child = subprocess.Popen(["/bin/true"])
    assert within(10, lambda: started(child.pid) is None)
    child.wait()
    assert started(2**22 + 1) is None


# --- output ---------------------------------------------------------------------------------------------


def cleaned(*parts: bytes) -> list[str]:
    """Return the lines that come out of these bytes."""
    lines: list[str] = []
    output = Output(lines.append)
    for part in parts:
        output.feed(part)
    output.end()
    return lines


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07text", "text"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b(Bplain\x1b[2K", "plain"),
        (b"10%\r50%\r100%\r", "100%"),
        (b"bell\x07 back\x08 nul\x00", "bell back nul"),
        (b"c1 \xc2\x9b31mred", "c1 red"),
        (b"tab\tstays", "tab\tstays"),
        (b"\xff\xfe bytes", "\ufffd\ufffd bytes"),
        (b"windows\r", "windows"),
    ],
)
def test_lines_are_text_without_escapes_and_controls(raw: bytes, line: str) -> None:
    """A log is read in terminals and browsers: nothing in it may move a cursor or set a title."""
    assert cleaned(raw + b"\n") == [line]


def test_lines_come_whole_however_they_arrive() -> None:
    """A line that comes in two reads is one line, a character in two as well."""
    assert cleaned(b"on", b"e\ntw", b"o \xc3", b"\xbc\nlast") == ["one", "two ü", "last"]


def test_a_line_without_end_is_cut_into_pieces() -> None:
    """Memory is bounded although no line end comes."""
    lines = cleaned(b"x" * (2 * LINE_LIMIT + 10))
    assert [len(line) for line in lines] == [LINE_LIMIT, LINE_LIMIT, 10]


@pytest.mark.parametrize(("count", "line"), [(60_000, b"line %05d 0123456789\n"), (1_000_000, b"a\n")])
def test_the_beginning_and_the_end_of_a_long_output_are_kept(count: int, line: bytes) -> None:
    """A row is stored for each line, so lines count as bytes do; the log says how many lines are missing."""
    lines: list[str] = []
    output = Output(lines.append)
    text = b"".join(line % number for number in range(count)) if b"%" in line else line * count
    for at in range(0, len(text), 65_536):
        output.feed(text[at : at + 65_536])
    assert len(lines) <= HEAD_LINES + 1
    output.end()
    whole = text.decode().splitlines()
    assert lines[:HEAD_LINES] == whole[:HEAD_LINES]
    assert lines[HEAD_LINES].startswith("… (a long output")
    assert lines[HEAD_LINES + 1] == f"… ({count - HEAD_LINES - TAIL_LINES:,} lines left out)"
    assert lines[HEAD_LINES + 2 :] == whole[-TAIL_LINES:]
    assert output.last == whole[-1]


@given(
    st.lists(st.binary(max_size=400) | st.sampled_from([b"a\n" * 3_000, b"b" * 90_000]), max_size=12),
)
def test_what_is_kept_of_any_output_is_bounded_and_counted(parts: list[bytes]) -> None:
    """Every line is written, in order, or counted among those left out."""
    lines = cleaned(*parts)
    left_out = sum(int(found[1].replace(",", "")) for found in map(LEFT_OUT.fullmatch, lines) if found)
    told = sum(line.startswith("… (") for line in lines)
    assert len(lines) - told + left_out == len(pieces(*parts))
    assert len(lines) <= HEAD_LINES + TAIL_LINES + 2
    assert sum(map(len, lines)) <= HEAD_BYTES + TAIL_BYTES + 200


def pieces(*parts: bytes) -> list[bytes]:
    """Return the lines of an output, those without an end cut as they come in."""
    cut: list[bytes] = []
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        cut += whole
        while len(rest) > LINE_LIMIT:
            cut.append(rest[:LINE_LIMIT])
            rest = rest[LINE_LIMIT:]
    return [*cut, rest] if rest else cut


def test_a_script_whose_output_cannot_be_stored_is_ended(tmp_path: Path) -> None:
    """The error of the log ends it, as the end of the server would."""

    def refuse(_line: str) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        Supervised(grace=0.2).run(
            ["/bin/sh", "-eu", "-c", "echo $$ > pid; echo begun; sleep 60; touch late"],
            environment={"PATH": os.environ["PATH"]},
            directory=str(tmp_path),
            event={},
            timeout=30.0,
            output=Output(refuse),
        )
    pid = pid_in(tmp_path / "pid")
    assert within(10, lambda: gone(pid))
