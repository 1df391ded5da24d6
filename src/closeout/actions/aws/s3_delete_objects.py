"""`aws/s3-delete-objects`: delete all versions under a prefix, but only those in the plan.

A plan must stay small and a prefix may hold 100,000 versions. So the plan freezes a time and, for the newest
versions, one short digest each. `PlannedVersions` is that rule, and apply and verify use only it.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from closeout.actions.aws import arns, buckets, listing, tags
from closeout.actions.aws.buckets import S3Location, Version
from closeout.actions.spec import Action, Input, Inputs, Permission, Work
from closeout.core.errors import InputError, ServiceError
from closeout.core.plan import Change, Leftover
from closeout.core.retry import Backoff, Retry
from closeout.ports import Clients, Json

KNOWN = 5000
"""The number of newest versions that are frozen one by one: 14 bytes each, 70 KB of a plan's 200."""
DELIMITERS = ("/", "-", "_", ".", ":", "=", "|")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVersions:
    """The versions that existed when the plan was made.

    A version counts if it was modified before `since`, or if it is one of the `known`, which are all that the
    plan saw from `since` on. Up to `KNOWN` versions, `since` is empty and every version is known. Above that,
    a version that did not exist at the plan counts only if S3 dates it before `since`: a multipart upload
    that began before the plan and was completed after it. If more than `KNOWN` versions share the newest second,
    `since` is the second after it, and versions written in the rest of that second count, too.
    """

    since: str
    known: frozenset[str]

    def has(self, version: Version) -> bool:
        """Return whether this version existed at the plan."""
        return version.modified < self.since or _digest(version) in self.known

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object for `from_json`."""
        return {"since": self.since, "known": sorted(self.known)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PlannedVersions:
        """Read the object of `to_json`."""
        return cls(since=value["since"], known=frozenset(value["known"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingSummary:
    """The versions of a listing: how many, how many bytes, and which."""

    objects: int
    bytes: int
    frozen: PlannedVersions


def freeze(versions: Iterable[Version], known: int = KNOWN) -> ListingSummary:
    """Read a listing once, with at most `known` + 1 versions in memory, and freeze it."""
    newest: list[tuple[str, str]] = []
    objects = size = 0
    for version in versions:
        objects += 1
        size += version.size
        entry = (version.modified, _digest(version))
        if len(newest) <= known:
            heapq.heappush(newest, entry)
        else:
            heapq.heappushpop(newest, entry)
    since = ""
    if objects > known:
        # The oldest second in the heap may lack some of its versions, so only whole seconds after it are known.
        cut = newest[0][0]
        newest = [entry for entry in newest if entry[0] > cut]
        # `~` sorts after every digit and letter of a date.
        since = min(newest)[0] if newest else cut + "~"
    frozen = PlannedVersions(since=since, known=frozenset(digest for _, digest in newest))
    return ListingSummary(objects=objects, bytes=size, frozen=frozen)


def _digest(version: Version) -> str:
    """Return 64 bits that identify a version. The time distinguishes a key's successive `null` versions."""
    text = f"{version.key}\n{version.version_id}\n{version.modified}".encode()
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()[:8]).decode().rstrip("=")


def check(inputs: Inputs) -> Sequence[str]:
    """Return what is wrong with a prefix, at load: it must end in its delimiter, and contain other text."""
    prefix, delimiter = str(inputs.get("prefix") or ""), str(inputs.get("delimiter") or "/")
    if not prefix:
        return ("`prefix` is empty: that would be the whole bucket",)
    if not prefix.endswith(delimiter):
        return (f"`prefix` must end in {delimiter!r}, so that pr-1 cannot match pr-12",)
    if not prefix.strip("".join(DELIMITERS)):
        return ("`prefix` names nothing but delimiters",)
    return ()


def plan(inputs: Inputs, clients: Clients) -> Sequence[Change]:
    """List the versions under the prefix and freeze them; empty if there are none. Raises `InputError`, `ServiceError`."""
    wrong = check(inputs)
    if wrong:
        raise InputError("; ".join(wrong))
    location = S3Location(bucket=inputs["bucket"], owner=clients.account(), prefix=inputs["prefix"])
    seen = freeze(buckets.versions(clients.aws("s3"), location, missing_ok=False))
    if not seen.objects:
        return ()
    shown = f"s3://{location.bucket}/{location.prefix}"
    return (
        Change(
            verb="delete",
            resource=shown,
            reason=f"{seen.objects} versions and delete markers, {seen.bytes} bytes, as listed now",
            identity={
                "bucket": location.bucket,
                "owner": location.owner,
                "prefix": location.prefix,
                "frozen": seen.frozen.to_json(),
            },
            objects=seen.objects,
            bytes=seen.bytes,
            name=location.bucket,
        ),
    )


def apply(change: Change, _inputs: Inputs, work: Work) -> Json:
    """Delete in batches of 1,000, each listed, guarded and recorded. Raises `ActionFailed` with the keys that S3 refused."""
    location, frozen = _location(change.identity), PlannedVersions.from_json(change.identity["frozen"])
    deleted, size = buckets.delete_all(
        work,
        "delete",
        location,
        frozen.has,
        lambda done: f"{change.resource}: deleted {done['deleted']} versions, {done['bytes']} bytes",
    )
    summary = f"deleted {deleted} versions, {size} bytes, under {change.resource}"
    return {"summary": summary, "objects": deleted, "bytes": size}


def verify(changes: Sequence[Change], clients: Clients) -> Sequence[Leftover]:
    """Return a leftover if versions of the plan still exist; later ones do not count."""
    left: list[Leftover] = []
    for change in changes:
        frozen = PlannedVersions.from_json(change.identity["frozen"])
        try:
            there = buckets.versions(clients.aws("s3"), _location(change.identity))
            found = list(filter(frozen.has, there))
        except ServiceError as error:
            if error.transient:
                raise
            left.append(Leftover(resource=change.resource, reason=f"could not be verified: {error.message}"))
            continue
        if found:
            names = ", ".join(version.key for version in found[:3])
            left.append(Leftover(resource=change.resource, reason=f"{len(found)} versions are left: {names}"))
    return left


def _location(identity: Mapping[str, Any]) -> S3Location:
    return S3Location(bucket=identity["bucket"], owner=identity["owner"], prefix=identity["prefix"])


def permissions(inputs: Inputs) -> tuple[Permission, ...]:
    """Return what the caller needs: to list the bucket's versions, and to delete under the prefix."""
    bucket, prefix = arns.pattern(inputs, "bucket"), arns.pattern(inputs, "prefix")
    return (
        Permission(
            "aws", ("s3:ListBucketVersions",), (f"arn:aws:s3:::{bucket}",), "list what is under the prefix"
        ),
        Permission(
            "aws",
            ("s3:DeleteObject", "s3:DeleteObjectVersion"),
            (f"arn:aws:s3:::{bucket}/{prefix}*",),
            "delete what is under the prefix",
        ),
    )


def absent(inputs: Inputs) -> str:
    """Return the empty prefix."""
    return f"object under s3://{inputs['bucket']}/{inputs['prefix']}"


ACTION = Action(
    uses="aws/s3-delete-objects",
    summary="Delete everything under a prefix of a bucket, with all versions.",
    description="""\
The prefix must end in its delimiter, so that `previews/1/` cannot match `previews/12/`. A value that is filled in must
not contain the delimiter unless it is `/`: `fix-` would match `fix-2-` too. The plan lists the prefix once and counts
versions, delete markers and bytes; `max-objects` limits that count. closeout deletes only versions that the plan lists,
1,000 at a time, and makes the live check before each batch. What is written in the meantime stays.

The plan records up to 5,000 versions one by one. If there are more, it records the newest 5,000 and selects older ones
by their time; then a multipart upload that started before the plan and finished after it can be deleted too. If S3
refuses to delete a key, the step fails and names the key. Finally closeout lists the prefix again.""",
    inputs={
        "bucket": Input(
            type="string",
            description="The bucket's exact name. It must belong to the step's account.",
            required=True,
            names=True,
            pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
        ),
        "prefix": Input(
            type="string",
            description="What the keys begin with; it must end in the delimiter.",
            required=True,
            names=True,
            ended_by="delimiter",
        ),
        "delimiter": Input(
            type="string",
            description="What ends a name in your keys.",
            default="/",
            choices=DELIMITERS,
            templates=False,
        ),
    },
    destructive="always",
    permissions=permissions,
    plan_permissions=lambda inputs: permissions(inputs)[:1],
    plan=plan,
    absent=absent,
    read_tags=tags.of_bucket,
    tag_permissions=lambda inputs: tags.bucket_permissions(arns.pattern(inputs, "bucket")),
    inventory=listing.prefixes,
    inventory_permissions=listing.prefix_permissions,
    not_listed=listing.prefixes_not_listed,
    apply=apply,
    verify=verify,
    timeout=3600.0,
    retry=Retry(attempts=3, backoff=Backoff(first=1.0, factor=2.0, cap=60.0)),
    needs_aws=True,
    # A bucket's name is unique in all regions: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    regional=False,
    example="""\
- uses: aws/s3-delete-objects
  with:
    bucket: acme-previews
    prefix: shop/${{ event.pull_request.number }}/
""",
    check=check,
)
