/* Promises of child tasks, as text tables. Part of test_decide.c. */
#ifndef TK_SPEC_DECIDE_CHILDREN_H
#define TK_SPEC_DECIDE_CHILDREN_H

TEST(a_step_waits_for_the_child_that_it_asked_for) {
  run_case("a!child b<a",
           "submit => a=ready task=pending\nclaim a => a=ready a.attempts=0\n"
           "answer a => a=waiting a.wait=child a.attempts=1 a.child=2 task=in_progress log=task.started,step.started,step.waiting\n"
           "ended a complete => a=complete b=ready log=step.completed\nended a complete => a=complete log=\n"
           "claim b\ndone b => task=complete");
  run_case("a!child", "submit\nclaim a\nanswer a\nended a resolved_manually => a=complete task=complete");
  run_case("a!child", "submit\nclaim a\nanswer a no => a=skipped task=complete");
  run_case("a!child", "submit\nclaim a\ndeny a => a=error a.attempts=0 task=error\nretry => a=ready\nclaim a\nanswer a => a.child=2");
}

TEST(what_a_child_ended_in_is_its_steps_failure_unless_that_is_ignored_or_retried) {
  run_case("a!child b<a",
           "submit\nclaim a\nanswer a\nended a error => a=error b=pending task=error sent= log=step.failed,task.failed\n"
           "retry => a=waiting a.attempts=2 a.child=2 sent=retry log=task.retried,step.retry_scheduled,step.started,step.waiting\n"
           "ended a complete => a=complete b=ready");
  run_case("a!child!ignores b<a", "submit\nclaim a\nanswer a\nended a error => a=complete b=ready");
  run_case("a!child!ignores", "submit\nclaim a\nanswer a\nended a cancelled => a=complete task=complete");
  run_case("a!child!ignores", "submit\nclaim a\nanswer a\nended a error large => a=error");
  run_case("a!child", "submit\nclaim a\nanswer a\nended a complete large => a=error log=step.failed,task.failed");
  run_case("a!child!retries!limit2",
           "submit\nclaim a\nanswer a\nended a error => a=waiting a.wait=retry log=step.failed,step.retry_scheduled\n"
           "tick 10 => a=waiting a.wait=child a.attempts=2 a.child=2 sent=retry\nended a error => a=error task=error");
  run_case("a!child!retries!once", "submit\nclaim a\nanswer a\nended a error => a=error");
}

TEST(a_cancelled_child_is_no_more_retried_but_replaced) {
  run_case("a!child!retries",
           "submit\nclaim a\nanswer a\nended a cancelled => a=error task=error\nretry => a=ready sent=\nclaim a\n"
           "answer a => a.child=3 a.attempts=2\nended a complete => task=complete");
  run_case("a!child", "submit\nclaim a\nanswer a\nended a error => a=error\nended a cancelled => a=error\nretry => a=ready");
}

TEST(a_child_that_takes_too_long_is_cancelled) {
  run_case("a!child!within10 b<a", "submit\nclaim a\nanswer a\ntick 10 => a=error task=error sent=cancel\nended a complete => a=error");
  run_case("a!child!within10!retries", "submit\nclaim a\nanswer a\ntick 10 => a=waiting a.wait=retry sent=cancel\ntick 10 => a=ready\n"
                                       "claim a\nanswer a => a.child=3 a.wait=child");
  run_case("a!child!within10", "submit\nclaim a\nanswer a\nended a complete => task=complete\ntick 10 => task=complete");
}

TEST(what_is_done_to_a_task_is_done_to_its_children) {
  run_case("a!child b!child c d<a",
           "submit\nclaim a\nanswer a\nclaim b\nanswer b\npause => sent=pause,pause\nresume => sent=resume,resume\n"
           "cancel => sent=cancel,cancel task=cancelled a=cancelled\nended a cancelled => a=cancelled");
  run_case("a!child b", "submit\nclaim a\nanswer a\ncancel a => a=cancelled sent=cancel\nclaim b\ndone b => task=error\n"
                        "retry => a=ready\nclaim a\nanswer a => a.child=3");
  run_case("a!child", "submit\nclaim a\nanswer a\nresolve a => a=resolved_manually sent=cancel task=complete");
  run_case("a!child", "submit\nclaim a\nanswer a\nended a error => task=error\ncancel => sent=cancel task=cancelled");
  run_case("timeout=10 a!child", "submit\nclaim a\nanswer a\ntick 10 => task=error a=cancelled sent=cancel");
  run_case("a!child b<a",
           "submit\nclaim a\nanswer a\npause\nended a complete => a=complete b.held=1 task=paused\nresume => b.held=0 sent=");
}

TEST(a_paused_task_makes_no_child_and_retries_none) {
  run_case("a!child", "submit\nclaim a\npause\nanswer a => a=ready a.held=1 a.child=0\nresume => a.held=0\nclaim a\nanswer a => a.child=2");
  run_case("a!child!retries", "submit\nclaim a\nanswer a\nended a error\npause\ntick 10 => a=ready a.held=1 sent=\n"
                              "resume => a=waiting a.wait=child a.held=0 sent=resume,retry");
}

TEST(nothing_starts_below_a_task_that_is_stopped) {
  run_case("a b<a", "submit\nstop\nclaim a => not a.held=1 task=pending\ngo => a.held=0\nclaim a\nstop\ndone a => b=ready b.held=1\n"
                    "go => b.held=0");
  run_case("a!child", "submit\nclaim a\nstop\nanswer a => a=ready a.held=1\ngo => a.held=0");
}

TEST(a_step_that_has_a_child_stays_where_it_is_when_its_task_moves_to_another_version) {
  run_case("a!child b<a", "submit\nclaim a\nanswer a\nto x;a!child;b<a => refused\nto a!child;b<a;c<b => a.child=2\n"
                          "ended a complete => a=complete b=ready\nto x;a!child;b<a;c<b => refused\nto a;b<a;c<b => refused");
}

TEST(a_map_over_children_has_as_many_at_once_as_it_may) {
  run_case("m!map2!child b<m",
           "submit\nclaim m\nanswer m list=3 => m=in_progress m.gives=1\nclaim m => started=m[1] m[1]=ready m[1].attempts=0\n"
           "claim m => started=m[2] m.gives=0\nclaim m => not\nanswer m[1] => m[1]=waiting m[1].wait=child m[1].child=2 m.gives=0\n"
           "release m[2] => m.gives=1\nclaim m => started=m[2]\nanswer m[2] => m[2].child=3\n"
           "ended m[1] complete => m[1]=complete m.gives=1 log=step.completed\nclaim m => started=m[3]\nanswer m[3] => m[3].child=4\n"
           "ended m[3] complete\nended m[2] complete => m=complete b=ready");
}

TEST(a_map_over_children_fails_retries_and_is_stopped_with_them) {
  run_case("m!map!child b<m",
           "submit\nclaim m\nanswer m list=3\nclaim m\nclaim m\nanswer m[1]\nanswer m[2]\nended m[1] error => m[1]=error m=in_progress "
           "m.gives=0 sent=\nended m[2] complete => m=error task=error\nretry => m=in_progress m[1]=ready m.gives=1 sent=\n"
           "claim m => m[1]=waiting m[1].child=2 m[1].attempts=2 sent=retry m.gives=1\nclaim m => started=m[3]\nanswer m[3]\n"
           "ended m[3] complete\nended m[1] complete => m=complete b=ready");
  run_case("m!map!child", "submit\nclaim m\nanswer m list=2\nclaim m\nclaim m\nanswer m[1]\npause => sent=pause\nanswer m[2] => "
                          "m[2]=ready m[2].child=0 m.held=1\nresume => sent=resume m.gives=1\nclaim m\nanswer m[2]\n"
                          "cancel => sent=cancel,cancel task=cancelled");
  run_case("m!map!child", "submit\nclaim m\nanswer m list=2\nclaim m\nanswer m[1]\n"
                          "cancel m => m=cancelled m[1]=cancelled sent=cancel task=error");
  run_case("m!map!child!retries!limit2",
           "submit\nclaim m\nanswer m list=1\nclaim m\nanswer m[1]\nended m[1] error => m[1]=waiting m[1].wait=retry\n"
           "tick 10 => m[1]=waiting m[1].wait=child sent=retry\nended m[1] error => m=error");
}

#endif
