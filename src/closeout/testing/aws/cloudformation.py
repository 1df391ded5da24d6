"""moto's CloudFormation answers with our rules in them, and with pages where AWS pages.

It binds `rules` to moto: the rules know stacks, this module knows moto's request and response objects.
"""

from __future__ import annotations

from typing import Any, ClassVar

from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult

from closeout.testing.aws.rules import StackRules, physical_id

PAGE = 100
"""ListStackResources and DescribeStackEvents return at most about this many at once."""


class RuledCloudFormation(CloudFormationResponse):
    """moto's responses, with the rules applied first."""

    rules: ClassVar[StackRules]

    def create_stack(self) -> Any:
        """CreateStack, plus what moto leaves out."""
        answer = super().create_stack()
        backend = self.cloudformation_backend
        with self.rules.lock:
            self.rules.created(backend, backend.get_stack(self._get_param("StackName")))
        return answer

    def delete_stack(self) -> Any:
        """DeleteStack by the rules."""
        self.rules.request_delete(
            self.cloudformation_backend, self._get_param("StackName"), self._get_param("ClientRequestToken")
        )
        return EmptyResult()

    def update_termination_protection(self) -> Any:
        """UpdateTerminationProtection: not in moto."""
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        stack.enable_termination_protection = (
            str(self._get_param("EnableTerminationProtection")).lower() == "true"
        )
        return ActionResult({"StackId": stack.stack_id})

    def list_stack_resources(self) -> Any:
        """ListStackResources with each resource's own status, in pages."""
        name = self._get_param("StackName")
        stack = self.cloudformation_backend.get_stack(name)
        if stack.status == "DELETE_COMPLETE" and name != stack.stack_id:
            raise ValidationError(name)
        page, token = self._page(self._rows(stack))
        return ActionResult({"StackResourceSummaries": page, "NextToken": token})

    def _rows(self, stack: Any) -> list[dict[str, Any]]:
        statuses = self.rules.resource_status.get(stack.stack_id, {})
        return [
            {
                "LogicalResourceId": logical_id,
                "PhysicalResourceId": physical_id(resource),
                "ResourceType": stack.resource_map._resource_json_map[logical_id]["Type"],
                "ResourceStatus": statuses.get(logical_id, "CREATE_COMPLETE"),
                "LastUpdatedTimestamp": stack.creation_time,
            }
            for logical_id in stack.resource_map._resource_json_map
            if (resource := stack.resource_map._parsed_resources.get(logical_id)) is not None
        ]

    def describe_stack_resources(self) -> Any:
        """DescribeStackResources, also by PhysicalResourceId (not in moto): it finds the live stack with that resource."""
        physical = self._get_param("PhysicalResourceId")
        if not physical:
            return super().describe_stack_resources()
        for stack in self.cloudformation_backend.stacks.values():
            rows = [row for row in self._rows(stack) if row["ResourceStatus"] != "DELETE_COMPLETE"]
            if any(row["PhysicalResourceId"] == physical for row in rows):
                own = {"StackId": stack.stack_id, "StackName": stack.name, "Timestamp": stack.creation_time}
                return ActionResult({"StackResources": [row | own for row in rows]})
        raise ValidationError(message=f"Stack for {physical} does not exist")

    def describe_stack_events(self) -> Any:
        """DescribeStackEvents: what can be read so far, the newest first, in pages."""
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        page, token = self._page(self.rules.shown_events(stack)[::-1])
        return ActionResult({"StackEvents": page, "NextToken": token})

    def _page(self, rows: list[Any]) -> tuple[list[Any], str | None]:
        start = int(self._get_param("NextToken") or 0)
        more = len(rows) > start + PAGE
        return rows[start : start + PAGE], str(start + PAGE) if more else None
