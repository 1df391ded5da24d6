"""`aws/codebuild-start-build`: run a CodeBuild project for this event, wait for it, and stop it on cancel.

CodeBuild forgets an idempotency token after five minutes, and an outage may last longer. So each build has the
execution in an environment variable, and a start first looks for a build with that variable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closeout.actions.aws import arns
from closeout.actions.spec import Action, Input, Inputs, Permission, Work, nothing_left
from closeout.core.errors import ActionFailed, RunCancelled, ServiceError, WaitTimeout
from closeout.core.plan import Change
from closeout.core.retry import Backoff, Retry
from closeout.ports import Clients, Json

TRACE = "CLOSEOUT_EXECUTION"
"""The environment variable that identifies a build: `<run id>-<attempt>/<step>`."""
LOOK_BACK = 100
"""Builds of a project that are searched for the trace: one page, the newest first."""
POLL = Backoff(first=2.0, factor=1.5, cap=30.0)


def plan(inputs: Inputs, clients: Clients) -> Sequence[Change]:
    """Freeze the project's ARN. A missing project is an error, because nothing was cleaned up."""
    client = clients.aws("codebuild")
    projects = client.batch_get_projects(names=[inputs["project"]])["projects"]
    if not projects:
        raise ActionFailed(f"CodeBuild has no project {inputs['project']} in this account and region")
    project = projects[0]
    version = inputs.get("source-version") or project.get("sourceVersion") or "its default source"
    return (
        Change(
            verb="start",
            resource=f"build of CodeBuild project {project['name']}",
            reason=f"at {version}" + ("" if inputs["wait"] else ", without waiting for its end"),
            identity={"project": project["name"], "arn": project["arn"]},
            name=project["name"],
            tags={tag["key"]: tag["value"] for tag in project.get("tags") or ()},
        ),
    )


def apply(change: Change, inputs: Inputs, work: Work) -> Json:
    """Start the build and wait for its end. Raises `ActionFailed` with the phase that failed and its reason."""
    client = work.clients.aws("codebuild")
    project = change.identity["project"]
    started = work.change("start", lambda: _start(client, project, inputs, work))
    if not inputs["wait"]:
        return {"summary": f"started build {started['id']}", **started}
    try:
        end = work.wait_until("finish", lambda: _look(client, started["id"], work), POLL)
    except RunCancelled:
        # Not through `change`, whose live check would refuse; stopping only undoes what this step began.
        work.record("stop", lambda: _stop(client, started["id"], work), work.retry)
        raise
    except WaitTimeout as error:
        unended = f"build {started['id']} had not ended when the time was up, and continues"
        raise ActionFailed(f"{unended} ({error.message}; log: {started['link']})", public=unended) from None
    if end["status"] != "SUCCEEDED":
        ended = f"build {started['id']} ended as {end['status']}"
        ended += f" in phase {end['phase']}" if end["phase"] else ""
        # The phase's message quotes the build's commands, which are not public.
        said = f": {end['reason']}" if end["reason"] else ""
        said += f" (log: {end['link']})" if end["link"] else ""
        raise ActionFailed(ended + said, public=ended)
    return {"summary": f"build {started['id']} succeeded", "id": started["id"], "link": end["link"]}


def _start(client: Any, project: str, inputs: Inputs, work: Work) -> Json:
    trace = f"{work.execution}/{work.step}"
    build = _traced(client, project, trace)
    if build is None:
        environment = {**(inputs.get("environment") or {}), TRACE: trace}
        source = {"sourceVersion": inputs["source-version"]} if inputs.get("source-version") else {}
        build = client.start_build(
            projectName=project,
            environmentVariablesOverride=[
                {"name": name, "value": str(value), "type": "PLAINTEXT"}
                for name, value in environment.items()
            ],
            idempotencyToken=f"{work.execution}-{work.step}"[:64],
            **source,
        )["build"]
    link = _link(build)
    work.log(f"build {build['id']} of project {project}" + (f": {link}" if link else ""))
    return {"id": build["id"], "link": link}


def _traced(client: Any, project: str, trace: str) -> Mapping[str, Any] | None:
    """Return the build that an earlier try of this step started, if there is one."""
    ids = client.list_builds_for_project(projectName=project, sortOrder="DESCENDING")["ids"][:LOOK_BACK]
    builds: Sequence[Mapping[str, Any]] = client.batch_get_builds(ids=ids)["builds"] if ids else []
    for build in builds:
        variables = build.get("environment", {}).get("environmentVariables") or ()
        if any(variable["name"] == TRACE and variable["value"] == trace for variable in variables):
            return build
    return None


def _look(client: Any, build_id: str, work: Work) -> Json | None:
    """Return how a build ended; None while it runs."""
    builds = client.batch_get_builds(ids=[build_id])["builds"]
    if not builds:
        raise ActionFailed(f"build {build_id} is gone: CodeBuild no longer knows it")
    build = builds[0]
    phase = str(build.get("currentPhase", ""))
    work.log_once(f"{build_id} {phase}", f"build {build_id}: {phase}")
    if build["buildStatus"] == "IN_PROGRESS":
        return None
    return {"status": build["buildStatus"], "link": _link(build), **_failed_phase(build)}


def _failed_phase(build: Mapping[str, Any]) -> dict[str, str]:
    """Return the first phase that did not succeed, and its message."""
    for phase in build.get("phases", ()):
        if phase.get("phaseStatus") not in (None, "SUCCEEDED", "QUEUED"):
            said = [item.get("message") or item.get("statusCode") or "" for item in phase.get("contexts", ())]
            return {"phase": phase["phaseType"], "reason": "; ".join(filter(None, said))[:1000]}
    return {"phase": "", "reason": ""}


def _link(build: Mapping[str, Any]) -> str:
    return str((build.get("logs") or {}).get("deepLink") or "")


def _stop(client: Any, build_id: str, work: Work) -> Json:
    try:
        client.stop_build(id=build_id)
    except ServiceError as error:
        if error.transient:
            raise
        work.log(f"build {build_id} could not be stopped: {error.message}")
        return {"stopped": False}
    work.log(f"stopped build {build_id}, since the run was cancelled")
    return {"stopped": True}


def permissions(inputs: Inputs) -> tuple[Permission, ...]:
    """Return what the caller needs on this one project."""
    calls = ("BatchGetProjects", "ListBuildsForProject", "BatchGetBuilds", "StartBuild", "StopBuild")
    project = f"arn:aws:codebuild:*:*:project/{arns.pattern(inputs, 'project')}"
    reason = "start a build, follow it, and stop it when the run is cancelled"
    return (Permission("aws", tuple(f"codebuild:{call}" for call in calls), (project,), reason),)


ACTION = Action(
    uses="aws/codebuild-start-build",
    summary="Run a CodeBuild project and wait until it ends.",
    description=f"""\
Starts one build of the project, logs the link to its log, and waits until it ends. If the build does not succeed, the
step fails with the phase that failed and its reason. If the run is cancelled, closeout stops the build.

The build starts only once: the request has an idempotency token made from the run's id, and the variable `{TRACE}` lets
a restarted server find the build again. A build may delete anything, so the step counts as destructive and has a live
check. Values in `environment` are plain text and visible in CodeBuild: keep secrets in the project's own
definition.""",
    inputs={
        "project": Input(
            type="string",
            description="The project's exact name.",
            required=True,
            names=True,
            pattern=r"[A-Za-z0-9][A-Za-z0-9_-]{1,254}",
        ),
        "environment": Input(type="map", description="Environment variables of the build, plain text."),
        "source-version": Input(
            type="string",
            description="A commit, branch, tag or `pr/NUMBER`: whose code runs. Default: the project's own.",
            names=True,
        ),
        "wait": Input(
            type="boolean", description="Wait for the end of the build; `false` only starts it.", default=True
        ),
    },
    destructive="always",
    permissions=permissions,
    plan=plan,
    apply=apply,
    verify=nothing_left,
    timeout=3 * 3600.0,
    retry=Retry(attempts=3, backoff=Backoff(first=2.0, factor=2.0, cap=60.0)),
    needs_aws=True,
    example="""\
- uses: aws/codebuild-start-build
  with:
    project: preview-teardown
    environment:
      PULL_REQUEST: ${{ event.pull_request.number }}
""",
)
