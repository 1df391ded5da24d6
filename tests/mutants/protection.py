"""Sabotages of protected resources and runs whose automation is gone."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

RUN = "tests/unit/run/test_run.py"
FOUND = "tests/unit/run/test_found.py"
RECHECKS = "tests/unit/wiring/test_rechecks.py"
TOKENS = "tests/unit/adapters/test_oidc.py"
GUARD = "tests/unit/run/test_guard.py"
BASES = "tests/unit/run/test_bases.py"
GONE = "tests/unit/run/test_automation_gone.py"
TAGS = "tests/unit/run/test_protected_tags.py"
READS = "tests/unit/actions/aws/test_tags_moto.py"
COPIES = "tests/unit/run/test_own_copies.py"
STACK = "tests/unit/actions/aws/test_delete_stack_moto.py::TestInterruptions"
EVENTS = "tests/unit/actions/aws/test_stacks.py::TestEndOfADelete"
RIGHTS = "tests/unit/config/test_permissions.py"
SCRIPTS = "tests/unit/actions/general/test_process.py"
NONSENSE = "tests/unit/actions/aws/test_nonsense_answers.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a recheck does not ask whether the pull request is closed",
        "src/closeout/run/recheck.py",
        "    livecheck.check(subject, deps.github)\n",
        "",
        (f"{RECHECKS}::test_a_pull_request_that_is_open_again_voids_the_recheck",),
    ),
    Mutant(
        "a recheck does not ask for other pull requests of the branch",
        "src/closeout/run/recheck.py",
        "                livecheck.check(subject, deps.github, branch)",
        "                pass",
        (f"{RECHECKS}::test_the_preview_of_a_branch_that_another_pull_request_has_is_left_alone",),
    ),
    Mutant(
        "scripts run again after a recheck",
        "src/closeout/run/recheck.py",
        "    return replace(automation, steps=typed(automation, actions), grace=0.0, late=True)",
        "    return replace(automation, grace=0.0, late=True)",
        (f"{RECHECKS}::test_scripts_and_comments_do_not_run_again",),
    ),
    Mutant(
        "a recheck that could not be made is forgotten",
        "src/closeout/wiring/rechecks.py",
        "                    heapq.heappush(self._due, later)",
        "                    pass",
        (f"{RECHECKS}::test_what_github_or_aws_does_not_say_is_asked_again",),
    ),
    Mutant(
        "a find that no attempt may delete starts attempts for ever",
        "src/closeout/wiring/rechecks.py",
        "not has_deleted(finished.operations):",
        "has_deleted(finished.operations):",
        (f"{RECHECKS}::test_a_further_attempt_that_deleted_nothing_leads_to_no_other",),
    ),
    Mutant(
        "two runs are started for one find",
        "src/closeout/wiring/rechecks.py",
        "        if run.attempt != teardown.attempt or self._reader.superseded(run.id, run.attempt):",
        "        if run.attempt != teardown.attempt:",
        (f"{RECHECKS}::test_a_later_closing_and_a_later_attempt_have_rechecks_of_their_own",),
    ),
    Mutant(
        "a recheck deletes what a dry run only planned",
        "src/closeout/ledger/sqlite/views.sql",
        "json_extract(o.result, '$.dry_run') ELSE 1 END)",
        "0 ELSE 1 END)",
        (f"{RECHECKS}::test_what_a_dry_run_only_planned_is_not_deleted_when_the_automation_applies",),
    ),
    Mutant(
        "a recheck is planned after a dry run",
        "src/closeout/wiring/rechecks.py",
        "        if rehearsed(finished.operations):",
        "        if not finished.operations:",
        (f"{RECHECKS}::test_what_a_dry_run_only_planned_is_not_deleted_when_the_automation_applies",),
    ),
    Mutant(
        "a token for another service counts",
        "src/closeout/adapters/oidc.py",
        "                audience=self._audience(),\n",
        '                audience=jwt.decode(token, options={"verify_signature": False})["aud"],\n',
        (f"{TOKENS}::test_every_other_token_is_refused",),
    ),
    Mutant(
        "a token without a signature counts",
        "src/closeout/adapters/oidc.py",
        'options={"require": list(CLAIMS)},',
        'options={"require": list(CLAIMS), "verify_signature": False},',
        (f"{TOKENS}::test_every_other_token_is_refused",),
    ),
    Mutant(
        "a made-up key costs a call each time",
        "src/closeout/adapters/oidc.py",
        "if age > FRESH or (name not in self._keys and age > SOONEST):",
        "if age > FRESH or name not in self._keys:",
        (f"{TOKENS}::test_a_key_that_github_added_is_read_but_not_for_every_made_up_name",),
    ),
    Mutant(
        "strangers may ask",
        "src/closeout/wiring/guard.py",
        "        if not self._covers(repository):",
        "        if False:",
        ("tests/acceptance/test_cli_guard.py::test_a_workflow_asks_the_server_with_its_token",),
    ),
    Mutant(
        "a repository that took over a name may ask",
        "src/closeout/run/guard.py",
        "        if repository_id not in (None, pull.base_repository_id):",
        "        if False:",
        (f"{GUARD}::test_another_repository_of_the_same_name_is_unknown",),
    ),
    Mutant(
        "a guard without a ledger lets deploys begin",
        "src/closeout/run/guard.py",
        "    except CloseoutError as error:",
        '    except CloseoutError as error:\n        return Answer("open", name)',
        (f"{GUARD}::test_a_ledger_that_cannot_be_read_is_unknown",),
    ),
    Mutant(
        "a teardown on its way does not stop a deploy",
        "src/closeout/run/guard.py",
        "    if running:",
        "    if False:",
        (f"{GUARD}::test_a_teardown_on_its_way_is_a_no_by_either_name_of_the_repository",),
    ),
    Mutant(
        "a state that GitHub never had is open",
        "src/closeout/run/guard.py",
        '        if pull.state != "open":',
        "        if False:",
        (f"{GUARD}::test_what_github_does_not_say_for_certain_is_unknown",),
    ),
    Mutant(
        "a timeline with an error in it counts as whole",
        "src/closeout/run/bases.py",
        "    if errors:\n",
        "    if False:\n",
        (f"{BASES}::test_an_unreadable_answer_is_never_no_other_base",),
    ),
    Mutant(
        "the first page of a timeline counts as all of it",
        "src/closeout/run/bases.py",
        "        if more is False:",
        "        if True:",
        (f"{BASES}::test_every_base_of_the_timeline_is_read",),
    ),
    Mutant(
        "an unknown base ends the run at once",
        "src/closeout/run/matching.py",
        "        error.transient = True\n",
        "",
        (f"{BASES}::test_while_github_does_not_answer_the_run_waits_and_nothing_is_deleted",),
    ),
    Mutant(
        "every base counts for scripts too",
        "src/closeout/config/bases.py",
        "        if actions[step.uses].absent is None:",
        "        if False:",
        ("tests/unit/config/test_bases.py::test_every_base_counts_where_a_wrong_match_cannot_harm",),
    ),
    Mutant(
        "every base counts although names contain the base",
        "src/closeout/config/bases.py",
        "        if any(_BASE.search(expression) for expression in _expressions(step)):",
        "        if False:",
        ("tests/unit/config/test_bases.py::test_every_base_counts_where_a_wrong_match_cannot_harm",),
    ),
    Mutant(
        "an event that is no closing is a candidate",
        "src/closeout/core/triggers.py",
        'facts.action != "closed" or facts.base_ref is None',
        "facts.base_ref is None",
        (
            "tests/unit/intake/test_receiver.py::test_a_closing_that_only_its_base_kept_from_matching_is_a_candidate",
        ),
    ),
    Mutant(
        "a step that expects something is content with nothing",
        "src/closeout/run/found.py",
        '    if step.expect != "present":',
        '    if step.expect != "absent":',
        (f"{FOUND}::test_a_step_that_expects_something_fails_when_nothing_is_there",),
    ),
    Mutant(
        "an unreadable list of deployments counts as an empty one",
        "src/closeout/run/deployments.py",
        '        raise _unusable(path, "the answer is not a list")',
        "        return []",
        (f"{FOUND}::test_an_unreadable_answer_is_neither_no_deployment_nor_one",),
    ),
    Mutant(
        "an active deployment is no reason to fail",
        "src/closeout/run/found.py",
        "        if error.kind == NothingThere.code:",
        "        if error.kind == NothingThere.code:\n            return None\n        if False:",
        (f"{FOUND}::test_nothing_deleted_and_an_active_deployment_is_a_failure",),
    ),
    Mutant(
        "a script that ran beside it found nothing either",
        "src/closeout/run/found.py",
        "    if not absent or len(absent) < len(ran):",
        "    if not absent:",
        (f"{FOUND}::test_a_script_beside_it_may_have_deleted_something",),
    ),
    Mutant(
        "a call that was stopped counts as a deletion",
        "src/closeout/ledger/steps.py",
        'return planned and any(one.kind == "wait" and one.state == "ok" for one in operations)',
        'return planned and any(one.kind == "wait" for one in operations)',
        ("tests/unit/ledger/sqlite/test_views.py::test_an_earlier_attempt_that_deleted_is_found",),
    ),
    Mutant(
        "one event with a live check is enough for a trigger",
        "src/closeout/livecheck.py",
        "    return found.pop() if len(found) == 1 else None",
        "    return next((one for one in found if one is not None), None)",
        (
            "tests/unit/test_livecheck.py::test_a_destructive_step_needs_unguarded_unless_every_event_has_a_live_check",
        ),
    ),
    Mutant(
        "a secret reference is used as text",
        "src/closeout/config/inputs.py",
        "            if not spec.secret:\n",
        "            if False:\n",
        ("tests/unit/config/test_workflow_words.py::test_a_reference_where_none_is_read_is_an_error",),
    ),
    Mutant(
        "a payload may give the repository two names",
        "src/closeout/livecheck.py",
        '    if repository.get("name", name) != name or about.get("login", owner) != owner:',
        "    if False:",
        (f"{RUN}::test_a_payload_whose_repository_is_two_deletes_nothing",),
    ),
    Mutant(
        "the payload's word on the owner's id is enough",
        "src/closeout/livecheck.py",
        "    if subject.owner_id is not None and owner_id != subject.owner_id:",
        "    if False:",
        (f"{RUN}::test_a_payload_whose_repository_is_two_deletes_nothing",),
    ),
    Mutant(
        "a tag's name counts for the tag alone",
        "src/closeout/livecheck.py",
        '    if named is not None and github.ref_exists(subject.repository, f"{other}/{named}"):',
        "    if False:",
        (f"{RUN}::test_a_tag_that_goes_does_not_take_the_preview_of_the_branch_of_its_name",),
    ),
    Mutant(
        "what Cloud Control does not find has no tags",
        "src/closeout/actions/aws/tags.py",
        "        if not found:\n            raise",
        "        if not found:\n            return\n            raise",
        (f"{READS}::test_any_other_type_is_asked_of_cloud_control",),
    ),
    Mutant(
        "the payload's word on the head branch is enough",
        "src/closeout/livecheck.py",
        "    if pull.head_ref != branch:",
        "    if False:",
        (f"{RUN}::test_a_branch_that_is_not_the_pull_requests_own_deletes_nothing",),
    ),
    Mutant(
        "a run whose automation is gone goes on in its own form",
        "src/closeout/run/context.py",
        "        if current.automation is not None:\n",
        "        if True:\n",
        (f"{GONE}::test_a_run_whose_automation_is_gone_changes_nothing_and_ends_in_an_error",),
    ),
    Mutant(
        "the file's protection is lost with the automation",
        "src/closeout/run/guards.py",
        "protections: tuple[Automation | Current, ...] = (*forms, current)",
        "protections: tuple[Automation | Current, ...] = forms",
        (f"{GONE}::test_the_files_protection_holds_for_a_run_whose_automation_is_gone",),
    ),
    Mutant(
        "what is deployed has no protection of its own",
        "src/closeout/stack/deployed.py",
        "return Current(self.automations.get(name), self.protect_names, self.protect_tags)",
        "return Current(self.automations.get(name))",
        ("tests/unit/stack/test_deployed.py::test_the_files_protection_comes_back_beside_the_automations",),
    ),
    Mutant(
        "a function is called though its automation is gone",
        "src/closeout/run/on_function.py",
        "return None if held else {",
        "return {",
        (f"{GONE}::test_a_function_whose_automation_is_gone_is_not_called",),
    ),
    Mutant(
        "tags of what is planned are not read",
        "src/closeout/run/planning.py",
        "tagged = guards.with_tags(action, changes, clients) if rules else changes",
        "tagged = changes",
        (f"{TAGS}::test_a_tagged_part_of_what_is_planned_refuses_the_whole",),
    ),
    Mutant(
        "a rule on tags that came later is not held",
        "src/closeout/run/work.py",
        "if guards.tag_rules(stored, current) - plan.tag_rules:",
        "if False:",
        (f"{TAGS}::test_a_rule_that_came_while_the_run_waited_has_the_tags_read_anew",),
    ),
    Mutant(
        "tags that cannot be read count as none",
        "src/closeout/actions/aws/tags.py",
        "            why = error.message\n",
        "            return {}\n",
        (f"{READS}::test_tags_that_cannot_be_read_are_refused",),
    ),
    Mutant(
        "any error means that a bucket has no tags",
        "src/closeout/actions/aws/tags.py",
        "if error.reason in read.untagged or (",
        "if True or (",
        (f"{READS}::test_tags_that_cannot_be_read_are_refused",),
    ),
    Mutant(
        "the rights to read tags are not asked for",
        "src/closeout/config/permissions.py",
        "tags = action.tag_permissions(step.inputs) if automation.protect_tags else ()",
        "tags = ()",
        (f"{RIGHTS}::test_tags_are_readable_only_where_the_file_protects_by_tag",),
    ),
    Mutant(
        "user code gets the run's own payload",
        "src/closeout/run/work.py",
        "return payload.decode(self._context.execution.body)",
        "return self._context.payload",
        (f"{COPIES}::test_a_step_that_changes_the_event_does_not_choose_what_the_next_one_deletes",),
    ),
    Mutant(
        "a second try gets what the first one made of its arguments",
        "src/closeout/actions/general/python.py",
        'arguments = copy.deepcopy(self._inputs.get("args") or {})',
        'arguments = self._inputs.get("args") or {}',
        (f"{COPIES}::test_a_step_that_changes_the_event_does_not_choose_what_the_next_one_deletes",),
    ),
    Mutant(
        "a delete that was joined is read from the joining on",
        "src/closeout/actions/aws/stacks.py",
        "            if not joins:\n",
        "            if True:\n",
        (f"{STACK}::test_joins_a_delete_that_is_about_to_fail",),
    ),
    Mutant(
        "events that come late are not waited for",
        "src/closeout/actions/aws/teardown.py",
        'if end.get("complete", bool(end["failures"])):',
        "if True:",
        (f"{STACK}::test_events_that_come_late_are_waited_for",),
    ),
    Mutant(
        "a late event of another request counts",
        "src/closeout/actions/aws/stacks.py",
        'and (not token or event.get("ClientRequestToken") in (None, token))',
        "",
        (f"{EVENTS}::test_a_late_event_of_another_request_is_not_this_deletes",),
    ),
    Mutant(
        "what an answer lacks is absent",
        "src/closeout/adapters/answers.py",
        'self._refuse(f"the answer lacks {key}")',
        "return None",
        (f"{NONSENSE}::test_a_prefix_is_never_empty_by_nonsense",),
    ),
    Mutant(
        "another stack's answer is taken",
        "src/closeout/actions/aws/stacks.py",
        'or name_or_id not in (stacks[0]["StackId"], stacks[0]["StackName"])',
        "",
        (f"{NONSENSE}::test_another_stacks_answer_is_refused",),
    ),
    Mutant(
        "a comment's marker proves that closeout wrote it",
        "src/closeout/run/matching.py",
        "return comment.own_id(context.deps.github) == sender",
        "return True",
        ("tests/unit/run/test_own_comment.py::test_somebody_elses_marker_silences_nothing",),
    ),
    Mutant(
        "what is below a supervisor that was stopped lives on",
        "src/closeout/actions/general/process.py",
        "    for _ in range(100):\n",
        "    for _ in range(0):\n",
        (f"{SCRIPTS}::test_a_tree_is_ended_below_a_supervisor_that_cannot_act",),
    ),
    Mutant(
        "a script of several lines is protected only as a whole",
        "src/closeout/core/protect.py",
        "    yield first\n",
        "",
        ("tests/unit/core/test_protect.py::test_a_script_is_known_by_its_first_line",),
    ),
)
