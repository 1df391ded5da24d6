"""The layout of the ledger's table in DynamoDB: keys, items, and the transaction that accepts a delivery.

Pure, and apart from the store, because two programs that share no library must agree on it: the receiver, which speaks to
DynamoDB with the standard library alone, and everything else, which has boto3. Items are dicts of AttributeValues as
boto3's low-level client has them (binary values are bytes). An absent value is an absent attribute.

    delivery      delivery#<id>    delivery                       listed
    body          delivery#<id>    body
    run attempt   run#<run id>     attempt#<000001>               listed, if it is the run's latest
    definition    run#<run id>     record#<000001>#definition
    operation     record#<run id>  record#<000001>#operation#<name>
    seal          record#<run id>  record#<000001>#accepted
    wake-up       record#<run id>  wake-up#<000001>
    empty runs    record#empty-runs  automation#<name>
    ticket        key#<key>        ticket#<accepted at>#<execution>
    claim         run#<run id>     attempt#<000001>               in place of a run whose closing another one has
    closing       run#closings#<digest>  <received at>#<delivery>#<run id>
    key holder    key#<key>        holder
    pause         settings         pause
    deployed      settings         config
    known         settings         definition#<digest>
    removal       settings         removal                        while the stack is deleted

The partition decides who may write an item, because IAM can restrict nothing finer (`dynamodb:LeadingKeys`). The receiver
faces the internet, and writes `delivery#`, `run#` and `key#` only (docs/adr/0018). Other partitions
decide what a run does: its operations, a *seal* over what was accepted when the run began, the callback that wakes it, and the
digests of the deployed definitions.

A run's definition is apart from its attempt, because the attempt is written (and copied into the listing) at each turn of
the run and should stay under a kilobyte.

DynamoDB's limits (400 KB an item, 100 items and 4 MB a transaction):
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from closeout.core.ids import execution_id, parse_execution, short_digest
from closeout.core.records import NewDelivery, NewRun

Attribute: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, Attribute]

LISTING = "listing"
"""The index that lists deliveries and runs: `list` and `at`."""
DELIVERIES, RUNS = "deliveries", "runs"
MOST_RUNS = 32
"""Runs of one delivery: each takes three items of a transaction's hundred, and the delivery itself three."""
LARGEST_BODY = 300_000
"""Bytes of a compressed body that is kept in the table; a larger one is an object in the bucket."""

SETTINGS = "settings"
DELIVERY, RUN, KEY, RECORD = "delivery#", "run#", "key#", "record#"
"""Prefixes of the partitions of each kind of item."""
STACK_DIGITS = 8
"""Characters of a digest of the stack, at the beginning of the name of each durable execution."""
NEW = "attribute_not_exists(pk)"
"""The condition under which an item is put: it is not there yet."""


def to_item(values: Mapping[str, Any]) -> Item:
    """Return an item of plain values: text, numbers, booleans, bytes, lists of text. None is left out."""
    return {name: _attribute(value) for name, value in values.items() if value is not None}


def from_item(item: Mapping[str, Attribute]) -> dict[str, Any]:
    """Return the plain values of an item; a number is an int if it is whole."""
    return {name: _value(attribute) for name, attribute in item.items()}


def _attribute(value: Any) -> Attribute:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, bytes):
        return {"B": value}
    return {"L": [_attribute(part) for part in value]}


def _value(attribute: Attribute) -> Any:
    ((kind, value),) = attribute.items()
    if kind == "N":
        number = float(value)
        return int(number) if number.is_integer() else number
    if kind == "L":
        return [_value(part) for part in value]
    return bytes(value) if kind == "B" else value


# --- keys ---------------------------------------------------------------------------------------------------


def delivery_id(hook: str, guid: str) -> str:
    """Return a delivery's id: the same request again has the same one, which is how a repeat is seen."""
    return short_digest(f"{hook}\n{guid}")


def delivery_key(delivery: str) -> Item:
    """Return the key of a delivery."""
    return _key(f"{DELIVERY}{delivery}", "delivery")


def body_key(delivery: str) -> Item:
    """Return the key of a delivery's body."""
    return _key(f"{DELIVERY}{delivery}", "body")


def run_partition(run_id: str) -> str:
    """Return the partition of a run as it was accepted: its attempts and their definitions."""
    return f"{RUN}{run_id}"


def attempt_key(run_id: str, attempt: int) -> Item:
    """Return the key of one attempt at a run."""
    return _key(run_partition(run_id), f"attempt#{attempt:06d}")


def record_partition(run_id: str) -> str:
    """Return the partition of what a run has recorded, which the receiver cannot write."""
    return f"{RECORD}{run_id}"


def record_prefix(attempt: int) -> str:
    """Return the prefix of the sort keys of one attempt: its definition, its seal, its operations."""
    return f"record#{attempt:06d}#"


def operation_prefix(attempt: int) -> str:
    """Return the prefix of the sort keys of an attempt's operations.

    In a run's own partition, where releases until November 2026 kept them, too.
    """
    return f"{record_prefix(attempt)}operation#"


def definition_key(run_id: str, attempt: int) -> Item:
    """Return the key of the definition of one attempt at a run."""
    return _key(run_partition(run_id), f"{record_prefix(attempt)}definition")


def operation_key(run_id: str, attempt: int, name: str) -> Item:
    """Return the key of an operation. A name too long for a sort key (1,024 bytes) is cut, and ends in its digest."""
    prefix = operation_prefix(attempt)
    sort = prefix + name
    if len(sort.encode("utf-8", "surrogatepass")) > 1_000:
        sort = f"{prefix}{name[:100]}#{hashlib.sha256(name.encode()).hexdigest()}"
    return _key(record_partition(run_id), sort)


def seal_key(run_id: str, attempt: int) -> Item:
    """Return the key of the seal of one attempt at a run."""
    return _key(record_partition(run_id), f"{record_prefix(attempt)}accepted")


def wake_up_key(run_id: str, attempt: int) -> Item:
    """Return the key of the item that says how to wake a run that waits for its turn."""
    return _key(record_partition(run_id), f"wake-up#{attempt:06d}")


def key_partition(key: str) -> str:
    """Return the partition of a concurrency key: its tickets and its holder."""
    return f"{KEY}{key}"


def ticket_key(key: str, accepted_at: float, execution: str) -> Item:
    """Return the key of a ticket: sorted by the time of acceptance, then by name."""
    return _key(key_partition(key), f"ticket#{listed_at(accepted_at, execution)}")


def holder_key(key: str) -> Item:
    """Return the key of the item that names the holder of a concurrency key."""
    return _key(key_partition(key), "holder")


PAUSE_KEY: Item = {"pk": {"S": SETTINGS}, "sk": {"S": "pause"}}
DEPLOYED_KEY: Item = {"pk": {"S": SETTINGS}, "sk": {"S": "config"}}
REMOVAL_KEY: Item = {"pk": {"S": SETTINGS}, "sk": {"S": "removal"}}
KNOWN = "definition#"
"""Prefix of the sort keys of the definitions that were deployed."""


def known_key(digest: str) -> Item:
    """Return the key of the item that says that a definition was deployed; `digest` is `stack.deployed.definition_digest`."""
    return _key(SETTINGS, f"{KNOWN}{digest}")


def _key(partition: str, sort: str) -> Item:
    return {"pk": {"S": partition}, "sk": {"S": sort}}


# --- items --------------------------------------------------------------------------------------------------


def object_name(delivery: str) -> str:
    """Return the name in the bucket of a body that is too large for the table."""
    return f"bodies/{delivery}"


def listed_at(at: float, name: str) -> str:
    """Return the `at` of a listed item: sorted by time, then by name."""
    return f"{round(at * 1000):015d}#{name}"


def delivery_item(delivery: NewDelivery, runs: Sequence[str], expires: int) -> Item:
    """Return the item of a delivery, without its body. `expires` is in seconds since the epoch."""
    name = delivery_id(delivery.hook, delivery.guid)
    return delivery_key(name) | to_item(
        {
            **_about(delivery._asdict()),
            "form": delivery.form,
            "size": len(delivery.body),
            "received_at": delivery.received_at,
            "runs": list(runs),
            "list": DELIVERIES,
            "at": listed_at(delivery.received_at, name),
            "expires": expires,
        }
    )


def body_item(delivery: NewDelivery, packed: bytes | None, expires: int) -> Item:
    """Return the item of a body: `packed` (zlib), or None when it is in the bucket."""
    name = delivery_id(delivery.hook, delivery.guid)
    stored = {"data": packed} if packed is not None else {"object": object_name(name)}
    return body_key(name) | to_item({**stored, "form": delivery.form, "expires": expires})


ABOUT = ("guid", "hook", "event", "action", "repository", "number", "origin", "closing")
"""What the row of an attempt says of its delivery."""


def _about(delivery: Mapping[str, Any]) -> dict[str, Any]:
    return {name: delivery.get(name) for name in ABOUT}


def run_items(
    run: NewRun,
    delivery: Mapping[str, Any],
    delivery_name: str,
    *,
    attempt: int = 1,
    accepted_at: float,
    expires: int | None,
    requested_by: str | None = None,
) -> list[Item]:
    """Return the first items of an attempt at a run: the queued attempt, its definition, and a ticket for its key.

    `delivery` holds the plain values of the delivery's item. `expires` is the definition's, in seconds since the epoch,
    after which nothing needs it; the attempt gets its own when the run has ended.
    """
    execution = execution_id(run.run_id, attempt)
    row = attempt_key(run.run_id, attempt) | to_item(
        {
            **_about(delivery),
            "execution": execution,
            "automation": run.automation,
            "key": run.key,
            "delivery": delivery_name,
            "queue_timeout": run.queue_timeout,
            "accepted_at": accepted_at,
            "requested_by": requested_by,
            "state": "queued",
            "turn": "own",
            "crashes": 0,
            "list": RUNS,
            "at": listed_at(accepted_at, execution),
        }
    )
    definition = to_item({"definition": run.definition, "expires": expires})
    items = [row, definition_key(run.run_id, attempt) | definition]
    if run.key is not None:
        items.append(ticket_item(run.key, accepted_at, execution))
    return items


def claim_item(run_id: str, owner: str, expires: int) -> Item:
    """Return the item that keeps a run from beginning, because the run `owner` learned its closing first."""
    return attempt_key(run_id, 1) | to_item({"owner": owner, "expires": expires})


def deployed_item(packed: bytes, digest: str, since: float) -> Item:
    """Return the item that says what is deployed, as the stack's chore writes it: see `stack.deployed`."""
    # Not `at`: that is a sort key of the index, where DynamoDB takes only text, listed or not.
    return DEPLOYED_KEY | to_item({"data": packed, "digest": digest, "since": since})


def known_item(digest: str, automation: str, seconds: float, expires: int | None = None) -> Item:
    """Return the item that says that a definition was deployed, as the stack's chore writes it.

    `seconds` is how long a run that uses it may still begin or go on once another one has taken its place; `expires`, in
    seconds since the epoch, is when that time is over, None as long as the definition is deployed.
    """
    about = {"automation": automation, "seconds": seconds, "expires": expires}
    return known_key(digest) | to_item(about)


def ticket_item(key: str, accepted_at: float, execution: str) -> Item:
    """Return a run's place in the queue of its concurrency key."""
    return ticket_key(key, accepted_at, execution) | to_item({"execution": execution})


def acceptance(
    delivery: NewDelivery, runs: Sequence[NewRun], known: Sequence[str], packed: bytes | None, expires: int
) -> list[Item]:
    """Return the items that accept a delivery, to be put in one transaction, each under the condition `NEW`.

    `runs` are to begin; `known` are run ids of the same event or closing that are there already.
    """
    name = delivery_id(delivery.hook, delivery.guid)
    listed = [*known, *(run.run_id for run in runs)]
    items = [delivery_item(delivery, listed, expires), body_item(delivery, packed, expires)]
    about = delivery._asdict()
    at = delivery.received_at
    outlived = expiry_after(at, expires)
    for run in runs:
        items += run_items(run, about, name, accepted_at=at, expires=outlived)
    return items


def expiry_after(accepted_at: float, expires: float) -> int:
    """Return when the items of a run may expire, by the time at which its delivery does.

    A run ends before its delivery expires, and its attempt is kept as long again; the rest must not expire sooner.
    """
    return int(2 * expires - accepted_at)


def marked_started(execution: str, arn: str | None, number: int = 0) -> Attribute:
    """Return the arguments of an update, without the table's name, that stores a start and the execution's ARN.

    `number` is the durable execution's. The update is refused once a later one continues the run.
    """
    values = {":yes": True, ":arn": arn or None, ":number": number or None}
    current = "continued = :number" if number else "attribute_not_exists(continued)"
    return {
        "Key": attempt_key(*parse_execution(execution)),
        "UpdateExpression": "SET started = :yes" + (", arn = :arn" if arn else ""),
        "ConditionExpression": f"attribute_exists(pk) AND {current}",
        "ExpressionAttributeValues": to_item(values),
    }


def execution_name(execution: str, number: int) -> str:
    """Return the name of an execution's durable execution, at most 64 characters.

    The first one has the execution's own name and the number 0; `number` counts those that continued it.
    """
    return f"{execution}_{number}" if number else execution


def durable_name(worker: str, name: str) -> str:
    """Return an execution's name in Lambda. It contains the stack: names are unique in an account and region.

    `worker` is the worker's alias: its ARN, or `name:alias`. Only the function's name counts, since both know it.
    """
    function = worker.rpartition(":")[0].rpartition(":")[2]
    return f"{short_digest(function)[:STACK_DIGITS]}-{name}"


def without_stack(name: str) -> str:
    """Return a durable execution's name as `execution_name` gave it. Names of earlier releases have no stack in them."""
    stack, _, rest = name.partition("-")
    return rest if len(stack) == STACK_DIGITS else name


def named_execution(name: str) -> str:
    """Return the execution that a durable execution of this name is for."""
    return without_stack(name).partition("_")[0]


def execution_place(arn: str) -> str:
    """Return what identifies a durable execution in its ARN, name and id, without the version of the function before it."""
    return arn.partition("/durable-execution/")[2]


def worker_event(execution: str, number: int = 0) -> bytes:
    """Return the payload with which a durable execution is started (see `execution_name`): the same bytes each time.

    Lambda starts a durable execution once by its name, and takes a second start as the same one only if the payload
    is the same: https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-idempotency.html
    """
    event = {"execution": execution, **({"number": number} if number else {})}
    return json.dumps(event, separators=(",", ":")).encode()
