"""The same receiver as most people would write it: boto3, two resources, no compiled rules."""

import base64
import hashlib
import hmac
import json
import os

import boto3

secrets = boto3.client("secretsmanager")
table = boto3.client("dynamodb")
functions = boto3.client("lambda")
known: dict[str, bytes] = {}


def handler(event, context):
    if "secret" not in known:
        found = secrets.get_secret_value(SecretId=os.environ["CLOSEOUT_WEBHOOK_SECRET"])
        known["secret"] = found["SecretString"].encode()
    body = event["body"]
    raw = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    headers = {name.lower(): value for name, value in event["headers"].items()}
    wanted = "sha256=" + hmac.new(known["secret"], raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, headers.get("x-hub-signature-256", "")):
        return {"statusCode": 401, "body": "Unauthorized request"}
    if headers["x-github-event"] == "ping":
        return {"statusCode": 200, "body": "{}"}
    json.loads(raw)
    guid = headers["x-github-delivery"]
    put = {"TableName": "ledger", "Item": {"pk": {"S": guid}, "sk": {"S": "delivery"}, "body": {"B": raw}}}
    table.transact_write_items(TransactItems=[{"Put": put}])
    functions.invoke(
        FunctionName=os.environ["CLOSEOUT_WORKER"],
        InvocationType="Event",
        Payload=json.dumps({"execution": guid}),
    )
    return {"statusCode": 202, "body": json.dumps({"delivery": guid})}
