"""A failed execution whose handler fails, too: GitHub may be down for longer than three tries."""

from __future__ import annotations

import json

from support import Made


def test_an_event_that_the_handler_could_not_deal_with_comes_again(standard: Made) -> None:
    """Lambda tries an event three times within minutes; the queue whose consumer is the same handler tries for ten hours."""
    queues = standard.of("AWS::SQS::Queue")
    letters = next(name for name in queues if "DeadLetters" in name)
    last = next(name for name in queues if "LastLetters" in name)
    ended = standard.one("AWS::Lambda::Function", "Ended")
    assert ended["DeadLetterConfig"] == {"TargetArn": {"Fn::GetAtt": [letters, "Arn"]}}
    assert standard.one("AWS::Lambda::EventSourceMapping")["EventSourceArn"] == {
        "Fn::GetAtt": [letters, "Arn"]
    }
    assert queues[letters]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"] == {
        "Fn::GetAtt": [last, "Arn"]
    }
    sends = [
        statement["Resource"]
        for statement in standard.statements("EndedPolicy")
        if "sqs:SendMessage" in json.dumps(statement["Action"])
    ]
    assert sends == [{"Fn::GetAtt": [letters, "Arn"]}]
