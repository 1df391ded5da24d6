"""Sabotages of connections, heads and bodies of strangers."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_PROTOCOL = "src/closeout/server/protocol.py"
_BODIES = "src/closeout/server/bodies.py"
_SPOOL = "src/closeout/server/spool.py"
_CONNECTION_LIMITS = "src/closeout/server/connection_limits.py"
_UPLOAD = "src/closeout/server/upload.py"
_HEAD = "src/closeout/server/head.py"
_HOSTILE = "tests/contract/http/test_hostile_connections.py::"
_COUNTS = "tests/contract/http/test_connection_counts.py::"
_LIMITS = "tests/contract/http/test_receiver_limits.py::"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a stranger who fills the spool keeps large deliveries out",
        _SPOOL,
        "        oldest = next(iter(self.unverified), None)",
        "        oldest = None",
        (_LIMITS + "test_the_oldest_large_body_of_a_stranger_makes_room_for_a_delivery",),
    ),
    Mutant(
        "nobody counts a body that waits for the secrets after its sender left",
        _UPLOAD,
        "            self._webhook.unverified.hold(self, self.held)",
        "            pass",
        (_LIMITS + "test_senders_who_leave_while_the_secrets_are_read_leave_no_more_than_the_limit",),
    ),
    Mutant(
        "a delivery is dropped when its sender leaves before the secrets are read",
        _UPLOAD,
        "        elif self in self._webhook.waits_for_secrets:",
        "        elif self._cancel():",
        (_LIMITS + "test_a_delivery_whose_sender_leaves_while_the_secrets_are_read_is_stored",),
    ),
    Mutant(
        "a chunked body may be all sizes and no data",
        _HEAD,
        "            if self._spare < 0:",
        "            if self._spare < -1e12:",
        ("tests/unit/server/test_head.py::test_chunks_of_a_byte_are_refused_after_a_while",),
    ),
    Mutant(
        "a body that gives way and is given up in one turn stays counted",
        _UPLOAD,
        "        self._task.add_done_callback(lambda _: spooled.close())",
        "        pass",
        (
            _COUNTS + "test_a_sender_who_leaves_before_its_body_is_spooled_leaves_nothing",
            _COUNTS + "test_bodies_that_begin_together_leave_nothing",
        ),
    ),
    Mutant(
        "a request that gave way keeps its head until the loop comes to it",
        "src/closeout/server/exchange.py",
        "        self.head.headers.clear()",
        "        pass",
        (_COUNTS + "test_requests_cancelled_in_one_turn_keep_no_heads",),
    ),
    Mutant(
        "a refused body leaves its connection unread",
        _SPOOL,
        "        sender.resume()\n\n    def _has_piece",
        "\n    def _has_piece",
        (_COUNTS + "test_a_connection_is_read_again_after_the_disk_refused_its_body",),
    ),
    Mutant(
        "what comes between two requests is read without a limit",
        _PROTOCOL,
        "        if self._state == WAITING and (self._began or not known):",
        "        if self._state == WAITING:",
        (_COUNTS + "test_bytes_that_arrive_early_are_counted_and_reading_stops",),
    ),
    Mutant(
        "an answer to HEAD has a body",
        _PROTOCOL,
        '            self._write_answer(start, b"" if request.head.method == b"HEAD" else body, length, keep=keep)',
        "            self._write_answer(start, body, length, keep=keep)",
        (_LIMITS + "test_an_answer_to_head_has_no_body",),
    ),
    Mutant(
        "an empty line before a request is refused",
        _PROTOCOL,
        '            self._buffer = self._buffer.lstrip(b"\\r\\n")',
        '            self._buffer = self._buffer.lstrip(b"\\n")',
        (_HOSTILE + "test_an_empty_line_between_requests_is_ignored",),
    ),
    Mutant(
        "every byte of a head moves its deadline",
        _PROTOCOL,
        "        if not self._began:",
        "        if self._buffer:",
        (_HOSTILE + "test_single_bytes_are_no_progress",),
    ),
    Mutant(
        "a body has no deadline",
        _PROTOCOL,
        "                self._wait_for(self._shared.app.webhook.limits.read_seconds)",
        "                self._wait_for(3600.0)",
        (_HOSTILE + "test_silence_after_an_answer_ends", _LIMITS + "test_a_body_that_never_comes_meets_the_deadline"),
    ),
    Mutant(
        "the newest connection is refused when all places are taken",
        _CONNECTION_LIMITS,
        "            if not (self._make_room(self._waiting) or self._make_room(self._proven)):",
        "            if self._open:",
        (_HOSTILE + "test_a_full_server_still_accepts_a_delivery",),
    ),
    Mutant(
        "a proxy that delivered makes room like a stranger",
        _CONNECTION_LIMITS,
        "        (self._proven if connection.proven else self._waiting)[connection] = None",
        "        self._waiting[connection] = None",
        (_HOSTILE + "test_a_client_that_delivered_is_the_last_to_make_room",),
    ),
    Mutant(
        "one address may take every place",
        _CONNECTION_LIMITS,
        "        if address is not None and self._taken[address] >= self.share:",
        "        if address is not None and self._taken[address] >= self.most:",
        (_HOSTILE + "test_one_address_has_a_share",),
    ),
    Mutant(
        "each address of a /64 has a share of its own",
        _CONNECTION_LIMITS,
        "_V6_PREFIX = 64",
        "_V6_PREFIX = 128",
        ("tests/unit/server/test_connection_limits.py::test_what_counts_as_one_peer",),
    ),
    Mutant(
        "a connection that is gone is kept until the garbage collector comes",
        _PROTOCOL,
        "        request, self._request = self._request, None",
        "        request = self._request",
        (_HOSTILE + "test_a_connection_that_ends_is_freed_without_the_garbage_collector",),
    ),
    Mutant(
        "an upload keeps its cancelled task",
        _UPLOAD,
        "            self._task = None  # its frames keep this object alive",
        "            pass",
        (_HOSTILE + "test_a_connection_that_ends_is_freed_without_the_garbage_collector",),
    ),
    Mutant(
        "memory for unverified bodies has no limit",
        _BODIES,
        "        while self.held > self.limit and size > before:",
        "        while False:",
        (_LIMITS + "test_bodies_that_memory_cannot_hold_go_to_the_spool",),
    ),
    Mutant(
        "the body that grows is given up, not the oldest",
        _BODIES,
        "            oldest = next(iter(self._holders))",
        "            oldest = holder",
        (_LIMITS + "test_the_oldest_body_makes_room_when_the_spool_is_full_too",),
    ),
    Mutant(
        "the spool has no limit",
        _SPOOL,
        "        while self.bytes + size > self._limits.spool_bytes:",
        "        while False:",
        (_LIMITS + "test_large_bodies_are_limited_by_themselves",),
    ),
    Mutant(
        "the rest of a body that was given up is read as a request",
        _PROTOCOL,
        "            keep = self._keeps(request.head, close=close or request.unread)",
        "            keep = self._keeps(request.head, close=close)",
        (_LIMITS + "test_an_abandoned_body_is_never_read_as_a_request",),
    ),
    Mutant(
        "strangers may fill the disk",
        _SPOOL,
        "        if disk.f_blocks and disk.f_bavail * disk.f_frsize < SPARE_DISK:",
        "        if False:",
        (_LIMITS + "test_the_last_space_of_a_disk_is_reserved",),
    ),
    Mutant(
        "a large body is believed without its signature",
        "src/closeout/core/signature.py",
        "        if True not in fits:",
        "        if False:",
        (_LIMITS + "test_a_large_delivery_is_taken_beside_others",),
    ),
    Mutant(
        "a head may be a little over 64 KB",
        _HEAD,
        "    end = buffer.find(END, known, HEAD_BYTES)",
        "    end = buffer.find(END, known)",
        (_LIMITS + "test_a_head_has_64_kb_at_most",),
    ),
    Mutant(
        "a head may have any number of fields",
        _HEAD,
        "        if len(self.headers) == HEADER_FIELDS:",
        "        if False:",
        (_LIMITS + "test_a_head_has_100_fields_at_most",),
    ),
    Mutant(
        "a path is decoded before it is compared",
        "src/closeout/server/exchange.py",
        '            "path": path.decode("latin-1"),',
        '            "path": __import__("urllib.parse").parse.unquote(path.decode("latin-1")),',
        (_LIMITS + "test_a_path_is_compared_exactly",),
    ),
    Mutant(
        "a second head within the first is taken",
        _HEAD,
        "        if self.version:\n            raise BadHead",
        "        if False:\n            raise BadHead",
        ("tests/unit/server/test_head.py::test_what_two_parsers_could_read_differently_is_refused",),
    ),
    Mutant(
        "the last delivery that waits for the secrets is stored first",
        "src/closeout/server/webhook.py",
        "next(iter(self.waits_for_secrets))",
        "next(reversed(self.waits_for_secrets))",
        (
            "tests/unit/server/test_webhook.py::test_deliveries_that_wait_for_the_secrets_are_stored_in_the_order_of_arrival",
        ),
    ),
)  # fmt: skip
