"""Handle executions that failed or never began: an event rule and a dead-letter queue call one idempotent handler.

EventBridge reports each execution that failed, timed out or was stopped. Lambda puts executions that it could not start, or
gave up, into the dead-letter queue. Those that the handler cannot end, either, go to a last queue, which raises an alarm.
"""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from closeout_cdk.functions import Functions

STATUSES = ("FAILED", "TIMED_OUT", "STOPPED")


class Failures(Construct):
    """The rule, and the queue's consumer."""

    def __init__(self, scope: Construct, name: str, functions: Functions) -> None:
        super().__init__(scope, name)
        self.rule = events.Rule(
            self,
            "Rule",
            description="closeout: executions that failed, timed out or were stopped",
            # https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html
            event_pattern=events.EventPattern(
                source=["aws.lambda"],
                detail_type=["Durable Execution Status Change"],
                detail={
                    "status": list(STATUSES),
                    "functionArn": [{"prefix": functions.worker.function_arn}],
                },
            ),
            targets=[
                targets.LambdaFunction(
                    functions.ended, dead_letter_queue=functions.dead_letters, max_event_age=Duration.hours(2)
                )
            ],
        )
        self.consumer = lambda_.EventSourceMapping(
            self,
            "Consumer",
            target=functions.ended,
            event_source_arn=functions.dead_letters.queue_arn,
            batch_size=1,
        )
        # Lambda tries at once whether the role may read the queue.
        self.consumer.node.add_dependency(functions.ended_policy)
