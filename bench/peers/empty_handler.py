"""A handler that does nothing: what awslambdaric and Python cost by themselves."""


def handler(event, context):
    return {"statusCode": 200, "body": ""}
