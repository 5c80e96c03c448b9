/* Promises of maps, as text tables: part of test_decide.c. */

TEST(a_map_gives_its_elements_out_one_by_one_and_is_complete_with_the_last) {
  run_case("m!map b<m",
           "submit => m=ready\nclaim m => m=ready\nanswer m list=3 => m=in_progress m.gives=1 task=in_progress "
           "log=task.started,step.started\nclaim m => started=m[1] m[1]=in_progress m.gives=1\nclaim m => started=m[2]\n"
           "done m[2] => m[2]=complete m=in_progress log=step.completed\nclaim m => started=m[3] m.gives=0\nclaim m => not\n"
           "done m[1]\ndone m[3] => m=complete b=ready log=step.completed,step.completed\nclaim b\ndone b => task=complete");
  run_case("m!map b<m", "submit\nclaim m\nanswer m list=0 => m=complete b=ready log=step.completed");
  run_case("m!map b<m", "submit\nclaim m\nanswer m no => m=skipped b=skipped task=complete");
  run_case("m!map", "submit\nclaim m\ndeny m => m=error task=error");
  run_case("a m<a!map!alldone", "submit\nclaim a\nfail a perm => m=ready\nclaim m\nanswer m list=1\nclaim m\n"
           "done m[1] => task=error m=complete");
}

TEST(elements_run_within_the_limits_of_their_map_and_their_task) {
  run_case("m!map2", "submit\nclaim m\nanswer m list=3\nclaim m\nclaim m => m.gives=0\nclaim m => not\n"
                     "fail m[1] => m[1]=waiting m.gives=1\nclaim m => started=m[3]\ntick 10 => m[1]=ready m.gives=0\n"
                     "done m[2] => m.gives=1\nclaim m => started=m[1] m[1].attempts=2\ndone m[1]\ndone m[3] => task=complete");
  run_case("max=1 m!map a", "submit\nclaim a\nclaim m => not m.held=1\ndone a => m.held=0\nclaim m\n"
           "answer m list=2 => m.gives=1\n"
                            "claim m\nclaim m => not m.held=1 m.gives=0\ndone m[1] => m.held=0 m.gives=1\n"
                            "claim m => started=m[2]\n"
                            "done m[2] => task=complete");
  run_case("m!map", "submit\nclaim m\nanswer m list=2\npause\nclaim m => not m.held=1\nresume => m.gives=1 m.held=0\n"
                    "claim m\npause\ndone m[1] => task=paused\nresume\nclaim m\ndone m[2] => task=complete");
  run_case("m!map", "submit\nclaim m\npause\nanswer m list=2 => m=ready m.held=1 log=\nresume => m.held=0\nclaim m\n"
                    "answer m list=2 => m.gives=1");
}

TEST(elements_are_retried_lost_given_back_and_snoozed_like_steps) {
  run_case("m!map", "submit\nclaim m\nanswer m list=2\nclaim m\nclaim m\nlost m[1] => m[1]=ready m.gives=1\n"
                    "release m[2] => m[2]=ready\nclaim m => started=m[1]\nclaim m => started=m[2] m.gives=0\n"
                    "stale m[1] => fenced\nsnooze m[1] 5 => m[1]=waiting\nfail m[2] delay=0 => m[2]=ready\n"
                    "tick 5 => m[1]=ready\n"
                    "claim m => started=m[1]\nclaim m\ndone m[1]\nskip m[2] => m[2]=skipped m=complete task=complete");
}

TEST(a_map_with_too_many_failures_starts_nothing_more_and_is_in_error) {
  run_case("m!map b<m",
           "submit\nclaim m\nanswer m list=4\nclaim m\nclaim m\nclaim m\nsnooze m[1] 99\n"
           "fail m[2] perm => m=in_progress m.gives=0 m[1]=cancelled log=step.failed,step.cancelled\n"
           "tick 99 => m[1]=cancelled\n"
           "fail m[3] => m[3]=error m=error b=pending task=error log=step.failed,step.failed,task.failed");
  run_case("m!map!tol1 b<m", "submit\nclaim m\nanswer m list=2\nclaim m\nclaim m\nfail m[2] perm => m=in_progress\n"
                             "done m[1] => m=complete b=ready m[2]=error");
  run_case("m!map!tol0.5", "submit\nclaim m\nanswer m list=4\nclaim m\nfail m[1] perm => m.gives=1\nclaim m\nfail m[2] perm => "
                           "m.gives=1\nclaim m\nfail m[3] perm => task=error m[4]=pending");
  run_case("m!map!cont b<m", "submit\nclaim m\nanswer m list=1\nclaim m\nfail m[1] perm => m=error b=ready\nclaim b\n"
           "done b => task=complete");
  run_case("m!map", "submit\nclaim m\nanswer m list=1\nclaim m\npark m[1] => m[1]=waiting m[1].wait=person task=in_progress\n"
                    "retry m[1] => m[1]=ready\nclaim m\ndone m[1] => task=complete");
}

TEST(a_retry_gives_the_failed_elements_of_a_map_fresh_attempts) {
  run_case("m!map b<m",
           "submit\nclaim m\nanswer m list=4\nclaim m\nclaim m\nclaim m\ndone m[1]\nsnooze m[3] 9\nfail m[2] perm => m=error\n"
           "retry => task=in_progress m=in_progress m[1]=complete m[2]=ready m[3]=ready m.gives=1 m.attempts=2\n"
           "claim m => started=m[2]\nclaim m => started=m[3]\nclaim m => started=m[4]\ndone m[2]\ndone m[3]\n"
           "done m[4] => m=complete b=ready");
  run_case("m!map", "submit\nclaim m\nanswer m list=2\nclaim m\nclaim m\nfail m[1] perm\nfail m[2] perm => task=error\n"
                    "retry m[1] => task=in_progress m=in_progress m[1]=ready\nclaim m => started=m[1] m.gives=0\n"
                    "done m[1] => m=error task=error\n"
                    "retry m => m[2]=ready\nclaim m\ndone m[2] => task=complete\nretry m[2] => refused");
  run_case("m!map!limit1", "submit\nclaim m\nanswer m list=300\nclaim m\nfail m[1] => m=error\nretry => m[1]=ready m.gives=1");
}

TEST(a_person_settles_elements_of_a_map) {
  run_case("m!map b<m", "submit\nclaim m\nanswer m list=2\nclaim m\nfail m[1] perm => task=error\n"
                        "resolve m[1] => m=in_progress m[1]=resolved_manually m.gives=1 task=in_progress\nclaim m\n"
                        "done m[2] => m=complete b=ready");
  run_case("m!map", "submit\nclaim m\nanswer m list=2\nresolve m[1] => m[1]=resolved_manually\nclaim m => started=m[2]\n"
                    "done m[2] => task=complete\nresolve m[2] => refused");
  run_case("m!map!tol1", "submit\nclaim m\nanswer m list=3\ncancel m[2] => m[2]=cancelled\nclaim m => started=m[1]\n"
                         "claim m => started=m[3]\ndone m[1]\ncancel m[3] => m=error m[3]=cancelled task=error");
  run_case("m!map b<m", "submit\nclaim m\nanswer m list=1\nclaim m\nfail m[1] perm\n"
           "resolve m => m=resolved_manually b=ready m[1]=error\n"
                        "resolve m[1] => refused");
}

TEST(a_cancelled_map_ends_its_elements) {
  run_case("m!map", "submit\nclaim m\nanswer m list=4\nclaim m\nclaim m\nsnooze m[2] 9\n"
                    "cancel m => m=cancelled m[1]=cancelled m[2]=cancelled m[3]=pending task=error\ndone m[1] => fenced\n"
                    "retry => m=in_progress m[1]=ready m[2]=ready\nclaim m => started=m[1]");
  run_case("m!map b", "submit\nclaim m\nanswer m list=4\nclaim m\nclaim m\nfail m[1]\n"
           "cancel => task=cancelled m=cancelled m[1]=cancelled "
                      "m[2]=cancelled m[3]=pending\ntick 99 => m[1]=cancelled\ncancel m[3] => refused");
  run_case("timeout=10 m!map", "submit\nclaim m\nanswer m list=900\nclaim m\ntick 10 => task=error m[1]=cancelled m=cancelled\n"
                               "retry => m[1]=ready m.gives=1");
}

TEST(a_map_that_was_stopped_goes_on_when_what_failed_is_settled_before_the_rest_has_ended) {
  run_case("m!map!limit1", "submit\nclaim m\nanswer m list=3\nclaim m\nclaim m\nfail m[1] perm => m=in_progress m.gives=0\n"
                           "resolve m[1] => m=in_progress m.gives=1\nclaim m => started=m[3]\ndone m[2]\n"
                           "done m[3] => m=complete task=complete");
}
