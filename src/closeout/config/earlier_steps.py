"""Check, when the file is loaded, what the expressions of a step ask of the steps before it.

In a run, a question that nobody can answer would fail the step, after others have deleted something.
"""

from __future__ import annotations

from collections.abc import Mapping

from closeout.actions.spec import Action
from closeout.config.findings import near
from closeout.config.values import At
from closeout.core.reactions import asked


def check(at: At, expression: str, earlier: Mapping[str, Action]) -> bool:
    """Report what an expression that compiles asks in vain; return whether there is nothing. `earlier` are the steps before, by id."""
    for step, field in asked(expression):
        if not step:
            what = "steps['ID'].outcome or steps['ID'].outputs.NAME" if field == "steps" else "run.url"
            at.error("bad-expression", f"`{expression}`: `{field}` has only {what}", f"write {what}")
        elif step not in earlier:
            close = near(step, earlier)
            known = f"the steps before it are {', '.join(earlier)}" if earlier else "no step is before it"
            fix = f"did you mean `{close}`?" if close else f"give the earlier step the id: {known}"
            at.error("unknown-step", f"`{expression}`: no step before this one has the id `{step}`", fix)
        elif field not in ("outcome", "outputs"):
            fix = f"write steps['{step}'].outcome"
            at.error("bad-expression", f"`{expression}`: a step has no `{field}`", fix)
        elif field == "outputs" and not earlier[step].own_code:
            fix = f"ask for steps['{step}'].outcome; only `shell` and `python` give outputs"
            at.error("bad-expression", f"`{expression}`: `{earlier[step].uses}` gives no outputs", fix)
        else:
            continue
        return False
    return True
