"""The same receiver with Powertools for AWS Lambda, as its documentation has each part: router, logger, parameters."""

import hashlib
import hmac
import json
import os

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import UnauthorizedError
from aws_lambda_powertools.utilities import parameters

logger = Logger(service="receiver")
app = APIGatewayRestResolver()
table = boto3.client("dynamodb")
functions = boto3.client("lambda")


@app.post("/webhook")
def receive():
    event = app.current_event
    raw = event.decoded_body.encode()
    secret = parameters.get_secret(os.environ["CLOSEOUT_WEBHOOK_SECRET"], max_age=300)
    wanted = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, event.headers.get("x-hub-signature-256", "")):
        raise UnauthorizedError("Unauthorized request")
    if event.headers["x-github-event"] == "ping":
        return {}
    json.loads(raw)
    guid = event.headers["x-github-delivery"]
    put = {"TableName": "ledger", "Item": {"pk": {"S": guid}, "sk": {"S": "delivery"}, "body": {"B": raw}}}
    table.transact_write_items(TransactItems=[{"Put": put}])
    functions.invoke(
        FunctionName=os.environ["CLOSEOUT_WORKER"],
        InvocationType="Event",
        Payload=json.dumps({"execution": guid}),
    )
    logger.info("accepted", extra={"guid": guid})
    return Response(202, content_types.APPLICATION_JSON, json.dumps({"delivery": guid}))


@logger.inject_lambda_context
def handler(event, context):
    return app.resolve(event, context)
