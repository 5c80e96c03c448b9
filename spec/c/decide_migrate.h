/* Migrations as text tables: the part of test_decide.c that is about them. */
#ifndef TK_SPEC_DECIDE_MIGRATE_H
#define TK_SPEC_DECIDE_MIGRATE_H

TEST(a_migrated_task_goes_on_where_it_stood) {
  run_case("a b<a c<b", "submit\nclaim a\ndone a\nto a;b<a;c<b => a=complete b=ready c=pending log=task.migrated\n"
           "claim b\ndone b\nclaim c\n"
                        "done c => task=complete");
  run_case("a b<a", "submit\nclaim a\ndone a\nto first;last<first a=first b=last => first=complete last=ready\nclaim last\n"
                    "done last => task=complete");
  run_case("a b<a c", "submit\nclaim a\ndone a\nto c;b;a b=b => a=complete b=ready c=ready\nclaim b\nclaim c\ndone b\n"
           "done c => task=complete");
}

TEST(a_new_step_runs_where_something_still_waits_for_it) {
  run_case("a b<a", "submit\nclaim a\ndone a\nto a;x<a;b<x => x=ready b=pending\nclaim b => not\nclaim x\n"
           "done x => b=ready\nclaim b\n"
                    "done b => task=complete");
  run_case("a b<a", "submit\nto a;x;b<a,x => a=ready x=ready b=pending");
  run_case("a b<a", "submit\nclaim a\ndone a\nto a;b<a;x<b;y => b=ready y=ready x=pending");
}

TEST(a_new_step_that_comes_too_late_is_passed_over) {
  run_case("a b<a c<b", "submit\nclaim a\ndone a\nclaim b\ndone b\nto a;x<a;y<x;b<y;c<b => x=skipped y=skipped c=ready "
                        "log=task.migrated,step.skipped,step.skipped\nclaim c\ndone c => task=complete");
  run_case("a", "submit\nclaim a\nfail a => a=waiting\nto x;a<x => x=skipped a=waiting\ntick 10 => a=ready\nclaim a\n"
           "done a => task=complete");
  run_case("a", "submit\nclaim a\nlost a => a=ready\nto x;a<x => x=skipped a=ready\nclaim a => a.attempts=2\n"
           "done a => task=complete");
}

TEST(what_waits_goes_on_waiting_in_its_new_place) {
  run_case("a!sleep30 b<a", "submit\ntick 10\nto z;a2!sleep99;b<a2 a=a2 => a2=waiting a2.wait=timer\n"
                            "tick 19 => a2=waiting\ntick 1 => a2=complete b=ready");
  run_case("a b!sig!within30", "submit => b=waiting\nto b!sig!within30;a => b=waiting a=ready\nsignal b => b=complete");
  run_case("a b!sig!within30", "submit\nto b!sig!within30;a\ntick 30 => b=error");
  run_case("a!sig", "submit\nsignal n\nto n!sig a=n => n=complete task=complete log=task.migrated,step.completed,task.completed");
  run_case("a b!sig", "submit\nto a;c;n<c!sig b=n => n=pending a=ready c=ready");
  run_case("a!limit1", "submit\nclaim a\nsnooze a 30\nto b;a => a=waiting\ntick 30 => a=ready");
}

TEST(what_cannot_map_is_refused_and_changes_nothing) {
  run_case("a b<a", "submit\nclaim a\nto a;b<a => refused a=in_progress\ndone a\nto b => refused a=complete\n"
           "to b a= => b=ready\nclaim b\n"
                    "done b => task=complete");
  run_case("a b", "submit\nclaim a\nfail a\nto b => refused\nto b a= => refused\nto a!sig;b => refused a=waiting");
  run_case("a b", "submit\nto c a=c b=c => refused");
  run_case("a", "submit\nclaim a\ndone a => task=complete\nto a;b => refused\n");
  run_case("a!ask", "submit\nclaim a\nto a;b => refused\nanswer a\nto a!ask;b => a=ready\nclaim a\nanswer a\nclaim a\n"
           "done a => a=complete");
  run_case("z a!appr", "submit\nclaim a\npeople a ann\nto a!appr;z => refused\nto y;a!appr z=y => a=waiting\n"
           "vote ann a approve => a=complete");
}

TEST(a_switch_that_has_chosen_takes_no_new_cases) {
  run_case("s!case:l:x!case:r:y x<s y<s",
           "submit\nclaim s\nanswer s case=0 => x=ready y=skipped\n"
           "to s!case:l:x!case:r:y;w<s;x<s;y<s => w=ready x=ready y=skipped\n"
           "to s!case:l:x!case:r:y!case:n:n;n<s;w<s;x<s;y<s => refused\nclaim x\ndone x\nclaim w\ndone w => task=complete");
}

TEST(a_task_in_error_is_migrated_and_retried_on_the_new_version) {
  run_case("a b<a", "submit\nclaim a\nfail a perm => task=error\nto a;n;b<a,n => task=error a=error n=pending log=task.migrated\n"
                    "retry => task=in_progress a=ready n=ready\nclaim a\ndone a\nclaim n\ndone n => b=ready");
  run_case("a b<a", "submit\nclaim a\nfail a perm\nto a;n;b<a,n\nresolve a => task=in_progress n=ready b=pending");
  run_case("a b<a", "submit\nclaim a\nfail a perm\nto b a= => task=error\nretry => b=ready\nclaim b\ndone b => task=complete");
  run_case("a b<a", "submit\nclaim a\nfail a perm\nto a!cont;b<a\nretry => b=ready\nclaim b\ndone b => task=complete");
  run_case("a b c<a,b!alldone", "submit\nclaim a\nfail a perm\nto a;b;c<a,b!alldone => b=ready\nclaim b\ndone b => c=ready");
}

TEST(a_paused_or_delayed_task_is_migrated_as_it_stands) {
  run_case("a b<a", "submit\npause\nto a;n => task=paused a=ready a.held=1 n.held=1\nresume => a.held=0 n.held=0");
  run_case("a", "submit run_at=60\nto a;n => task=pending a=pending n=pending\ntick 60 => a=ready n=ready");
  run_case("a b<a", "submit run_at=60\nresolve a => b=ready b.held=1\n"
                    "to a;b<a;n => b=ready b.held=1 n=pending\ntick 60 => b.held=0 n=ready");
  run_case("a!skip b<a", "submit bypass=a => a=skipped b=ready\nto a;x;b<a,x => b=pending x=ready\nclaim x\ndone x => b=ready");
  run_case("a b<a", "submit\nto b a= => b=ready\nclaim b\ndone b => task=complete");
  run_case("a b", "submit\nclaim a\ndone a\nto a => task=complete log=task.migrated,task.completed");
}

TEST(a_map_goes_on_by_the_new_version_where_it_stood) {
  run_case("a!map!map1 b<a",
           "submit\nclaim a\nanswer a list=3 => a=in_progress a.gives=1\nto a!map;b<a => a=in_progress a.gives=1\nclaim a\nto a!map;b<a "
           "=> refused\ndone a[1]\nto b;a!map => refused\nto a!map;c<a b=c => a.gives=1\nclaim a\nclaim a\ndone a[2]\ndone a[3] => "
           "a=complete c=ready");
  run_case("a!map b<a", "submit\nclaim a\nanswer a list=2\nto a;b<a => refused\nto a!map;b<a;c => refused\nto c!map;b<c a= => refused\n"
                        "pause\n"
                        "to a!map;n b=n => a=in_progress n=ready n.held=1\nresume => a.gives=1");
}

TEST(a_task_may_get_a_map_by_the_turn_that_made_it) {
  run_case("a b<a", "submit => a=ready\nto a!map;b<a => a=ready\nclaim a\nanswer a list=2\nclaim a\ndone a[1]\nclaim a\ndone a[2] "
                    "=> a=complete b=ready\nclaim b\ndone b => task=complete");
}

#endif
