/* Promises of machines, as text tables: part of test_decide.c. */

TEST(a_machine_visits_one_state_after_the_other_and_skips_what_it_never_came_to) {
  run_case("machine a!go:ok:b b!go:back:a!go:ok:e c!go:x:e e!final",
           "submit => a=ready b=pending log=task.created\nclaim a\ndone a to=b => a=complete b=ready log=step.completed\n"
           "claim b\ndone b to=a => a[2]=ready task=in_progress\nclaim a[2] => a[2]=in_progress\n"
           "fail a[2] => a[2]=waiting\ntick 10\n"
           "claim a[2] => a[2].attempts=2\ndone a[2] to=b => b[2]=ready\nclaim b[2]\n"
           "done b[2] to=e => task=complete c=skipped e=complete "
           "log=step.completed,step.completed,step.skipped,task.completed");
  run_case("machine a!go:ok:e e!finalerror", "submit\nclaim a\ndone a to=e => e=error task=error");
  run_case("machine a!limit1!go:ok:e e!final",
           "submit\nclaim a\nfail a => task=error e=pending\nretry => a=ready\nclaim a\ndone a to=e => task=complete");
  run_case("machine a!limit1!go:ok:a!go:end:e e!final",
           "submit\nclaim a\ndone a to=a\nclaim a[2]\nfail a[2] => task=error a[2]=error\nretry => a[2]=ready a=complete\n"
           "claim a[2]\ndone a[2] to=e => task=complete");
}

TEST(a_state_that_was_cancelled_before_it_was_visited_is_skipped_when_its_machine_is_retried_at_its_end) {
  run_case("machine a!go:ok:e c!go:x:e e!final",
           "submit\ncancel c\nclaim a\ndone a to=e => e=complete c=cancelled task=error\n"
           "retry => c=skipped task=complete");
}

TEST(states_that_wait_lead_on_by_what_came) {
  run_case("machine s!sig!within10!completes!go:s:e!go:timeout:t t!sleep5!go:done:s e!final",
           "submit => s=waiting\ntick 10 => s=complete t=waiting\ntick 5 => s[2]=waiting\n"
           "signal s => s[2]=complete task=complete");
  run_case("machine s!sig!go:s:a a!go:ok:s!go:end:e e!final",
           "submit\nsignal s => a=ready\nsignal s\nclaim a\ndone a to=s => s[2]=complete a[2]=ready\nclaim a[2]\n"
           "done a[2] to=e => task=complete");
  run_case("machine p!appr!onno!go:approve:e!go:reject:r r!go:ok:p e!final",
           "submit\nclaim p\npeople p ann\nvote ann p reject => r=ready\nclaim r\ndone r to=p => p[2]=ready\nclaim p[2]\n"
           "people p[2] ann\n"
           "vote ann p[2] approve => task=complete");
}

TEST(a_limit_ends_its_state_and_the_state_its_limit) {
  run_case("machine a!after:l!go:ok:e l!sleep10!go:after:b b!go:ok:e e!final",
           "submit => a=ready l=waiting\nclaim a\ntick 10 => a=skipped l=complete b=ready\ndone a to=e => fenced\nclaim b\n"
           "done b to=e => task=complete");
  run_case("machine a!after:l!go:ok:e l!sleep10!go:after:b b!go:ok:a e!final",
           "submit\nclaim a\ntick 10\nclaim b\ndone b to=a => a[2]=ready l[2]=waiting\nclaim a[2]\n"
           "done a[2] to=e => l[2]=skipped task=complete");
  run_case("machine a!limit1!after:l!go:ok:e l!sleep10!go:after:e e!final",
           "submit\nclaim a\nfail a => l=skipped task=error\nretry => a=ready l[2]=waiting\n"
           "tick 10 => a=skipped task=complete");
  run_case("machine s!sig!after:l!go:s:e l!sleep10!go:after:e e!final", "submit\ntick 10 => s=skipped task=complete");
}

TEST(parts_of_a_parallel_state_go_on_together_when_all_are_done) {
  run_case("machine p!pass!go:begin:a!go:begin:b a!go:ok:j b!go:ok:j j!pass!need2!go:done:c c!go:again:p!go:ok:e e!final",
           "submit => p=complete a=ready b=ready\nclaim a\ndone a to=j => j=pending\nclaim b\n"
           "done b to=j => j=complete c=ready\nclaim c\n"
           "done c to=p => a[2]=ready b[2]=ready\nclaim b[2]\ndone b[2] to=j\nclaim a[2]\n"
           "done a[2] to=j => j[2]=complete c[2]=ready\n"
           "claim c[2]\ndone c[2] to=e => task=complete");
}

TEST(a_history_goes_to_what_was_left_last) {
  run_case("machine h!history!go:last:a!go:last:b!go:first:a a!go:ok:b!go:x:o b!go:x:o o!go:back:h!go:ok:e e!final",
           "submit => h=complete a=ready\nclaim a\ndone a to=b\nclaim b\ntick 1\ndone b to=o\nclaim o\n"
           "done o to=h => b[2]=ready\n"
           "claim b[2]\ndone b[2] to=o\nclaim o[2]\ndone o[2] to=e => task=complete");
}

TEST(a_person_settles_a_visit_by_its_outcome) {
  run_case("machine a!limit1!go:ok:e!go:no:b b!go:ok:e e!final",
           "submit\nclaim a\nfail a\nresolve a as=maybe => refused\n"
           "resolve a as=no => a=resolved_manually b=ready task=in_progress\n"
           "resolve e => refused\nresolve b => b=resolved_manually task=complete");
}

TEST(a_machine_is_paused_cancelled_and_timed_out_like_any_task) {
  run_case("machine a!go:ok:b b!go:ok:e e!final",
           "submit\nclaim a\npause\ndone a to=b => b.held=1\nresume => b.held=0\nclaim b\n"
           "cancel => task=cancelled b=cancelled e=cancelled");
  run_case("machine timeout=10 a!go:ok:b b!sig!go:b:a!go:x:e e!final",
           "submit\nclaim a\ndone a to=b\nsignal b => a[2]=ready\ntick 10 => task=error a[2]=cancelled\n"
           "retry => a[2]=ready e=pending task=in_progress\nclaim a[2]\ndone a[2] to=e => task=complete");
  run_case("machine a!go:ok:e e!final",
           "submit run_at=5 => a=pending\ntick 5 => a=ready\nclaim a\ndone a to=e => task=complete");
}
