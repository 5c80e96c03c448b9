/* decide as text tables; the language of the tables: decide_world.h. */
#include "decide_world.h"

/* ---- Promises (of maps: decide_maps.h; of versions: decide_migrate.h; of children: decide_children.h) ---- */

#include "decide_children.h"
#include "decide_compensation.h"
#include "decide_notify.h"
#include "decide_machines.h"
#include "decide_maps.h"
#include "decide_migrate.h"

TEST(a_chain_runs_in_order_and_completes) {
  run_case("a b<a",
           "submit => task=pending a=ready b=pending log=task.created\n"
           "claim a => task=in_progress a=in_progress log=task.started,step.started\n"
           "done a => a=complete b=ready log=step.completed\n"
           "claim b => log=step.started\n"
           "done b => task=complete b=complete log=step.completed,task.completed\n");
}

TEST(a_diamond_joins_when_all_are_done) {
  run_case("a b<a c<a d<b,c",
           "submit\nclaim a\ndone a => b=ready c=ready d=pending\nclaim c\ndone c => d=pending\nclaim b\ndone b => d=ready\n"
           "claim d\ndone d => task=complete");
}

TEST(a_failed_attempt_is_retried_until_the_limit) {
  run_case("a", "submit\nclaim a\nfail a => a=waiting a.wait=retry log=step.failed,step.retry_scheduled\ntick 9 => "
                "a=waiting\ntick 1 => a=ready\n"
                "claim a => a.attempts=2\nfail a delay=1 => a=waiting\ntick 1\nclaim a\nfail a => a=error task=error "
                "log=step.failed,task.failed");
  run_case("a", "submit\nclaim a\nfail a delay=0 => a=ready log=step.failed,step.retry_scheduled");
}

TEST(a_permanent_failure_stops_at_once_and_dependents_stay_pending) {
  run_case("a b<a", "submit\nclaim a\nfail a perm => a=error b=pending task=error");
  run_case("a!once", "submit\nclaim a\nfail a => a=error task=error");
}

TEST(other_branches_run_to_their_end_before_the_task_is_in_error) {
  run_case("a b", "submit\nclaim a\nclaim b\nfail a perm => task=in_progress\ndone b => task=error b=complete");
}

TEST(an_error_that_continues_releases_its_dependents) {
  run_case("a!cont b<a", "submit\nclaim a\nfail a perm => a=error b=ready task=in_progress\nclaim b\ndone b => task=complete");
  run_case(
      "a!cont b c<a,b",
      "submit\nclaim a\nfail a perm\nretry a => a=ready\nclaim a\ndone a => a=complete c=pending\nclaim b\ndone b => c=ready");
  run_case("a!cont b c<a,b",
           "submit\nclaim a\nfail a perm\nresolve a => a=resolved_manually c=pending\nclaim b\ndone b => c=ready");
}

TEST(snooze_is_no_failure) {
  run_case(
      "a!limit1",
      "submit\nclaim a\nsnooze a 30 => a=waiting a.wait=timer log=step.waiting\ntick 30 => a=ready\nclaim a => a.attempts=2\n"
      "done a => task=complete");
}

TEST(work_given_back_is_ready_again_without_a_failure) {
  run_case("a!limit1",
           "submit\nclaim a\nrelease a => a=ready log=step.released\nclaim a => a.attempts=2\ndone a => task=complete");
}

/* What it leaves to later turns is known to be of an end that was overtaken. */
TEST(a_task_that_is_cancelled_while_its_timeout_still_ends_its_steps_ends_once) {
  char script[8192] = "submit\nclaim m\nanswer m list=300";
  for (int i = 0; i < 300; i++) strcat(script, "\nclaim m");
  size_t begun = strlen(script);
  strcpy(script + begun, "\ntick 60 => task=error");
  run_case("m!map timeout=60", script);
  char *log = script + begun + sprintf(script + begun, "\n+tick 60\n+cancel\nclaim m => task=cancelled ends=1");
  TK_ASSERT(log < script + sizeof script);
  run_case("m!map timeout=60", script);
}

TEST(a_lost_attempt_does_not_count_until_its_own_limit) {
  run_case("a!limit1!lost2", "submit\nclaim a\nlost a => a=ready log=step.failed\nclaim a\nlost a => a=error task=error");
}

TEST(only_the_current_attempt_can_end_a_step) {
  run_case("a", "submit\nclaim a\nlost a\nclaim a\nstale a => fenced a=in_progress\ndone a => a=complete");
}

TEST(a_bypassed_step_is_skipped_when_its_turn_comes_and_counts_as_done) {
  run_case("a b<a!skip c<b",
           "submit bypass=b => b=pending\nclaim a\ndone a => b=skipped c=ready log=step.completed,step.skipped\nclaim c\n"
           "done c => task=complete");
  run_case("a!skip b<a!skip", "submit bypass=a bypass=b => a=skipped b=skipped task=complete");
  run_case("a", "submit bypass=a => refused");
}

TEST(run_at_holds_the_roots_back) {
  run_case(
      "a",
      "submit run_at=60 => a=pending task=pending\ntick 59 => a=pending\ntick 1 => a=ready\nclaim a\ndone a => task=complete");
  run_case("a b<a", "submit run_at=60\nresolve a => a=resolved_manually b=ready b.held=1\ntick 60 => b.held=0\nclaim b\ndone b "
                    "=> task=complete");
  run_case("a", "submit run_at=60\ncancel => task=cancelled a=cancelled\ntick 60 => a=cancelled");
}

TEST(cancel_ends_everything_and_ignores_what_still_runs) {
  run_case("a b<a c",
           "submit\nclaim a\ncancel => task=cancelled a=cancelled b=cancelled c=cancelled "
           "log=step.cancelled,step.cancelled,step.cancelled,task.cancelled\ndone a => fenced a=cancelled\ncancel => refused");
  run_case("a", "submit\nclaim a\nfail a\ncancel => a=cancelled\ntick 99 => a=cancelled");
}

TEST(cancelling_one_step_settles_the_task) {
  run_case("a b<a", "submit\ncancel a => a=cancelled b=pending task=error log=step.cancelled,task.failed\ncancel a => refused");
  run_case("a b<a c", "submit\nclaim a\ncancel a => a=cancelled task=in_progress\nclaim c\ndone c => task=error");
  run_case("a b<a", "submit\ncancel b => b=cancelled\nclaim a\ndone a => task=error");
  run_case("a", "submit\nclaim a\nfail a\ncancel a => task=error");
}

TEST(pause_lets_running_steps_finish_and_starts_nothing) {
  run_case(
      "a b<a c",
      "submit\nclaim a\npause => task=paused log=task.paused\nclaim c => not c.held=1\ndone a => b=ready b.held=1 task=paused\n"
      "resume => task=in_progress b.held=0 c.held=0\nclaim b\nclaim c\ndone b\ndone c => task=complete\nresume => refused");
  run_case("a",
           "submit\npause\nresume => task=pending\nclaim a\npause\ndone a => task=paused a=complete\nresume => task=complete");
  run_case("a", "submit\npause\ncancel => task=cancelled");
}

TEST(retry_gives_failed_steps_fresh_attempts) {
  run_case(
      "a!limit1 b<a",
      "submit\nclaim a\nfail a => task=error\nretry => task=in_progress a=ready log=task.retried,step.retry_scheduled\nclaim a\n"
      "done a => b=ready\nretry => refused");
  run_case("a!limit1 b!limit1",
           "submit\nclaim a\nfail a => task=in_progress\nretry a => a=ready\nclaim a\nclaim b\nfail b\ndone a => task=error\n"
           "retry b => task=in_progress b=ready");
  run_case("a b<a",
           "submit\ncancel b\ncancel a => task=error\nretry => task=pending a=ready b=pending\nclaim a\ndone a => b=ready");
}

TEST(a_person_settles_a_step_or_the_task) {
  run_case(
      "a!limit1 b<a",
      "submit\nclaim a\nfail a\nresolve a => a=resolved_manually b=ready task=in_progress log=step.resolved_manually\nclaim b\n"
      "done b => task=complete\nresolve => refused");
  run_case("a!limit1 b<a", "submit\nclaim a\nfail a\nresolve => task=resolved_manually");
  run_case("a b<a", "submit\nresolve b => b=resolved_manually\nclaim a\ndone a => task=complete");
  run_case("a", "submit\nresolve a => task=complete");
  run_case("a", "submit\nclaim a\nresolve a => refused\nfail a\nresolve a => a=resolved_manually task=complete");
  run_case("a b<a", "submit\ncancel a\nresolve b => task=error");
  run_case("a!limit1", "submit\nclaim a\nfail a => task=error\ncancel => task=cancelled a=error");
}

TEST(max_parallel_holds_ready_steps_back) {
  run_case("max=1 a b c", "submit => b=ready\nclaim a\nclaim b => not b.held=1\nclaim c => not\ndone a => b.held=0 "
                          "c.held=1\nclaim b\ndone b => c.held=0\n"
                          "claim c\ndone c => task=complete");
}

TEST(what_is_held_goes_on_whatever_made_room_for_it) {
  run_case("max=1 m!map!child!within5!limit1 b", "submit\nclaim m\nanswer m list=2\nclaim m\nanswer m[1] => m[1]=waiting\nclaim m\n"
                                                 "claim b => not b.held=1\ntick 5 => m[1]=error m[2]=cancelled m=error b.held=0");
}

TEST(an_ask_is_answered_before_the_step_starts) {
  run_case("a!ask", "submit\nclaim a => a=ready task=pending a.attempts=0\nanswer a => a=ready\nclaim a => a=in_progress "
                    "a.attempts=1\ndone a => task=complete");
  run_case("a!ask", "submit\nclaim a\ndeny a => a=error task=error log=step.failed,task.failed");
  run_case("a!ask", "submit\nclaim a\nlost a => a=ready\nclaim a\ncancel a => a=cancelled task=error");
  run_case("a!ask", "submit\nclaim a\npause\nanswer a => a.held=1\nresume => a.held=0");
}

TEST(a_task_timeout_cancels_what_is_open) {
  run_case("timeout=10 a b<a", "submit\ntick 20 => task=pending\nclaim a\ntick 9 => task=in_progress\n"
                               "tick 1 => task=error a=cancelled b=cancelled "
                               "log=step.cancelled,step.cancelled,task.failed\nretry => task=in_progress a=ready b=pending");
  run_case("timeout=10 a", "submit\nclaim a\npause\ntick 10 => task=error");
  run_case("timeout=10 a", "submit\nclaim a\ndone a => task=complete\ntick 10 => task=complete");
}

TEST(a_heartbeat_of_a_running_attempt_is_kept) {
  run_case("a", "submit\nclaim a\nbeat a => a=in_progress log=\ndone a => task=complete\nbeat a => fenced");
}

TEST(a_condition_that_says_no_skips_its_branch) {
  run_case("a b<a!ask c<b d<a,c",
           "submit\nclaim a\ndone a => b=ready\nclaim b => b=ready\nanswer b no => b=skipped c=skipped d=ready "
           "log=step.skipped,step.skipped\nclaim d\ndone d => task=complete");
  run_case("a!ask b<a", "submit\nclaim a\nanswer a no => a=skipped b=skipped task=complete");
}

TEST(a_switch_takes_one_branch_and_skips_the_others) {
  run_case("s!case:x:b!case:y:c b<s c<s d<b,c e<s",
           "submit\nclaim s\nanswer s case=1 => s=complete b=skipped c=ready d=pending e=ready log=step.completed,"
           "step.skipped\nclaim c\ndone c => d=ready");
  run_case("o s!case:x:b!case:y:o2 b<o,s o2<s", "submit\nclaim o\ndone o\nclaim s\nanswer s case=1 => b=skipped o2=ready");
}

TEST(joins_of_any_a_number_and_all_done) {
  run_case("a b c<a,b!any", "submit\nclaim a\ndone a => c=ready\nclaim c\ndone c\nclaim b\ndone b => task=complete");
  run_case("a b c d<a,b,c!join2", "submit\nclaim a\ndone a => d=pending\nclaim b\ndone b => d=ready");
  run_case("a!ask b!ask c<a,b!any", "submit\nclaim a\nanswer a no => c=pending\nclaim b\nanswer b no => c=skipped task=complete");
  run_case(
      "a b c<a,b!alldone",
      "submit\nclaim a\nfail a perm => c=pending task=in_progress\nclaim b\ndone b => c=ready\nclaim c\ndone c => task=error");
  run_case("a c<a!alldone", "submit\ncancel a => c=ready\nclaim c\ndone c => task=error c=complete");
  run_case("a b c<a,b!alldone d<a",
           "submit\nclaim a\nfail a perm\nretry a\nclaim a\ndone a => c=pending d=ready\nclaim b\ndone b => c=ready");
}

TEST(a_sleep_waits_and_no_worker_is_needed) {
  run_case("a!sleep10 b<a",
           "submit => a=waiting a.wait=timer log=task.created,task.started,step.waiting\ntick 9 => a=waiting\n"
           "tick 1 => a=complete b=ready");
  run_case("a!sleepasked", "submit\nclaim a\nanswer a until=5 => a=waiting\ntick 5 => task=complete");
  run_case("a!sleep10", "submit\ncancel => a=cancelled\ntick 10 => a=cancelled");
  run_case("a!sleep10", "submit\nresolve a => task=complete\ntick 10 => a=resolved_manually");
}

TEST(a_signal_is_taken_whenever_it_comes) {
  run_case("a!sig b<a",
           "submit => a=waiting a.wait=signal\nsignal a => a=complete b=ready log=task.signalled,step.completed\nclaim b\ndone b "
           "=> task=complete\n"
           "signal a => refused");
  run_case("x a<x!sig",
           "submit\nsignal a => a=pending log=task.signalled\nsignal a\nclaim x\ndone x => a=complete task=complete");
  run_case("a!sig!within10",
           "submit\ntick 10 => a=error task=error log=step.failed,task.failed\nretry => a=waiting\nsignal a => task=complete");
  run_case("a!sig!within10!completes", "submit\ntick 10 => a=complete task=complete");
  run_case("a!sig", "submit\nsignal other => a=waiting\npause\nsignal a => a=complete task=paused\nresume => task=complete");
  run_case("a!sig!within10", "submit\ntick 10 => task=error\nsignal a => refused");
}

TEST(a_failure_may_be_decided_to_be_skipped_as_a_branch_that_is_not_taken) {
  run_case("a d b<a c<a,d",
           "submit\nclaim a\nskip a => a=skipped b=skipped c=pending task=in_progress log=step.failed,step.skipped,step.skipped\n"
           "claim d\ndone d => c=ready\nclaim c\ndone c => task=complete");
  run_case("a!limit1", "submit\nclaim a\nskip a => a=skipped task=complete\nretry a => refused\nskip a => fenced");
}

TEST(a_failure_may_be_decided_to_have_results) {
  run_case("a!once b<a", "submit\nclaim a\ngive a => a=complete b=ready log=step.failed,step.completed");
}

TEST(a_parked_step_waits_for_a_person_who_retries_or_resolves_it) {
  run_case("a!limit1 b<a",
           "submit\nclaim a\npark a => a=waiting a.wait=person b=pending task=in_progress log=step.failed,step.waiting\n"
           "tick 9999 => a=waiting\nretry a => a=ready\nclaim a => a.attempts=2\ndone a => b=ready");
  run_case("a!limit2", "submit\nclaim a\nfail a\ntick 10\nclaim a\npark a\nretry a\nclaim a\nfail a => a=waiting a.wait=retry");
  run_case("a b<a", "submit\nclaim a\npark a\nresolve a => a=resolved_manually b=ready");
  run_case("a", "submit\nclaim a\npark a\ncancel => a=cancelled task=cancelled");
  run_case("a", "submit\nclaim a\npark a\npause\nretry a => a=ready a.held=1\nresume => a.held=0");
}

TEST(a_step_that_is_skipped_after_its_error_was_told_is_counted_once) {
  run_case("a!cont b c<a,b", "submit\nclaim a\nfail a perm => c=pending\nretry a\nclaim a\nskip a => c=pending\n"
                             "claim b\ndone b => c=ready");
  run_case("a b c<a,b!alldone", "submit\nclaim a\nfail a perm => c=pending\nretry a\nclaim a\nskip a => c=pending\n"
                                "claim b\ndone b => c=ready\nclaim c\ndone c => task=complete");
}

TEST(an_approval_waits_for_people_and_is_decided_once) {
  run_case("a!appr b<a",
           "submit => a=ready\nclaim a\npeople a ann,bob,eve 2 => a=waiting a.wait=approval log=task.started,step.waiting\n"
           "vote ann a approve => a=waiting log=step.approval_decided\nvote ann a approve => refused\nvote zoe a approve => refused\n"
           "vote bob a approve => a=complete b=ready log=step.approval_decided,step.completed\nvote eve a reject => refused\n"
           "vote eve b approve => refused\nclaim b\ndone b => task=complete");
  run_case("a!appr", "submit\nvote ann a approve => refused\nclaim a\npeople a ann 2 => a=error task=error");
  run_case("a!appr", "submit\nclaim a\nrelease a => a=ready\nclaim a\npause\npeople a ann => a=waiting\nvote ann a approve => a=complete "
                     "task=paused\nresume => task=complete");
}

TEST(an_approval_whose_quorum_is_out_of_reach_is_rejected) {
  run_case("a!appr b<a",
           "submit\nclaim a\npeople a ann,bob,eve 2 60:boss\nvote ann a reject => a=waiting\nvote eve a reject => a=error task=error "
           "log=step.approval_decided,step.failed,task.failed\ntick 60 => a=error");
  run_case("a!appr", "submit\nclaim a\npeople a ann,^bob 1\nvote bob a reject => a=error task=error");
  run_case("a!appr!onno b<a", "submit\nclaim a\npeople a ann\nvote ann a reject => a=complete b=ready");
  run_case("a!appr", "submit\nclaim a\npeople a ann,bob\nvote ann a changes => a=error task=error\nretry => a=ready\nclaim a\n"
                     "people a ann,bob\nvote ann a approve => task=complete");
}

TEST(a_decision_is_passed_on) {
  run_case("a!appr", "submit\nclaim a\npeople a ann,bob 2\nvote ann a delegate bob => refused\nvote ann a delegate zoe => a=waiting\n"
                     "vote ann a approve => refused\nvote zoe a approve\nvote bob a approve => task=complete");
}

TEST(an_approval_escalates_and_ends_in_time) {
  run_case("a!appr!within30",
           "submit\nclaim a\npeople a ann 1 10:boss 20:owner\nvote boss a approve => refused\ntick 10 => a=waiting "
           "log=step.approval_escalated\nvote owner a approve => refused\ntick 10 => log=step.approval_escalated\ntick 10 => a=error "
           "task=error log=step.failed,task.failed");
  run_case("a!appr!within30!completes", "submit\nclaim a\npeople a ann\ntick 30 => a=complete task=complete");
  run_case("a!appr!within30!rejects!onno", "submit\nclaim a\npeople a ann\ntick 30 => a=complete");
  run_case("a!appr!within30!rejects", "submit\nclaim a\npeople a ann 1 10:boss\ntick 40 => a=error");
  run_case("a!appr", "submit\nclaim a\npeople a ann 1 10:boss\ntick 10\nvote boss a approve => task=complete\ntick 10 => log=");
}

TEST(an_approval_is_cancelled_and_resolved_as_any_waiting_step) {
  run_case("a!appr", "submit\nclaim a\npeople a ann 1 10:boss\ncancel => a=cancelled task=cancelled\ntick 10 => a=cancelled\n"
                     "vote ann a approve => refused");
  run_case("a!appr", "submit\nclaim a\npeople a ann\nresolve a => a=resolved_manually task=complete");
  run_case("a!appr", "submit\nclaim a\npeople a ann\ncancel a => task=error\nretry => a=ready\nclaim a\npeople a ann\n"
                     "vote ann a approve => task=complete");
}

TEST(a_step_that_snoozes_until_it_is_woken_misses_nothing) {
  run_case("a", "submit\nwake a => a=ready\nclaim a\nsnooze a ever => a=waiting a.wait=signal log=step.waiting\ntick 9999 => a=waiting\n"
                "wake a => a=ready log=\nclaim a\nwake a\nwake a\nsnooze a ever => a=ready log=\nclaim a\nsnooze a ever => a=waiting\n"
                "pause\nwake a => a.held=1\nresume => a.held=0\nclaim a\nwake a\nfail a => a=waiting a.wait=retry\nwake a => a=waiting\n"
                "tick 10\nclaim a\nsnooze a ever => a=ready\nclaim a\nsnooze a ever => a=waiting\ncancel => task=cancelled\n"
                "wake a => log=");
}

/* Runs last (the harness keeps the order of the file): a row that nothing took is a rule that nobody needs or nobody tested. */
TEST(every_row_of_the_transition_tables_is_taken) {
  for (size_t r = 0; r < tk_task_transition_count; r++)
    if (!task_rows[r]) {
      test_fail(__FILE__, __LINE__, tk_task_transitions[r].on);
      fprintf(stderr, "  task %s -> %s\n", tk_task_status_name(tk_task_transitions[r].from),
              tk_task_status_name(tk_task_transitions[r].to));
    }
  for (size_t r = 0; r < tk_step_transition_count; r++)
    if (!step_rows[r]) {
      test_fail(__FILE__, __LINE__, tk_step_transitions[r].on);
      fprintf(stderr, "  step %s -> %s\n", tk_step_status_name(tk_step_transitions[r].from),
              tk_step_status_name(tk_step_transitions[r].to));
    }
}

TEST_MAIN
