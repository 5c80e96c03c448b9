/* Promises of compensations, as text tables: part of test_decide.c. */

TEST(what_was_done_is_undone_before_the_task_fails_the_last_first) {
  run_case("a!undo b<a!undo c<b",
           "submit\nclaim a\ndone a\nclaim b\ndone b\nclaim c\n"
           "fail c perm => task=in_progress c=error b:compensate=ready log=step.failed\n"
           "claim b:compensate => b:compensate=in_progress task=in_progress log=step.started\n"
           "done b:compensate => b:compensate=complete a:compensate=ready task=in_progress log=step.compensated\n"
           "claim a:compensate\ndone a:compensate => task=error a=complete log=step.compensated,task.failed\n"
           "retry => refused\nretry c => refused\nresolve c => refused\nresolve => task=resolved_manually");
  run_case("a!undo", "submit\nclaim a\nfail a perm => task=error log=step.failed,task.failed\nretry => task=in_progress a=ready");
  run_case("a!undo b", "submit\nclaim a\ndone a\nclaim b\ndone b => task=complete");
  run_case("max=1 a!undo b<a", "submit\nclaim a\ndone a\nclaim b\nfail b perm => a:compensate=ready\nclaim a:compensate\n"
                               "done a:compensate => task=error");
}

TEST(a_compensation_is_retried_and_its_failure_does_not_keep_the_others) {
  run_case("a!undo b<a!undo!limit2 c<b",
           "submit\nclaim a\ndone a\nclaim b\ndone b\nclaim c\nfail c perm\nclaim b:compensate\n"
           "fail b:compensate => b:compensate=waiting b:compensate.wait=retry log=step.failed,step.retry_scheduled\n"
           "tick 10 => b:compensate=ready\nclaim b:compensate\n"
           "fail b:compensate => b:compensate=error a:compensate=ready log=step.failed,step.compensation_failed\n"
           "claim a:compensate\nlost a:compensate => a:compensate=ready\nclaim a:compensate\nrelease a:compensate\nclaim a:compensate\n"
           "stale a:compensate => fenced\nbeat a:compensate\ndone a:compensate => task=error log=step.compensated,task.failed");
}

TEST(a_cancelled_task_is_undone_after_it_was_cancelled) {
  run_case("a!undo b<a", "submit\nclaim a\ndone a\nclaim b\ncancel => task=cancelled b=cancelled a:compensate=ready log=step.cancelled\n"
                         "done b => fenced\ncancel => refused\npause => refused\nclaim a:compensate\nsnooze a:compensate 5 => "
                         "a:compensate=waiting\ntick 5\nclaim a:compensate\n"
                         "done a:compensate => task=cancelled log=step.compensated,task.cancelled");
  run_case("a!undo b<a", "submit\ncancel => task=cancelled log=step.cancelled,step.cancelled,task.cancelled");
}

TEST(what_only_began_is_undone_where_it_says_so) {
  run_case("a b<a!undostarted", "submit\nclaim a\ndone a\nclaim b\nfail b perm => task=in_progress b:compensate=ready\n"
                                "claim b:compensate\ndone b:compensate => task=error");
  run_case("a!undostarted b!undo", "submit\nclaim a\nclaim b\ncancel => task=cancelled a:compensate=ready\nclaim a:compensate\n"
                                   "done a:compensate => log=step.compensated,task.cancelled");
  run_case("a!undostarted", "submit\ncancel => log=step.cancelled,task.cancelled");
}

TEST(a_timeout_of_the_task_undoes_what_was_done) {
  run_case("timeout=10 a!undo b<a", "submit\nclaim a\ndone a\nclaim b\ntick 10 => task=error b=cancelled log=step.cancelled\n"
                                    "retry => refused\nresolve => refused\nclaim a:compensate\ndone a:compensate => task=error "
                                    "log=step.compensated,task.failed");
}

TEST(a_compensation_is_paused_and_its_task_cancelled_as_any_other) {
  run_case("a!undo b<a!undo c<b", "submit\nclaim a\ndone a\nclaim b\ndone b\nclaim c\nfail c perm\nclaim b:compensate\n"
                                  "pause => task=paused\n"
                                  "done b:compensate => task=paused log=step.compensated\nresume => task=in_progress a:compensate=ready\n"
                                  "pause\nresume\nclaim a:compensate\npause\nfail a:compensate delay=0 => a:compensate.held=1\n"
                                  "resume => a:compensate.held=0\nclaim a:compensate\ncancel => task=cancelled "
                                  "a:compensate=in_progress\ndone a:compensate => log=step.compensated,task.cancelled");
  run_case("a!undo b<a c<b", "submit\nclaim a\ndone a\nclaim b\nfail b perm\ncancel c => refused\ncancel => task=cancelled c=cancelled\n"
                             "claim a:compensate\ndone a:compensate => log=step.compensated,task.cancelled");
}

TEST(the_order_of_compensations_is_that_of_ends_also_within_one_moment) {
  run_case("x!undo a<x!sig!undo f<a", "submit\nsignal a\nclaim x\ndone x => a=complete\nclaim f\nfail f perm => a:compensate=ready\n"
                                      "claim a:compensate\ndone a:compensate => x:compensate=ready");
  run_case("a!undo b!undo f<a,b", "submit\nclaim b\ndone b\nclaim a\ndone a\nclaim f\nfail f perm => a:compensate=ready");
  run_case("a!undo b!undo f<a,b", "submit\nclaim a\ndone a\ntick 1\nclaim b\ndone b\nclaim f\nfail f perm => b:compensate=ready");
  run_case("m!map!undo f<m", "submit\nclaim m\nanswer m list=2\nclaim m\nclaim m\ndone m[1]\ndone m[2] => m=complete\nclaim f\n"
                             "fail f perm => m:compensate=ready\nclaim m:compensate\ndone m:compensate => task=error");
}
