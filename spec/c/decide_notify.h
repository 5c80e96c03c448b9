/* Promises of notifications, as text tables: part of test_decide.c. The n-th of an approval a is a:notify[n]. */

TEST(people_are_told_once_a_round_and_their_decision_waits_for_nobody) {
  run_case("a!appr!notify b<a",
           "submit\nclaim a\npeople a ann,bob 2 10:boss => a=waiting a:notify[1]=ready log=task.started,step.waiting\n"
           "claim a:notify[1] => a:notify[1]=in_progress a=waiting log=step.started\n"
           "done a:notify[1] => a:notify[1]=complete a=waiting task=in_progress log=step.completed\n"
           "vote ann a approve => a=waiting\ntick 10 => a:notify[2]=ready log=step.approval_escalated\n"
           "vote bob a approve => a=complete b=ready a:notify[2]=cancelled log=step.approval_decided,step.cancelled,step.completed\n"
           "claim a:notify[2] => not\nclaim b\ndone b => task=complete");
  run_case("a!appr!notify", "submit\nclaim a\npeople a ann 2 => a=error task=error log=step.failed,task.failed");
}

TEST(a_notification_is_retried_and_its_failure_means_nothing_to_the_approval) {
  run_case("a!appr!notify!limit2",
           "submit\nclaim a\npeople a ann\nclaim a:notify[1]\nfail a:notify[1] => a:notify[1]=waiting a:notify[1].wait=retry "
           "log=step.failed,step.retry_scheduled\ntick 10 => a:notify[1]=ready\nclaim a:notify[1]\nlost a:notify[1] => "
           "a:notify[1]=ready\nclaim a:notify[1]\nbeat a:notify[1]\nfail a:notify[1] => a:notify[1]=error a=waiting task=in_progress "
           "log=step.failed\nretry a:notify[1] => refused\nresolve a:notify[1] => refused\nvote ann a approve => task=complete");
  run_case("a!appr!notify", "submit\nclaim a\npeople a ann\nclaim a:notify[1]\nsnooze a:notify[1] 5 => a:notify[1]=waiting\n"
                            "vote ann a approve => a:notify[1]=cancelled task=complete\ntick 5 => log=");
}

TEST(what_is_being_told_when_the_approval_ends_is_told_and_not_repeated) {
  run_case("a!appr!notify", "submit\nclaim a\npeople a ann\nclaim a:notify[1]\nvote ann a approve => a=complete "
                            "a:notify[1]=in_progress task=in_progress\ndone a:notify[1] => task=complete");
  run_case("a!appr!notify", "submit\nclaim a\npeople a ann\nclaim a:notify[1]\nvote ann a reject => a=error task=in_progress\n"
                            "fail a:notify[1] => a:notify[1]=cancelled task=error");
  run_case("a!appr!notify", "submit\nclaim a\npeople a ann\nclaim a:notify[1]\nvote ann a approve\n"
                            "release a:notify[1] => a:notify[1]=cancelled task=complete");
  run_case("a!appr!notify", "submit\nclaim a\npeople a ann\nclaim a:notify[1]\nvote ann a approve\n"
                            "lost a:notify[1] => a:notify[1]=cancelled task=complete");
}

TEST(a_notification_is_held_and_cancelled_as_any_other_step) {
  run_case("max=1 a!appr!notify b", "submit\nclaim b\nclaim a => not\ndone b\nclaim a\npeople a ann => a:notify[1]=ready\n"
                                    "claim a:notify[1]\ndone a:notify[1]\nvote ann a approve => task=complete");
  run_case("a!appr!notify", "submit\nclaim a\npause\npeople a ann => a:notify[1].held=1\nresume => a:notify[1].held=0\n"
                            "cancel => a=cancelled a:notify[1]=cancelled task=cancelled");
  run_case("a!appr!notify", "submit\nclaim a\npeople a ann\nclaim a:notify[1]\ncancel a:notify[1] => a:notify[1]=cancelled a=waiting\n"
                            "done a:notify[1] => fenced\nvote ann a approve => task=complete");
  run_case("timeout=30 a!appr!notify", "submit\nclaim a\npeople a ann\nclaim a:notify[1]\ntick 30 => a:notify[1]=cancelled task=error");
}

TEST(a_retried_approval_tells_people_anew) {
  run_case("a!appr!notify", "submit\nclaim a\npeople a ann\nclaim a:notify[1]\ndone a:notify[1]\nvote ann a reject => task=error\n"
                            "retry => a=ready a:notify[1]=complete\nclaim a\npeople a ann => a:notify[2]=ready\nclaim a:notify[2]\n"
                            "fail a:notify[2] perm => a:notify[2]=error\nvote ann a approve => task=complete");
}

TEST(each_visit_of_a_state_tells_people) {
  run_case("machine p!appr!notify!onno!go:approve:e!go:reject:p e!final",
           "submit\nclaim p\npeople p ann\nclaim p:notify[1]\ndone p:notify[1]\nvote ann p reject => p=complete p[2]=ready\nclaim p[2]\n"
           "people p[2] ann => p:notify[2]=ready\nclaim p:notify[2]\nfail p:notify[2] perm => p:notify[2]=error task=in_progress\n"
           "vote ann p[2] approve => task=complete");
}
