"""List the resources in an account that may have names of steps: stacks, and prefixes of a bucket.

Separate from the actions that delete them, so that it is obvious that nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from closeout.actions.aws import arns, buckets
from closeout.actions.aws.stacks import pages
from closeout.actions.spec import Existing, Inputs, Permission
from closeout.core.inverse import NamePatterns
from closeout.ports import Clients

STATES = (
    *(f"CREATE_{end}" for end in ("COMPLETE", "FAILED", "IN_PROGRESS")),
    *(f"DELETE_{end}" for end in ("FAILED", "IN_PROGRESS")),
    *(f"IMPORT_{end}" for end in ("COMPLETE", "IN_PROGRESS")),
    *(f"IMPORT_ROLLBACK_{end}" for end in ("COMPLETE", "FAILED", "IN_PROGRESS")),
    "REVIEW_IN_PROGRESS",
    *(f"ROLLBACK_{end}" for end in ("COMPLETE", "FAILED", "IN_PROGRESS")),
    *(f"UPDATE_{end}" for end in ("COMPLETE", "COMPLETE_CLEANUP_IN_PROGRESS", "FAILED", "IN_PROGRESS")),
    *(f"UPDATE_ROLLBACK_{end}" for end in ("COMPLETE", "COMPLETE_CLEANUP_IN_PROGRESS", "FAILED")),
    "UPDATE_ROLLBACK_IN_PROGRESS",
)
"""Every state except DELETE_COMPLETE, because CloudFormation lists deleted stacks for 90 days.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStacks.html
"""


def stacks(_names: Sequence[NamePatterns], clients: Clients) -> Iterator[Existing]:
    """Yield every stack of the account and region, except nested ones, which are deleted through their parent."""
    call = clients.aws("cloudformation").list_stacks
    for row in pages(call, "StackSummaries", StackStatusFilter=list(STATES)):
        if not row.get("ParentId"):
            yield _stack(row)


def _stack(row: Mapping[str, Any]) -> Existing:
    name, updated = row["StackName"], row.get("LastUpdatedTime")
    return Existing(
        resource=name,
        inputs={"stack-name": name},
        created=row["CreationTime"].timestamp(),
        changed=updated.timestamp() if updated else None,
        busy="it is being deleted" if row["StackStatus"] == "DELETE_IN_PROGRESS" else "",
    )


def stack_permissions(_inputs: Inputs) -> tuple[Permission, ...]:
    """Return the right to list stacks, which AWS grants only for all of them."""
    return (Permission("aws", ("cloudformation:ListStacks",), ("*",), "list the stacks that exist"),)


def prefixes_not_listed(naming: NamePatterns) -> str | None:
    """Return why prefixes of this form are not listed; None for a fixed text, the number, and the delimiter."""
    prefix = naming.patterns["prefix"]
    if naming.patterns["bucket"].fixed is None:
        return "`bucket` contains the pull request's number, and prefixes are listed in one bucket"
    if prefix.fixed is not None or len(prefix.texts) != 2 or len(prefix.texts[1]) != 1:
        return "`prefix` must end with the number and the delimiter"
    return None


def prefixes(names: Sequence[NamePatterns], clients: Clients) -> Iterator[Existing]:
    """Yield the prefixes with these names, with the times of the oldest and the newest version under each.

    Everything under the fixed text is listed once, because one call for each prefix would take longer.
    """
    account = clients.account()
    for naming in names:
        bucket, (lead, delimiter) = naming.patterns["bucket"].fixed, naming.patterns["prefix"].texts
        assert bucket is not None
        location = buckets.S3Location(bucket=bucket, owner=account, prefix=lead)
        times: dict[str, tuple[str, str]] = {}
        for version in buckets.versions(clients.aws("s3"), location, missing_ok=False):
            prefix = lead + version.key.removeprefix(lead).partition(delimiter)[0] + delimiter
            if naming.patterns["prefix"].gives(prefix) and version.key.startswith(prefix):
                oldest, newest = times.get(prefix, (version.modified, version.modified))
                times[prefix] = min(oldest, version.modified), max(newest, version.modified)
        for prefix, (oldest, newest) in times.items():
            yield Existing(
                resource=f"s3://{bucket}/{prefix}",
                inputs={"bucket": bucket, "prefix": prefix},
                created=datetime.fromisoformat(oldest).timestamp(),
                changed=datetime.fromisoformat(newest).timestamp(),
            )


def prefix_permissions(inputs: Inputs) -> tuple[Permission, ...]:
    """Return the right to list one bucket's versions."""
    bucket = f"arn:aws:s3:::{arns.pattern(inputs, 'bucket')}"
    return (Permission("aws", ("s3:ListBucketVersions",), (bucket,), "list the prefixes that exist"),)
