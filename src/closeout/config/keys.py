"""The table of keys: every key that the file may hold, at which level, and what it means.

The checks refuse a key that is not in it, and the JSON Schema and the reference page are made from it, so all of them
know the same keys.
"""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """One key. `form` and `default` are for the reference page; `default` is empty where there is none."""

    level: str
    name: str
    form: str
    default: str
    meaning: str


KEYS: tuple[Key, ...] = (
    Key("file", "version", "`1`", "", "The version of this format. Required."),
    Key("file", "secrets", "map", "", "Where the secrets are stored, never their values."),
    Key("file", "public-url", "URL or `env:NAME`", "`http://HOST:PORT` of `serve`", "Base of the Details links."),
    Key("file", "github", "map", "", "The GitHub to talk to."),
    Key("file", "aws", "map", "", "The account that `aws/*` steps act in. Required with such a step."),
    Key("file", "modules", "list of module names", "none", "Python modules with `@on` functions, looked up in the folder of the file."),
    Key("file", "protect", "list of patterns, or map", "built-in entries only", "What no step may change or delete."),
    Key("file", "public-logs", "`true` or `false`", "`false`", "Whether statuses and run pages of public repositories show the output of scripts and functions, and the log."),
    Key("file", "patrol", "map", "on", "How often closeout looks for closings and deliveries that it missed."),
    Key("file", "notify", "map", "no messages", "Where closeout [reports problems](../how-to/get-told.md), and which."),
    Key("file", "automations", "map of name to automation", "none", "The automations."),
    Key("secrets", "webhook", "reference or list of references", "", "The webhook secret. closeout accepts each secret of a list, so that you can replace a secret without a gap."),
    Key("secrets", "github", "reference", "", "A token for GitHub's API: commit statuses, the live check, comments."),
    Key("github", "api-url", "URL or `env:NAME`", "`https://api.github.com`", "GitHub's API; `https://HOST/api/v3` for GitHub Enterprise Server."),
    Key("aws", "account", "twelve digits in quotes", "", "The only account that steps may act in; closeout compares the credentials with it before each change."),
    Key("aws", "region", "region name", "", "The region, like `eu-central-1`."),
    Key("aws", "assume-role", "role ARN", "none", "A role to assume first."),
    Key("protect", "names", "list of patterns", "none", "Names that no step may change or delete. `*` matches any text."),
    Key("protect", "tags", "map of tag to value pattern", "none", "closeout does not delete resources with such a tag, nor stacks that contain one. If it cannot read the tags, it rejects the plan. `*` matches any value."),
    Key("patrol", "deliveries", "duration or `off`", "`5m`", "How often patrol reads the delivery logs of the hooks that lead to this server."),
    Key("patrol", "state", "duration or `off`", "`60m`", "How often patrol reads the lists of closed pull requests; also at the start of `serve`."),
    Key("patrol", "drill", "duration or `off`", "`1d`", "How often `serve`, or patrol's function on AWS, makes the checks of `closeout drill`. The first drill is one interval after the first start."),
    Key("patrol", "limit", "integer or `off`", "10", "Runs that one patrol may start for orphans. Closings are not limited."),
    Key("notify", "on", "event or list of events", "all", "What messages are about: `failure` (a run failed), `orphans` (something was left behind), `stale` (closeout itself needs you), `recovered` (a problem of an earlier message is over)."),
    Key("notify", "to", "reference or topic, or a list", "", "References to the notifiers' URLs, such as `slack://…`, `mailtos://…` or `json://HOST:PORT/PATH`; or ARNs of SNS topics. Required."),
    Key("automation", "on", "event, list of events, or map of event to filters", "", "What starts it, as a workflow's `on` in GitHub Actions. Required. `pull_request` needs explicit `types`."),
    Key("automation", "bases", "`ever` or `at-close`", "`ever` if every destructive step itself deletes exactly what it names and no input contains the base, else `at-close`", "Whether `branches` must match any base that the closed pull request ever had, or its base when it was closed."),
    Key("automation", "repositories", "pattern or list of patterns", "any", "The repositories (`owner/name`) that it runs for. Required when a step is destructive; a pattern that matches any owner is then rejected."),
    Key("automation", "senders", "pattern or list of patterns", "any", "Logins whose events count."),
    Key("automation", "if", "CEL expression", "true", "A condition over `event`. If it is false, the run is skipped."),
    Key("automation", "status", "context or `false`", "`closeout/<automation>`", "The commit status's context; `false`: no status."),
    Key("automation", "concurrency", "template", "repository and number on pull request events, else none", "Runs with the same key run one at a time, in order. None is dropped."),
    Key("automation", "timeout", "duration", "`3h`", "Time for the whole run, from the moment it leaves the queue of its key."),
    Key("automation", "queue-timeout", "duration", "`24h`", "Time that a run may wait in the queue of its key."),
    Key("automation", "on-failure", "`continue` or `stop`", "`continue`", "Whether later steps run after a step failed. The run has one verdict."),
    Key("automation", "mode", "`apply` or `dry-run`", "`apply`", "A dry run shows its plan and changes nothing."),
    Key("automation", "grace", "duration", "none", "Wait before the first destructive step."),
    Key("automation", "max-changes", "integer", "50", "closeout rejects an entire plan that deletes more resources than this; scripts and comments do not count."),
    Key("automation", "max-objects", "integer", "100000", "closeout rejects an entire plan with more objects than this."),
    Key("automation", "unguarded", "`true` or `false`", "`false`", "Lets destructive steps run on events that have no live check."),
    Key("automation", "recheck", "duration, list of durations, or `off`", "`[15m, 1h, 1d]`", "When closeout looks for late deploys after the teardown of a closed pull request. At least `1m` each."),
    Key("automation", "environment", "template", "none", "The GitHub environment of what the steps delete, like `preview-${{ event.pull_request.number }}`. A run that deletes nothing fails if GitHub has an active deployment there, or gives no clear answer for about ten minutes."),
    Key("automation", "patrol", "`report`, `repair` or `off`", "`report`", "What [patrol](../explanation/patrol.md) does about [orphans](../how-to/find-orphans.md) of this automation: it reports them, starts runs up to the file's `patrol.limit`, or does not look."),
    Key("automation", "notify", "map", "the file's `notify`", "Where closeout reports problems of this automation, instead of the file's `notify`."),
    Key("automation", "steps", "list of steps", "", "What it does, in order. Required."),
    Key("step", "uses", "action", "", "The action, like `aws/cloudformation-delete-stack`. Required."),
    Key("step", "with", "map", "", "The action's inputs. An `aws/*` step may set `account`, `region` and `assume-role` here too."),
    Key("step", "id", "lower-case letters, digits, dashes", "the action's last word and the step's position, like `delete-stack-1`", "Names the step in runs and logs."),
    Key("step", "name", "text", "the action's summary", "The step's title for people."),
    Key("step", "if", "CEL expression", "true", "A condition over `event` and the earlier steps. If it is false, the step is skipped."),
    Key("step", "timeout", "duration", "the action's own", "Time limit of one operation of the step: a script, a build, the wait for a stack."),
    Key("step", "retry", "map", "the action's own", "How closeout retries calls after a transient error."),
    Key("step", "destructive", "`false`", "true, except for `github/comment`", "On `shell`, `python`, `http/request` and `github/dispatch-workflow`: the step deletes nothing."),
    Key("step", "allow-untrusted", "field or list of fields", "none", "Fields that outsiders control (`event.pull_request.head.ref`) and that the step may still use in a name or pass on. closeout then ignores pull requests from forks."),
    Key("step", "pass-env", "name or list of names", "none", "Environment variables that closeout otherwise hides from the script of a `shell` step."),
    Key("step", "expect", "`any` or `present`", "`any`", "`present`: the step fails if there is nothing to delete, unless an earlier attempt of the run deleted it. For actions that delete themselves."),
    Key("step", "recheck", "`true` or `false`", "`false`", "`true`: the step runs again when a recheck finds a late deploy. For a step that does not itself delete, in an automation with one that does."),
    Key("retry", "attempts", "integer", "3", "Number of calls."),
    Key("retry", "backoff", "duration", "`1s`", "Wait before the second call. It doubles for each further call, up to five minutes."),
    Key("trigger", "types", "list", "any", "The event's actions (`closed`)."),
    Key("trigger", "branches", "list of patterns", "any", "Branches: the base branch of a pull request, the pushed branch of a push."),
    Key("trigger", "branches-ignore", "list of patterns", "none", "Branches to ignore. Not together with `branches`."),
    Key("trigger", "tags", "list of patterns", "any", "Tags, for `push`, `create` and `delete`."),
    Key("trigger", "tags-ignore", "list of patterns", "none", "Tags to ignore. Not together with `tags`."),
    Key("trigger", "paths", "list of patterns", "any", "At least one changed file must match."),
    Key("trigger", "paths-ignore", "list of patterns", "none", "Ignores the event when all changed files match. Not together with `paths`."),
)  # fmt: skip


def names(level: str) -> tuple[str, ...]:
    """Return the names of the keys at `level`, in the order of the table."""
    return tuple(key.name for key in KEYS if key.level == level)


def meaning(level: str, name: str) -> str:
    """Return what a key means, for the JSON Schema's descriptions."""
    return next(key.meaning for key in KEYS if key.level == level and key.name == name)
