"""IAM's policy simulation, which moto does not have: everything is allowed but the actions in `denied`.

It evaluates no policy, so it shows how a client reads the answer and not what IAM would say
(docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html).
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from closeout.testing.aws.calls import Answer, Call


class Simulation:
    """The answers of `SimulatePrincipalPolicy`."""

    def __init__(self) -> None:
        self.denied: set[str] = set()

    def answer(self, call: Call) -> Answer | None:
        """Answer a simulation; None for any other call."""
        if (call.service, call.operation) != ("iam", "SimulatePrincipalPolicy"):
            return None
        results = [
            self._result(action, resource)
            for action in _members(call, "ActionNames")
            for resource in _members(call, "ResourceArns") or ["*"]
        ]
        inner = f"<IsTruncated>false</IsTruncated><EvaluationResults>{''.join(results)}</EvaluationResults>"
        result = f"<SimulatePrincipalPolicyResult>{inner}</SimulatePrincipalPolicyResult>"
        body = f"<SimulatePrincipalPolicyResponse>{result}</SimulatePrincipalPolicyResponse>"
        return 200, {"Content-Type": "text/xml"}, body.encode()

    def _result(self, action: str, resource: str) -> str:
        decision = "implicitDeny" if action in self.denied else "allowed"
        named = f"<EvalActionName>{escape(action)}</EvalActionName>"
        where = f"<EvalResourceName>{escape(resource)}</EvalResourceName>"
        return f"<member>{named}{where}<EvalDecision>{decision}</EvalDecision></member>"


def _members(call: Call, name: str) -> list[str]:
    beginning = f"{name}.member."
    return [value for key, value in call.params.items() if key.startswith(beginning)]
