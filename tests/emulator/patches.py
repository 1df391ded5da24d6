"""What AWS does and ministack 1.5.33 does not, as far as closeout's stack meets it: every patch of the emulator.

This is the emulator's own program: `launcher` runs it in an environment that holds ministack and no closeout, so that
a function finds nothing but its bundle. Each patch says what was missing, and links the page of AWS's documentation that it stands for. What they add
is our reading of those pages and no independent check, so they are few, and no test is about a patch alone.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import sys
import tempfile
import threading
import time
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ministack import app
from ministack.core import iam_actions, iam_evaluator, sigv4
from ministack.core import lambda_runtime as runtime
from ministack.services import cloudwatch_logs as logs
from ministack.services import lambda_durable as durable
from ministack.services import lambda_svc as functions
from ministack.services import s3
from ministack.services import secretsmanager as secrets
from ministack.services.cloudformation import provisioners

from tests.emulator import partitions
from tests.emulator.executions import Executions

DOCS = "https://docs.aws.amazon.com"
HANDLERS: dict[str, dict[str, Any]] = provisioners._RESOURCE_HANDLERS


class Patch(NamedTuple):
    """One gap: what ministack does, the page that says what AWS does, and the function that closes it."""

    gap: str
    page: str
    apply: Callable[[], None]


PATCHES: list[Patch] = []


def patch(gap: str, page: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Note a patch; `main` applies all of them in this order."""

    def note(apply: Callable[[], None]) -> Callable[[], None]:
        PATCHES.append(Patch(gap, page, apply))
        return apply

    return note


# --- CloudFormation -------------------------------------------------------------------------------------------


@patch(
    "CloudFormation drops DurableConfig and DeadLetterConfig of a function.",
    f"{DOCS}/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html",
)
def keep_what_a_function_says() -> None:
    """Keep both in the function's configuration, from which its versions are copied."""
    handler = HANDLERS["AWS::Lambda::Function"]
    create, update = handler["create"], handler["update"]

    def keep(answer: Any, properties: dict[str, Any]) -> Any:
        config = functions._functions[answer[0]]["config"]
        config |= {
            name: properties[name] for name in ("DurableConfig", "DeadLetterConfig") if properties.get(name)
        }
        return answer

    handler["create"] = lambda logical_id, properties, stack: keep(
        create(logical_id, properties, stack), properties
    )
    handler["update"] = lambda physical_id, old, new, *rest, **more: keep(
        update(physical_id, old, new, *rest, **more), new
    )


VOLATILE = frozenset(("RevisionId", "LastModified", "Version", "FunctionArn", "Description"))
"""What differs between a function and its version though nothing was changed: each save gives the function another revision."""


@patch(
    "A version is new after each save of its function, also when code and configuration are those of the last version.",
    f"{DOCS}/lambda/latest/api/API_PublishVersion.html",
)
def nothing_new_to_publish() -> None:
    """Take such a function for its last version. CloudFormation then refuses another one: it exists already."""
    publish, create = functions._publish_version, HANDLERS["AWS::Lambda::Version"]["create"]

    def compare(name: str) -> None:
        function = functions._functions.get(name)
        latest = max(function["versions"], key=int, default=None) if function else None
        if function is None or latest is None:
            return
        version = function["versions"][latest]
        now, then = (
            {key: value for key, value in one["config"].items() if key not in VOLATILE}
            for one in (function, version)
        )
        if now == then:
            version["function_revision"] = function["config"]["RevisionId"]

    def published(name: str, data: dict[str, Any]) -> Any:
        compare(name)
        return publish(name, data)

    def created(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        compare(functions._resolve_name_and_qualifier(properties["FunctionName"])[0])
        return create(logical_id, properties, stack)

    functions._publish_version = published
    HANDLERS["AWS::Lambda::Version"]["create"] = created


@patch(
    "Ref of a secret is its name, and not its ARN; a secret without a value has the value ''.",
    f"{DOCS}/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html",
)
def secret_by_arn() -> None:
    """Use the ARN as the physical id, and create no version of a secret that the template gives no value."""
    handler = HANDLERS["AWS::SecretsManager::Secret"]
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def name_of(physical_id: str) -> str:
        return next(
            (name for name, secret in secrets._secrets.items() if secret["ARN"] == physical_id), physical_id
        )

    def created(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        name, attributes = create(logical_id, properties, stack)
        if not {"SecretString", "GenerateSecretString"} & set(properties):
            secrets._secrets[name]["Versions"] = {}
        return attributes["Arn"], attributes

    def updated(physical_id: str, *rest: Any, **more: Any) -> Any:
        name, attributes = update(name_of(physical_id), *rest, **more)
        return attributes.get("Arn", name), attributes

    handler.update(
        create=created,
        update=updated,
        delete=lambda physical_id, properties: delete(name_of(physical_id), properties),
    )


@patch(
    "CloudFormation knows no AWS::SecretsManager::ResourcePolicy; the deployment rolls back.",
    f"{DOCS}/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-resourcepolicy.html",
)
def secret_policy() -> None:
    """Put the policy through PutResourcePolicy; IAM's evaluator there takes it into account."""

    def put(properties: dict[str, Any]) -> Any:
        policy = json.dumps(properties["ResourcePolicy"])
        status, _, body = secrets._put_resource_policy(
            {"SecretId": properties["SecretId"], "ResourcePolicy": policy}
        )
        if status >= 400:
            raise ValueError(f"AWS::SecretsManager::ResourcePolicy failed: {body!r}")
        return properties["SecretId"], {"Id": properties["SecretId"]}

    HANDLERS["AWS::SecretsManager::ResourcePolicy"] = {
        "create": lambda _logical_id, properties, _stack: put(properties),
        "update": lambda _physical_id, _old, new, _stack: put(new),
        "delete": lambda physical_id, _properties: secrets._delete_resource_policy({"SecretId": physical_id}),
    }


@patch(
    "An alarm on metric math is refused.",
    f"{DOCS}/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudwatch-alarm.html",
)
def alarms_on_math() -> None:
    """Keep such an alarm under the first of its metrics. It never goes off; it only has to be deployed."""
    original = provisioners._cw_metric_alarm_record

    def record(name: str, properties: dict[str, Any]) -> Any:
        metrics = [
            one["MetricStat"]["Metric"] for one in properties.get("Metrics", ()) if "MetricStat" in one
        ]
        if not metrics:
            return original(name, properties)
        simple = {key: value for key, value in properties.items() if key != "Metrics"}
        return original(name, {**simple, **{key: metrics[0][key] for key in ("MetricName", "Namespace")}})

    provisioners._cw_metric_alarm_record = record


@patch(
    "CloudFormation deletes a bucket with all that is in it.",
    f"{DOCS}/AmazonS3/latest/API/API_DeleteBucket.html",
)
def full_buckets() -> None:
    """Let such a bucket fail with S3's words, and with it the delete of its stack."""
    original = HANDLERS["AWS::S3::Bucket"]["delete"]

    def delete(name: str, properties: Any) -> None:
        if s3._buckets.get(name, {}).get("objects") or s3._bucket_has_versions(name):
            raise RuntimeError(
                "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
                " (Service: S3, Status Code: 409)"
            )
        original(name, properties)

    HANDLERS["AWS::S3::Bucket"]["delete"] = delete


# --- durable executions ---------------------------------------------------------------------------------------

EXECUTIONS = Executions()


@patch(
    "An asynchronous Invoke of a durable function neither completes nor resumes it, and its name is ignored.",
    f"{DOCS}/lambda/latest/dg/durable-execution-idempotency.html",
)
def start_by_name() -> None:
    """Answer the same name and payload with the existing execution, running or closed; another payload is an error."""
    functions._invoke = EXECUTIONS.invoke


@patch(
    "An invocation that crashed or timed out ends the retrying of a durable execution; a resume runs $LATEST, one at a time.",
    f"{DOCS}/lambda/latest/dg/durable-execution-sdk-retries.html",
)
def retry_and_resume() -> None:
    """Invoke again with a growing delay, nine times in a row at most, on the version that it was started on."""
    functions.invoke_durable_resume = EXECUTIONS.resume


@patch(
    "An execution may have any number of operations; the result of a poll is lost; a callback's timeout of 0 is over at once.",
    f"{DOCS}/lambda/latest/dg/durable-execution-sdk.html#durable-operations-checkpoint-consumption",
)
def checkpoints() -> None:
    """Count operations by AWS's table, fail an execution at 3,000, keep each poll's result and event."""
    durable.handle_checkpoint = EXECUTIONS.checkpoint


@patch(
    "A callback that is completed during an invocation makes the invocation's token invalid, and is lost.",
    f"{DOCS}/lambda/latest/api/API_SendDurableExecutionCallbackSuccess.html",
)
def complete_during_an_invocation() -> None:
    """Resume after the invocation, whose end asks what is due."""
    original = durable._resume_execution

    def resume(arn: str, *place: Any) -> None:
        if not EXECUTIONS.under_way(arn):
            original(arn, *place)

    durable._resume_execution = resume


@patch(
    "No status of a durable execution reaches EventBridge, and its event no dead-letter queue.",
    f"{DOCS}/lambda/latest/dg/durable-monitoring.html",
)
def tell_of_ends() -> None:
    """Publish each change; FAILED, STOPPED and TIMED_OUT of asynchronous starts reach the dead-letter queue as well."""
    complete, time_out, stop = (
        durable.mark_execution_completed,
        durable._time_out_execution,
        durable.handle_stop,
    )

    def told(execution: dict[str, Any] | None, change: Callable[[], Any]) -> Any:
        before = execution and execution["Status"]
        answer = change()
        if execution is not None and before == "RUNNING" != execution["Status"]:
            EXECUTIONS.tell(execution)
        return answer

    durable.mark_execution_completed = lambda arn, result_payload, error: told(
        durable._executions.get(arn), lambda: complete(arn, result_payload, error)
    )
    durable._time_out_execution = lambda execution: told(execution, lambda: time_out(execution))
    durable.handle_stop = lambda arn, body: told(
        durable._executions.get(durable._parse_execution_arn(arn)), lambda: stop(arn, body)
    )


@patch(
    "Durable executions are listed for a version's number only, and neither for an alias nor for all versions.",
    f"{DOCS}/lambda/latest/api/API_ListDurableExecutionsByFunction.html",
)
def list_by_alias() -> None:
    """Take an alias for the version that it points to; without a qualifier list the executions of all versions."""
    original = durable.handle_list_by_function

    def every(name: str, query: dict[str, Any], lookup: Any) -> Any:
        of_versions = [
            json.loads(original(name, {**query, "Qualifier": version, "MaxItems": "1000"}, lookup)[2])
            for version in functions._functions.get(name, {}).get("versions", {})
        ]
        found = [one for listed in of_versions for one in listed["DurableExecutions"]]
        return durable.json_response({"DurableExecutions": found})

    def listed(function: str, query: dict[str, Any], lookup: Any) -> Any:
        name, in_arn = functions._resolve_name_and_qualifier(function)
        qualifier = durable._qp_first(query, "Qualifier") or in_arn
        if not qualifier:
            return every(name, query, lookup)
        found = EXECUTIONS.version(name, qualifier) if qualifier else None
        return original(name, {**query, "Qualifier": found[1]} if found else query, lookup)

    durable.handle_list_by_function = listed


# --- the rest -------------------------------------------------------------------------------------------------


@patch(
    "aws:PrincipalArn of a role's session is the session's ARN, and not the role's.",
    f"{DOCS}/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn",
)
def principal_is_the_role() -> None:
    """Return the role's ARN for the key; closeout's roles have no path."""
    original = iam_evaluator._resolve_condition_key

    def resolved(key: str, context: Any) -> Any:
        value = original(key, context)
        session = re.fullmatch(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/.*", str(value))
        if key.lower() != "aws:principalarn" or session is None:
            return value
        return "arn:{}:iam::{}:role/{}".format(*session.groups())

    iam_evaluator._resolve_condition_key = resolved


@patch(
    "The condition key dynamodb:LeadingKeys is not known: what a policy says of partitions does not count.",
    f"{DOCS}/amazondynamodb/latest/developerguide/specifying-conditions.html",
)
def partition_keys() -> None:
    """Read the partition keys from requests. Each item of a transaction is checked by itself, with its own keys."""
    context, checks = iam_actions.dynamodb_service_context, iam_actions.dynamodb_transaction_checks
    enforce = iam_evaluator.enforce

    def enforced(
        key: str, action: str, service: str, region: str, resource_arn: str = "*", service_context: Any = None
    ) -> Any:
        more = partitions.of_item(resource_arn)
        return enforce(key, action, service, region, resource_arn, {**(service_context or {}), **more})

    iam_actions.dynamodb_service_context = lambda body: {**context(body), **partitions.of_request(body)}
    iam_actions.dynamodb_transaction_checks = lambda action, body, *place: partitions.keyed(
        checks(action, body, *place), body
    )
    iam_evaluator.enforce = enforced


@patch(
    "The right to list a function's durable executions is that of lambda:GetFunction.",
    f"{DOCS}/service-authorization/latest/reference/list_awslambda.html",
)
def listing_is_an_action() -> None:
    """Ask for lambda:ListDurableExecutionsByFunction."""
    original = iam_actions._lambda_action

    def action(method: str, path: str) -> Any:
        if method == "GET" and re.fullmatch(r"/[0-9-]+/functions/[^/]+/durable-executions/?", path):
            return "ListDurableExecutionsByFunction"
        return original(method, path)

    iam_actions._lambda_action = action


@patch(
    "CodeBuild's calls that name builds are checked against `*`, and not against the builds' project.",
    f"{DOCS}/service-authorization/latest/reference/list_awscodebuild.html",
)
def builds_belong_to_a_project() -> None:
    """Read the project from a build's id, `PROJECT:UUID`; builds of several projects stay `*`."""
    original = iam_actions.extract_resource_arn

    def extracted(service: str, *rest: Any) -> Any:
        found = original(service, *rest)
        if service != "codebuild" or found != "*":
            return found
        _method, _path, _headers, body, _query, region, account = rest
        asked = json.loads(body or b"{}")
        named = [*asked.get("ids", ()), *asked.get("names", ()), asked.get("id")]
        projects = {str(one).partition(":")[0] for one in named if one}
        return f"arn:aws:codebuild:{region}:{account}:project/{projects.pop()}" if len(projects) == 1 else "*"

    iam_actions.extract_resource_arn = extracted


@patch(
    'A filter pattern over JSON ({ $.field = "value" }) matches every log line.',
    f"{DOCS}/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html",
)
def filter_json_lines() -> None:
    """Compare one field of lines that are JSON objects; any other JSON pattern is refused rather than guessed at."""
    original = logs._compile_filter_pattern

    def compiled(raw: str) -> Callable[[str], bool]:
        text = (raw or "").strip()
        if not text.startswith("{"):
            matcher: Callable[[str], bool] = original(raw)
            return matcher
        field, equals, value = text.strip("{} ").partition("=")
        if not equals or not field.strip().startswith("$."):
            raise ValueError(f"the emulator does not know the filter pattern {text}")
        name, wanted = field.strip().removeprefix("$."), json.loads(value.strip())

        def matches(line: str) -> bool:
            try:
                found = json.loads(line)
            except ValueError:
                return False
            return isinstance(found, dict) and found.get(name) == wanted

        return matches

    logs._compile_filter_pattern = compiled


SHIFTED = """
import os as _os, time as _time
def _shift(real=_time.time, path=_os.environ.get("CLOSEOUT_EMULATED_CLOCK", "")):
    def now():
        try:
            with open(path) as file:
                return real() + float(file.read())
        except (OSError, ValueError):
            return real()
    _time.time = now
_shift()
"""
"""Source text that lets `time.time` follow the emulated clock: run here, and first thing in each function's process."""


class Impatient(threading.Event):
    """An event whose waits are cut short, so that a clock which was set forward is noticed; nothing else changes."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait a moment, and let the waiter look again."""
        super().wait(0.1 if timeout is None else min(timeout, 0.1))
        return True


@patch(
    "Time cannot be skipped. This stands for waiting: a wait of hours ends when its time has come.",
    f"{DOCS}/lambda/latest/dg/durable-functions.html",
)
def one_clock() -> None:
    """Let the account's timers and its functions follow one clock that can be set forward; signatures may have either time."""
    exec(SHIFTED, {})
    runtime._PYTHON_WORKER_SCRIPT = SHIFTED + runtime._PYTHON_WORKER_SCRIPT
    durable._resume_event = Impatient()
    check = sigv4.request_time_failure

    def either(signature: Any, **_more: Any) -> Any:
        shifted = datetime.datetime.fromtimestamp(time.time(), datetime.UTC)
        return check(signature) and check(signature, now=shifted)

    sigv4.request_time_failure = either


class Unpacked(zipfile.ZipFile):
    """A bundle that is unpacked once; each environment gets a link to it, and none writes there, as in Lambda."""

    places: ClassVar[dict[int, str]] = {}

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        """Unpack, or link to what was unpacked before."""
        key = hash(tuple((one.filename, one.CRC) for one in self.infolist()))
        place = self.places.get(key)
        if place is None:
            place = tempfile.mkdtemp(prefix="ministack-code-")
            super().extractall(place, members, pwd)
            self.places[key] = place
        Path(path).rmdir()
        Path(path).symlink_to(place)


@patch(
    "A cold start unpacks the whole bundle and imports botocore for a counter of ministack's, before the function's code.",
    f"{DOCS}/lambda/latest/dg/lambda-runtime-environment.html",
)
def start_with_the_functions_code() -> None:
    """Keep unpacked bundles, and leave the counter out: what is left of a start's time is the function's."""
    runtime.zipfile = types.SimpleNamespace(**{**vars(zipfile), "ZipFile": Unpacked})
    runtime._PYTHON_WORKER_SCRIPT = runtime._PYTHON_WORKER_SCRIPT.replace(
        "\n    _ms_install_invoke_depth()\n", "\n"
    )


def main() -> None:
    """Apply every patch and serve."""
    for each in PATCHES:
        each.apply()
    app._port_is_bindable = lambda *_: False  # its own port alone, even where it might have 443
    sys.argv = sys.argv[:1]
    os.environ.pop("PYTHONPATH", None)
    app.main()


if __name__ == "__main__":
    main()
