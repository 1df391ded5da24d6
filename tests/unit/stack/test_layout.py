"""The keys, items and payloads of a stack's table: another release reads what this one writes, so that each is written out here."""

from __future__ import annotations

import hashlib

import pytest

from closeout.core.records import NewDelivery, NewRun
from closeout.stack import closings, patrol, problems, table
from closeout.stack.deployed import definition_digest

R = "a" * 26
E = f"{R}-12"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:w:live/durable-execution/n/uuid"
D = NewDelivery("h1", "g", "pull_request", "closed", "acme/shop", b"{}", False, 1000.5, "github", 17, "1/2/x")
VALUES = {"a": 1, "b": 1.5, "c": "x", "d": True, "f": [1, "y"], "g": b"z"}
ID = "5cpv62vrtxwieakvxr542yklpo"
LAYOUT: list[tuple[object, object]] = [
    (
        table.to_item({**VALUES, "e": None}),
        {
            "a": {"N": "1"},
            "b": {"N": "1.5"},
            "c": {"S": "x"},
            "d": {"BOOL": True},
            "f": {"L": [{"N": "1"}, {"S": "y"}]},
            "g": {"B": b"z"},
        },
    ),
    (
        table.from_item(table.to_item(VALUES)),
        {"a": 1, "b": 1.5, "c": "x", "d": True, "f": [1, "y"], "g": b"z"},
    ),
    (table.attempt_key(R, 12), {"pk": {"S": f"run#{R}"}, "sk": {"S": "attempt#000012"}}),
    (table.record_prefix(12), "record#000012#"),
    (table.operation_prefix(12), "record#000012#operation#"),
    (table.definition_key(R, 12), {"pk": {"S": f"run#{R}"}, "sk": {"S": "record#000012#definition"}}),
    (
        table.operation_key(R, 12, "match"),
        {"pk": {"S": f"record#{R}"}, "sk": {"S": "record#000012#operation#match"}},
    ),
    (table.seal_key(R, 12), {"pk": {"S": f"record#{R}"}, "sk": {"S": "record#000012#accepted"}}),
    (table.wake_up_key(R, 12), {"pk": {"S": f"record#{R}"}, "sk": {"S": "wake-up#000012"}}),
    (table.ticket_key("k", 1000.5, E), {"pk": {"S": "key#k"}, "sk": {"S": f"ticket#000000001000500#{R}-12"}}),
    (table.holder_key("k"), {"pk": {"S": "key#k"}, "sk": {"S": "holder"}}),
    (table.known_key("d"), {"pk": {"S": "settings"}, "sk": {"S": "definition#d"}}),
    (table.body_key("d"), {"pk": {"S": "delivery#d"}, "sk": {"S": "body"}}),
    (table.delivery_key("d"), {"pk": {"S": "delivery#d"}, "sk": {"S": "delivery"}}),
    (table.object_name("d"), "bodies/d"),
    (table.listed_at(1000.5, "n"), "000000001000500#n"),
    (table.delivery_id("h", "g"), "qph5jisgql6ld75o4txohine37"),
    (
        table.claim_item(R, "o", 5),
        {"pk": {"S": f"run#{R}"}, "sk": {"S": "attempt#000001"}, "owner": {"S": "o"}, "expires": {"N": "5"}},
    ),
    (
        table.deployed_item(b"x", "d", 1.5),
        {
            "pk": {"S": "settings"},
            "sk": {"S": "config"},
            "data": {"B": b"x"},
            "digest": {"S": "d"},
            "since": {"N": "1.5"},
        },
    ),
    (
        table.known_item("d", "a", 5.0),
        {
            "pk": {"S": "settings"},
            "sk": {"S": "definition#d"},
            "automation": {"S": "a"},
            "seconds": {"N": "5.0"},
        },
    ),
    (
        table.known_item("d", "a", 5.0, 9),
        {
            "pk": {"S": "settings"},
            "sk": {"S": "definition#d"},
            "automation": {"S": "a"},
            "seconds": {"N": "5.0"},
            "expires": {"N": "9"},
        },
    ),
    (table.expiry_after(1000.0, 1100.0), 1200),
    (
        table.marked_started(E, ARN),
        {
            "Key": {"pk": {"S": f"run#{R}"}, "sk": {"S": "attempt#000012"}},
            "UpdateExpression": "SET started = :yes, arn = :arn",
            "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(continued)",
            "ExpressionAttributeValues": {":yes": {"BOOL": True}, ":arn": {"S": ARN}},
        },
    ),
    (
        table.marked_started(E, None, 2),
        {
            "Key": {"pk": {"S": f"run#{R}"}, "sk": {"S": "attempt#000012"}},
            "UpdateExpression": "SET started = :yes",
            "ConditionExpression": "attribute_exists(pk) AND continued = :number",
            "ExpressionAttributeValues": {":yes": {"BOOL": True}, ":number": {"N": "2"}},
        },
    ),
    (table.execution_name(E, 0), E),
    (table.execution_name(E, 2), f"{R}-12_2"),
    (table.execution_place(ARN), "n/uuid"),
    (table.worker_event(E), f'{{"execution":"{R}-12"}}'.encode()),
    (table.worker_event(E, 2), f'{{"execution":"{R}-12","number":2}}'.encode()),
    (table.without_stack("x"), "x"),
    (table.without_stack(table.durable_name("fn:live", E)), E),
    (
        table.delivery_item(D, [R], 9),
        {
            "pk": {"S": f"delivery#{ID}"},
            "sk": {"S": "delivery"},
            "guid": {"S": "g"},
            "hook": {"S": "h1"},
            "event": {"S": "pull_request"},
            "action": {"S": "closed"},
            "repository": {"S": "acme/shop"},
            "number": {"N": "17"},
            "origin": {"S": "github"},
            "closing": {"S": "1/2/x"},
            "form": {"BOOL": False},
            "size": {"N": "2"},
            "received_at": {"N": "1000.5"},
            "runs": {"L": [{"S": R}]},
            "list": {"S": "deliveries"},
            "at": {"S": f"000000001000500#{ID}"},
            "expires": {"N": "9"},
        },
    ),
    (
        table.body_item(D, b"p", 9),
        {
            "pk": {"S": f"delivery#{ID}"},
            "sk": {"S": "body"},
            "data": {"B": b"p"},
            "form": {"BOOL": False},
            "expires": {"N": "9"},
        },
    ),
    (
        table.body_item(D, None, 9),
        {
            "pk": {"S": f"delivery#{ID}"},
            "sk": {"S": "body"},
            "object": {"S": f"bodies/{ID}"},
            "form": {"BOOL": False},
            "expires": {"N": "9"},
        },
    ),
    (patrol.EVERYTHING, {"patrol": {"everything": True}}),
    (patrol.BUSY, {"busy": True}),
    (problems.TEST, {"test": True}),
    (problems.CHECK, {"check": True}),
    (patrol.cleaning("acme/shop#1 a", "ada"), {"clean": {"target": "acme/shop#1 a", "by": "ada"}}),
    (patrol.recovering("g"), {"recover": {"guid": "g"}}),
    (closings.closing_items(D._replace(event="push")._asdict(), ID, [R], 9), []),
    (closings.closing_items(D._replace(number=None)._asdict(), ID, [R], 9), []),
    (closings.closing_items(D._replace(repository=None)._asdict(), ID, [R], 9), []),
    (closings.closing_items(D._asdict(), ID, [], 9), []),
    (closings.condition(table.delivery_key("d")), "attribute_not_exists(pk)"),
    (closings.condition(table.attempt_key(R, 1)), "attribute_not_exists(pk)"),
    (closings.condition(table.body_key("d")), None),
    (closings.condition(closings.closing_items(D._asdict(), ID, [R], 9)[0]), None),
    (
        table.run_items(
            NewRun(R, "a", "k", "{}", 60.0),
            D._asdict(),
            ID,
            attempt=12,
            accepted_at=1000.5,
            expires=9,
            requested_by="ada",
        ),
        [
            {
                "pk": {"S": f"run#{R}"},
                "sk": {"S": "attempt#000012"},
                "guid": {"S": "g"},
                "hook": {"S": "h1"},
                "event": {"S": "pull_request"},
                "action": {"S": "closed"},
                "repository": {"S": "acme/shop"},
                "number": {"N": "17"},
                "origin": {"S": "github"},
                "closing": {"S": "1/2/x"},
                "execution": {"S": E},
                "automation": {"S": "a"},
                "key": {"S": "k"},
                "delivery": {"S": ID},
                "queue_timeout": {"N": "60.0"},
                "accepted_at": {"N": "1000.5"},
                "requested_by": {"S": "ada"},
                "state": {"S": "queued"},
                "turn": {"S": "own"},
                "crashes": {"N": "0"},
                "list": {"S": "runs"},
                "at": {"S": f"000000001000500#{E}"},
            },
            {
                "pk": {"S": f"run#{R}"},
                "sk": {"S": "record#000012#definition"},
                "definition": {"S": "{}"},
                "expires": {"N": "9"},
            },
            {
                "pk": {"S": "key#k"},
                "sk": {"S": f"ticket#000000001000500#{E}"},
                "execution": {"S": E},
            },
        ],
    ),
    (
        [
            item["sk"]["S"]
            for item in table.run_items(
                NewRun(R, "a", None, "{}", 60.0), {}, ID, accepted_at=0.0, expires=None
            )
        ],
        ["attempt#000001", "record#000001#definition"],
    ),
    (table.operation_key(R, 12, "x" * 976)["sk"]["S"], f"record#000012#operation#{'x' * 976}"),
    (
        table.operation_key(R, 12, "x" * 977)["sk"]["S"],
        f"record#000012#operation#{'x' * 100}#{hashlib.sha256(b'x' * 977).hexdigest()}",
    ),
    (definition_digest("{}"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
]


@pytest.mark.parametrize(("made", "written"), LAYOUT)
def test_the_layout_stays_the_same(made: object, written: object) -> None:
    """Runs in progress use these names, and a stack of the previous release these items."""
    assert made == written
