-- What cannot work is refused where it is defined, and the refusal names the handler, the step or state, and the field.
local harness = require "spec.support.harness"
local tasker = require "tasker"

local HANDLER = "handler bad/input@1.0.0: "

local function run() return 1 end

local function of(definition)
  definition.namespace, definition.name, definition.version = "bad", "input", "1.0.0"
  return definition
end

-- Mistake, field, and the steps that have it; `step`: of which it is said. More fields of the handler in `more`.
local STEPS = {
  { "two kinds in one step", nil, { { name = "a", run = run, signal = "x" } }, says = "has both 'run' and 'signal'" },
  { "no kind", nil, { { name = "a" } }, says = "a step needs one of run, handler, child" },
  { "a cycle", "depends_on", { { name = "a", run = run, depends_on = "b" }, { name = "b", run = run, depends_on = "a" } },
    says = "makes a cycle: a -> b -> a" },
  { "a dependency that is none", "depends_on", { { name = "a", run = run, depends_on = "bb" }, { name = "b", run = run } },
    says = "names no step: 'bb'; did you mean 'b'?" },
  { "an unknown branch", "cases", { { name = "a", switch = run, cases = { x = { "nobody" } } } }, says = "names no step: 'nobody'" },
  { "an unknown default", "default", { { name = "a", switch = run, cases = { x = { "b" } }, default = "y" }, { name = "b", run = run } } },
  { "a step that no branch reaches", "join", { { name = "route", switch = run, cases = { x = { "l" }, y = { "r" } } },
    { name = "l", run = run }, { name = "r", run = run }, { name = "a", run = run, depends_on = { "l", "r" }, join = 2 } },
    says = "it is never reached" },
  { "all_done on itself", "depends_on", { { name = "a", run = run, depends_on = "a", join = "all_done" } }, says = "a -> a" },
  { "a join of nothing", "join", { { name = "a", run = run, join = "all_done" } } },
  { "a join of more than there are", "join", { { name = "b", run = run }, { name = "a", run = run, depends_on = "b", join = 2 } } },
  { "a join that is none", "join", { { name = "b", run = run }, { name = "a", run = run, depends_on = "b", join = "al_done" } } },
  { "a condition that is no function", "when", { { name = "a", run = run, when = true } } },
  { "an on_error that is none", "on_error", { { name = "a", run = run, on_error = "go" } } },
  { "a negative sleep", "sleep", { { name = "a", sleep = -1 } } },
  { "a signal without a name", "signal", { { name = "a", signal = "" } } },
  { "an on_timeout of another kind", "on_timeout", { { name = "a", signal = "s", timeout = 5, on_timeout = "reject" } } },
  { "an on_timeout without a timeout", "on_timeout", { { name = "a", approval = { approvers = { "ann" } }, on_timeout = "reject" } } },
  { "a quorum above the approvers", "approval.required", { { name = "a", approval = { approvers = { "ann" }, required = 2 } } } },
  { "an escalation at once", "approval.escalate[1].after",
    { { name = "a", approval = { approvers = { "ann" }, escalate = { { after = 0, approvers = { "boss" } } } } } } },
  { "a map of what cannot be mapped", "map", { { name = "a", map = run, sleep = 5 } } },
  { "a negative number of failures", "max_failures", { { name = "a", map = run, run = run, max_failures = -1 } } },
  { "no instance at once", "max_parallel", { { name = "a", map = run, run = run, max_parallel = 0 } } },
  { "a child that is no name", "child", { { name = "a", child = "x y" } } },
  { "an on_child_error that is none", "on_child_error", { { name = "a", child = "x", on_child_error = "stop" } } },
  { "a compensation that is no function", "compensate", { { name = "a", run = run, compensate = 5 } } },
  { "a compensate_on that is none", "compensate_on", { { name = "a", run = run, compensate = run, compensate_on = "never" } } },
  { "a decide that is no function", "retry.decide", { { name = "a", run = run, retry = { decide = 5 } } } },
  { "a hook that is no function", "on_failure", { { name = "a", run = run, on_failure = "x" } } },
  { "a schema that is none", "results_schema", { { name = "a", run = run, results_schema = { type = "strin" } } } },
  { "an on_invalid that is none", "on_invalid", { { name = "a", run = run, results_schema = { type = "string" }, on_invalid = "x" } } },
  { "a limit that nobody declared", "limits", { { name = "a", run = run, limits = { "bad.nobody" } } } },
  { "a limit that costs nothing", "limits", { { name = "a", run = run, limits = { { "bad.api", cost = 0 } } } } },
  { "a cron that never fires", "schedule", { { name = "a", run = run } }, more = { schedule = { cron = "0 0 30 2 *" } },
    says = "field 'cron': cron expression '0 0 30 2 *': it never fires", step = false },
  { "an unknown zone", "schedule", { { name = "a", run = run } }, more = { schedule = { cron = "0 0 * * *", timezone = "Europe/Berlyn" } },
    says = "there is no time zone 'Europe/Berlyn'", step = false },
  { "a rule that is none", "schedule", { { name = "a", run = run } }, more = { schedule = { rrule = "FREQ=SOMETIMES" } },
    says = "field 'rrule'", step = false },
  { "an overlap that is none", "schedule", { { name = "a", run = run } }, more = { schedule = { every = 5, overlap = "skipp" } },
    says = "field 'overlap'", step = false },
}

local MACHINES = {
  { "a state that cannot be reached", "c", { a = { run = run, on = { ok = "b" } }, b = { final = true }, c = { final = true } },
    says = "cannot be reached: nothing leads to it" },
  { "a target that is no state", "a", { a = { run = run, on = { ok = "bb" } }, b = { final = true } },
    says = "field 'on' leads to no state: 'bb'; did you mean 'b'?" },
  { "a dead end", "a", { a = { run = run } }, says = "is a dead end" },
  { "a limit that is over at once", "a", { a = { run = run, on = { ok = "b" }, after = { [0] = "b" } }, b = { final = true } },
    says = "field 'after'" },
  { "a guard that is no function", "a", { a = { run = run, on = { ok = { target = "b", guard = 5 } } }, b = { final = true } },
    says = "field 'on'" },
  { "a signal whose timeout leads nowhere", "a", { a = { signal = "s", timeout = 5, on = { s = "b" } }, b = { final = true } },
    says = "field 'on' lacks the outcome 'timeout'" },
  { "a rejection that leads nowhere", "a", { a = { approval = { approvers = { "ann" } }, on = { approve = "b" } }, b = { final = true } },
    says = "field 'on' lacks the outcome 'reject'" },
  { "an end that is none", "a", { a = { final = "maybe" } }, says = "field 'final'" },
}

describe("a definition is refused with", function()
  setup(function() tasker.limit("bad.api", { rate = 1, per = 1 }) end)

  for _, case in ipairs(STEPS) do
    it(case[1], function()
      local definition = of { steps = case[3] }
      for field, value in pairs(case.more or {}) do
        definition[field] = value
      end
      local at = case.step == false and "" or "step 'a': "
      harness.raises({ HANDLER .. at, case[2] and ("field '%s'"):format(case[2]) or at, case.says or "" }, tasker.handler, definition)
    end)
  end

  for _, case in ipairs(MACHINES) do
    it(case[1], function()
      harness.raises({ ("%sstate '%s': "):format(HANDLER, case[2]), case.says }, tasker.machine, of { initial = "a", states = case[3] })
    end)
  end

  it("an initial state that is none", function()
    harness.raises({ HANDLER .. "field 'initial' names no state: 'z'" }, tasker.machine,
      of { initial = "z", states = { a = { final = true } } })
  end)
end)

describe("what is declared apart is refused with", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  it("a limit of zero", function()
    harness.raises({ "tasker.limit 'bad.zero': field 'rate' must be a number above 0" }, tasker.limit, "bad.zero", { rate = 0, per = 1 })
    harness.raises({ "tasker.limit 'bad.zero': field 'concurrency'" }, tasker.limit, "bad.zero", { concurrency = 0 })
    harness.refused("invalid", { "rate" }, app:set_limit("bad.api", { rate = 0 }))
  end)

  it("a schedule that never fires, in no zone, of no handler", function()
    local handler = harness.one_step(run)
    harness.refused("invalid", { "field 'cron'", "never fires" }, app:schedule { name = "s", handler = handler, cron = "0 0 30 2 *" })
    harness.refused("invalid", { "field 'timezone'" },
      app:schedule { name = "s", handler = handler, cron = "0 0 * * *", timezone = "Mars/X" })
    harness.refused("not_found", { "bad/nobody" }, app:schedule { name = "s", handler = "bad/nobody", cron = "0 0 * * *" })
  end)

  it("a migration from or to a step that is not there", function()
    local function version(number, name)
      return tasker.handler { namespace = "bad", name = "moving", version = number, steps = { { name = name, run = run } } }
    end
    version("1.0.0", "a")
    version("2.0.0", "b")
    assert(app:submit("bad/moving@1.0.0", {}))
    assert(app:submit("bad/moving@2.0.0", {}))
    local function migrate(steps)
      return app:migrate { handler = "bad/moving", from = "1.0.0", to = "2.0.0", steps = steps }
    end
    harness.refused("invalid", { "bad/moving@2.0.0", "'c'" }, migrate { a = "c" })
    harness.refused("invalid", { "bad/moving@1.0.0", "'z'" }, migrate { z = "b" })
  end)
end)
