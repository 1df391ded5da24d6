"""Publish one message to a topic of Amazon SNS, with the credentials of this machine, or of the function's role.

A topic's ARN is not secret, so the configuration contains it. The topic's subscriptions decide who gets the messages: mail,
chat (AWS Chatbot), a queue, a function.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from closeout.adapters.aws import translated
from closeout.adapters.boto import boto_client
from closeout.core.errors import NotifierFailed, NotifierUnknown, ServiceError
from closeout.core.runs import clip

ABSENT = "NotFound"
"""The code: https://docs.aws.amazon.com/sns/latest/api/API_GetTopicAttributes.html"""
MOST_OF_A_SUBJECT = 100
"""Characters of a subject, ASCII without control characters: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""


def publish(topic: str, title: str, body: str, client: Callable[[str], Any] | None = None) -> None:
    """Publish to the topic with this ARN. `client` returns SNS's client of a region. Raises `NotifierFailed`."""
    sns = (client or partial(boto_client, "sns"))(topic.split(":")[3])
    short = clip(title, MOST_OF_A_SUBJECT - 3).replace("…", "...")
    subject = "".join(letter if " " <= letter <= "~" else "?" for letter in short)
    try:
        with translated("sns", "publish", time.time):
            sns.publish(TopicArn=topic, Subject=subject, Message=f"{title}\n\n{body}")
    except ServiceError as error:
        raise NotifierFailed(f"sns: {error.reason}: {error.message}") from None


def check(topic: str, client: Callable[[str], Any] | None = None) -> None:
    """Raise `NotifierUnknown` if there is no such topic, and `ServiceError` if SNS does not say."""
    sns = (client or partial(boto_client, "sns"))(topic.split(":")[3])
    try:
        with translated("sns", "get_topic_attributes", time.time):
            sns.get_topic_attributes(TopicArn=topic)
    except ServiceError as error:
        if error.reason != ABSENT:
            raise
        raise NotifierUnknown("there is no such topic") from None
