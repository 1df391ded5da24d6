"""The storage of deliveries and runs: one table, and a bucket for bodies that are too large for it."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from closeout.stack import table as layout
from closeout_cdk.accept import accept
from closeout_cdk.parameters import Parameters

BODIES = "bodies/"
"""The prefix of bodies in the bucket: `stack.table.object_name`."""


class Ledger(Construct):
    """The table and the bucket."""

    def __init__(self, scope: Construct, name: str, given: Parameters) -> None:
        super().__init__(scope, name)
        keep = "ledger" in given.keep
        removal = RemovalPolicy.RETAIN if keep else RemovalPolicy.DESTROY
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="expires",
            deletion_protection=keep,
            removal_policy=removal,
        )
        self.table.add_global_secondary_index(
            index_name=layout.LISTING,
            partition_key=dynamodb.Attribute(name="list", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="at", type=dynamodb.AttributeType.STRING),
            projection_type=dynamodb.ProjectionType.ALL,
        )
        self.bucket = s3.Bucket(
            self,
            "Bodies",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=Duration.days(given.retention_days),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
            removal_policy=removal,
        )
        accept(
            self.bucket,
            {
                "S1": "two roles of this stack reach it, for bodies that are in the ledger as deliveries; access is in CloudTrail"
            },
        )
