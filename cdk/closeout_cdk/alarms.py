"""Alarms: metrics from log lines, alarms on them, and a topic that sends mail.

Missing data raises no alarm, because a stack without events is healthy. The exception is patrol, which must keep ending.
"""

from __future__ import annotations

from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from closeout.config.patrol import PatrolSettings
from closeout_cdk.functions import Functions
from closeout_cdk.notify import Notify
from closeout_cdk.parameters import STACK

NAMESPACE = "closeout"
"""Namespace of the metrics of the stack with the default name; another stack's is `closeout/NAME`."""
FIVE, HOUR = Duration.minutes(5), Duration.hours(1)
FIVES_OF_AN_HOUR = 12
MANY_OPERATIONS = 2_500
"""An execution may have 3,000 durable operations."""
MISSED = 3
"""Intervals without the end of a patrol."""
FAILING = 3
"""Intervals with errors of patrol, if together they are at least an hour."""
LATE = 2
"""Intervals without the end of a drill, and an hour."""
BAD_SIGNATURES = 10
"""In five minutes: one request is a scanner, ten are a hook with another secret."""


class Alarms(Construct):
    """All alarms. With a mail address they notify a topic; without one they are visible only in CloudWatch."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        functions: Functions,
        patrol: PatrolSettings,
        patrol_logs: logs.ILogGroup,
        access_logs: logs.ILogGroup | None,
        email: str | None,
    ) -> None:
        super().__init__(scope, name)
        self._stack = Stack.of(self).stack_name
        self._namespace = namespace(self._stack)
        self._topic = self._make_topic(email) if email else None
        self._of_runs(functions)
        self._of_receiver(functions, access_logs)
        self._of_rechecks(patrol_logs)
        if patrol.minutes is not None:
            self._of_patrol(patrol.minutes, patrol.drill)

    def _of_runs(self, functions: Functions) -> None:
        failed = [
            self._counted(f"FailedRuns{number}", group, '{ $.verdict = "failure" }', "FailedRuns")
            for number, group in enumerate((functions.worker_logs, functions.ended_logs), 1)
        ]
        self._alarm(
            "FailedRuns", failed[0], 1, "a run failed: its commit status says so, and its log says why"
        )
        self._alarm(
            "FailedExecutions",
            # Lambda's own count, because the handler gets two events for one such execution: its event and its dead letter.
            # https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html
            cloudwatch.MathExpression(
                expression="FILL(failed, 0) + FILL(timed_out, 0) + FILL(stopped, 0)",
                using_metrics={
                    name: functions.worker.metric(f"DurableExecution{metric}", period=FIVE, statistic="Sum")
                    for name, metric in (
                        ("failed", "Failed"),
                        ("timed_out", "TimedOut"),
                        ("stopped", "Stopped"),
                    )
                },
                period=FIVE,
                label="executions that failed, timed out or were stopped",
            ),
            1,
            "an execution failed, timed out or was stopped in Lambda; closeout ended its run",
        )
        self._alarm(
            "ManyOperations",
            functions.worker.metric("DurableExecutionOperations", period=FIVE, statistic="Maximum"),
            MANY_OPERATIONS + 1,
            "an execution has used most of its 3,000 durable operations; Lambda ends it when they are used up",
        )
        self._alarm(
            "StuckPending",
            cloudwatch.MathExpression(
                expression="FILL(errors, 0) + FILL(given_up, 0)",
                using_metrics={
                    "errors": functions.ended.metric_errors(period=FIVE, statistic="Sum"),
                    "given_up": _waiting(functions.last_letters),
                },
                period=FIVE,
                label="runs that could not be ended",
            ),
            1,
            "a failed execution's run could not be ended: its status may still be pending; see the how-to about failed executions",
        )
        self._alarm(
            "DeadLetters",
            functions.dead_letters.metric_approximate_age_of_oldest_message(period=FIVE, statistic="Maximum"),
            900,
            "seconds that a dead letter has waited for its handler",
        )
        self._alarm(
            "WorkerThrottles",
            functions.worker.metric_throttles(period=FIVE, statistic="Sum"),
            1,
            "Lambda had no room for the worker: runs are late, none is lost",
        )

    def _of_receiver(self, functions: Functions, access_logs: logs.ILogGroup | None) -> None:
        receiver, group = functions.receiver, functions.receiver_logs
        answered = self._counted("ReceiverErrors", group, "{ $.status >= 500 }", "ReceiverErrors")
        self._alarm(
            "ReceiverErrors",
            cloudwatch.MathExpression(
                expression="FILL(crashed, 0) + FILL(answered, 0)",
                using_metrics={
                    "crashed": receiver.metric_errors(period=FIVE, statistic="Sum"),
                    "answered": answered,
                },
                period=FIVE,
                label="deliveries answered with an error of ours",
            ),
            1,
            "deliveries were not stored: redeliver them on the hook's page at GitHub when the cause is gone",
        )
        self._alarm(
            "ReceiverThrottles",
            receiver.metric_throttles(period=FIVE, statistic="Sum"),
            1,
            "Lambda throttled the receiver: redeliver the failed deliveries, GitHub does not retry by itself",
        )
        if access_logs is not None:
            refused = self._counted("Throttled", access_logs, '{ $.status = "429" }', "Throttled")
            self._alarm(
                "ApiThrottles",
                refused,
                1,
                "the API throttled deliveries (429): redeliver them, GitHub does not retry by itself",
            )
        bad = self._counted("BadSignatures", group, '{ $.outcome = "unauthorized" }', "BadSignatures")
        self._alarm(
            "SignatureFailures",
            bad,
            BAD_SIGNATURES,
            "requests without a valid signature: a hook with another secret, or somebody who tries",
        )

    def _of_rechecks(self, group: logs.ILogGroup) -> None:
        given_up = self._counted("RechecksGivenUp", group, '{ $.recheck = "given-up" }', "RechecksGivenUp")
        self._alarm(
            "RechecksGivenUp",
            given_up,
            1,
            "a recheck after a teardown was given up: patrol's log says why; `closeout orphans` finds what was deployed since",
        )

    def watch_messages(self, notify: Notify) -> None:
        """Add the alarm on undeliverable messages."""
        pattern = '{ $.messages = "undelivered" }'
        refused = self._counted("Undelivered", notify.logs, pattern, "UndeliveredMessages")
        self._alarm(
            "MessagesUndelivered",
            cloudwatch.MathExpression(
                expression="FILL(crashed, 0) + FILL(refused, 0)",
                using_metrics={
                    "crashed": notify.function.metric_errors(period=FIVE, statistic="Sum"),
                    "refused": refused,
                },
                period=FIVE,
                label="looks that failed, and targets that took no message",
            ),
            1,
            "for an hour messages could not be delivered: the log of the function names the notifier and why; nothing is lost",
            periods=FIVES_OF_AN_HOUR,
        )

    def _of_patrol(self, minutes: int, drill: float | None) -> None:
        """Watch the metrics in patrol's log lines, including those of its drills."""
        period = Duration.minutes(minutes)

        def metric(name: str, statistic: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace=self._namespace, metric_name=name, period=period, statistic=statistic
            )

        self._alarm(
            "PatrolSilent",
            metric("PatrolRounds", "Sum"),
            1,
            f"no patrol ended in {MISSED * minutes} minutes; events that GitHub did not deliver wait for the next one",
            periods=MISSED,
            silence=True,
        )
        failing = max(FAILING, -(-60 // minutes))
        self._alarm(
            "PatrolErrors",
            metric("PatrolErrors", "Minimum"),
            1,
            "each patrol of the last hour, at least three, had errors: its log names what it cannot read",
            periods=min(failing, 1440 // minutes),
        )
        if drill is None:
            return
        self._alarm(
            "DrillFailed",
            metric("DrillFailed", "Maximum"),
            1,
            "checks of the last drill failed: patrol's log names each, with how to fix it",
        )
        self._alarm(
            "DrillLate",
            metric("DrillAge", "Minimum"),
            LATE * int(drill) + 3_600,
            "seconds since the last drill: patrol's log says why there is none",
        )

    def _counted(self, name: str, group: logs.ILogGroup, pattern: str, metric: str) -> cloudwatch.Metric:
        """Count the lines of a log that match a pattern."""
        found = logs.MetricFilter(
            self,
            f"{name}Filter",
            log_group=group,
            filter_pattern=logs.FilterPattern.literal(pattern),
            metric_namespace=self._namespace,
            metric_name=metric,
            metric_value="1",
        )
        return found.metric(period=FIVE, statistic="Sum")

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        threshold: int,
        description: str,
        *,
        periods: int = 1,
        silence: bool = False,
    ) -> None:
        """Add an alarm on a metric that reaches the threshold; with `silence` on one that stays below it or is missing."""
        operator, missing = cloudwatch.ComparisonOperator, cloudwatch.TreatMissingData
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{self._stack}-{name}",
            alarm_description=f"closeout: {description}",
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=operator.LESS_THAN_THRESHOLD
            if silence
            else operator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=missing.BREACHING if silence else missing.NOT_BREACHING,
        )
        if self._topic is not None:
            alarm.add_alarm_action(actions.SnsAction(self._topic))

    def _make_topic(self, email: str) -> sns.Topic:
        topic = sns.Topic(self, "Topic", display_name="closeout", enforce_ssl=True)
        # Our policy replaces the default one, which would let the account's alarms publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        topic.add_subscription(subscriptions.EmailSubscription(email))
        return topic


def namespace(stack: str) -> str:
    """Return the namespace of a stack's own metrics."""
    return NAMESPACE if stack == STACK else f"{NAMESPACE}/{stack}"


def _waiting(queue: sqs.Queue) -> cloudwatch.Metric:
    return queue.metric_approximate_number_of_messages_visible(period=FIVE, statistic="Maximum")
