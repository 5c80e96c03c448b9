local harness = require "spec.support.harness"
local tasker = require "tasker"

-- A handler with an approval between two steps; fields of the approval's step.
local function asking(fields, spec)
  local step = { name = "accept", depends_on = "write",
    approval = spec or { approvers = { "ann", "bob", "eve" }, required = 2 } }
  for name, value in pairs(fields or {}) do
    step[name] = value
  end
  return harness.handler { steps = {
    { name = "write", run = function(task) return { text = task.context.text or "x" } end },
    step,
    { name = "publish", depends_on = "accept", run = function(task) return task.results.accept.decision end },
  } }
end

local function submitted(app, handler, context, options)
  local id = assert(app:submit(handler, context, options))
  assert(app:work { until_idle = 10 })
  return id
end

local function worked(app, id)
  assert(app:work { until_idle = 10 })
  return assert(app:task(id))
end

for _, kind in ipairs(harness.kinds) do
  describe("approvals, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("a step waits until enough people agree, and its results tell who did", function()
      local id = submitted(app, asking())
      local task = assert(app:task(id))
      assert.equal("waiting", task.steps.accept.status)
      assert.equal("approval", task.steps.accept.waiting_for)
      assert.same({ "ann", "bob", "eve" }, task.steps.accept.approval.approvers)
      assert.equal(2, task.steps.accept.approval.required)
      task = assert(app:approve(id, "accept", { by = "ann", comment = "fine" }))
      assert.equal("waiting", task.steps.accept.status)
      assert.equal(1, task.steps.accept.approval.approvals)
      task = assert(app:approve(id, "accept", { by = "eve", decision = "approve", form = { limit = 5 } }))
      assert.equal("complete", task.steps.accept.status)
      assert.is_nil(task.steps.accept.approval)
      task = worked(app, id)
      assert.equal("complete", task.status)
      assert.equal("approve", task.results.publish)
      local results = task.results.accept
      assert.equal("approve", results.decision)
      assert.equal("ann", results.decisions[1].by)
      assert.equal("fine", results.decisions[1].comment)
      assert.equal("eve", results.decisions[2].by)
      assert.same({ limit = 5 }, results.decisions[2].form)
      assert.is_truthy(tasker.time.parse(results.decisions[2].at))
    end)

    it("one approval is enough unless the definition says more", function()
      local id = submitted(app, asking(nil, { approvers = "ann" }))
      assert.equal("complete", assert(app:approve(id, "accept", { by = "ann" })).steps.accept.status)
    end)

    it("`required = \"all\"` waits for everybody", function()
      local id = submitted(app, asking(nil, { approvers = { "ann", "bob" }, required = "all" }))
      assert.equal("waiting", assert(app:approve(id, "accept", { by = "bob" })).steps.accept.status)
      assert.equal("complete", assert(app:approve(id, "accept", { by = "ann" })).steps.accept.status)
    end)

    it("who is not asked, has decided or comes too late is refused", function()
      local id = submitted(app, asking())
      harness.refused("refused", { "mallory", "accept" }, app:approve(id, "accept", { by = "mallory" }))
      assert(app:approve(id, "accept", { by = "ann" }))
      harness.refused("refused", { "ann", "already" }, app:approve(id, "accept", { by = "ann" }))
      harness.refused("refused", { "ann", "already" }, app:reject(id, "accept", { by = "ann" }))
      assert(app:approve(id, "accept", { by = "bob" }))
      harness.refused("refused", { "complete", "already" }, app:approve(id, "accept", { by = "eve" }))
      harness.refused("invalid", { "write", "no approval" }, app:approve(id, "write", { by = "ann" }))
      harness.refused("not_found", "nothing", app:approve(id, "nothing", { by = "ann" }))
    end)

    it("when the quorum cannot be reached any more the step is in error with `rejected`", function()
      local id = submitted(app, asking())
      local task = assert(app:reject(id, "accept", { by = "ann", comment = "too dear" }))
      assert.equal("waiting", task.steps.accept.status)
      task = assert(app:reject(id, "accept", { by = "bob" }))
      assert.equal("error", task.steps.accept.status)
      assert.equal("error", task.status)
      assert.equal("rejected", task.errors.accept.code)
      assert.equal("too dear", task.errors.accept.details.decisions[1].comment)
      assert.equal("pending", task.steps.publish.status)
    end)

    it("with `on_reject = \"complete\"` a rejection is a result to branch on", function()
      local id = submitted(app, asking({ on_reject = "complete" }, { approvers = { "ann" } }))
      assert(app:reject(id, "accept", { by = "ann" }))
      local task = worked(app, id)
      assert.equal("complete", task.status)
      assert.equal("reject", task.results.publish)
    end)

    it("a veto is the end, whatever the others say", function()
      local id = submitted(app, asking(nil, { approvers = { "ann", "bob", "eve" }, veto = { "eve" } }))
      assert.equal("waiting", assert(app:reject(id, "accept", { by = "ann" })).steps.accept.status)
      assert.equal("rejected", assert(app:reject(id, "accept", { by = "eve" })).errors.accept.code)
      id = submitted(app, asking(nil, { approvers = { "ann", "bob" }, veto = true }))
      assert.equal("rejected", assert(app:reject(id, "accept", { by = "bob" })).errors.accept.code)
    end)

    it("nobody approves what they started when `no_self_approval` says so", function()
      local handler = asking(nil, { approvers = { "ann", "bob" }, no_self_approval = true })
      local id = submitted(app, handler, {}, { initiator = "ann" })
      harness.refused("refused", { "ann", "started" }, app:approve(id, "accept", { by = "ann" }))
      harness.refused("refused", { "ann", "started" },
        app:approve(id, "accept", { by = "bob", decision = "delegate", to = "ann" }))
      assert.equal("complete", assert(app:approve(id, "accept", { by = "bob" })).steps.accept.status)
      handler = asking(nil, { approvers = { "ann" }, no_self_approval = true })
      id = submitted(app, handler, {}, { initiator = "ann" })
      assert.equal("rejected", assert(app:task(id)).errors.accept.code)
    end)

    it("a form must be what its schema says, at the step's own definition", function()
      local form = { type = "object", required = { "amount" }, properties = { amount = { type = "integer", minimum = 1 } } }
      local id = submitted(app, asking(nil, { approvers = { "ann" }, form = form }))
      local err = harness.refused("invalid", { "/amount" },
        app:approve(id, "accept", { by = "ann", form = { amount = 0 } }))
      assert.equal("/amount", err.details.errors[1].instance)
      harness.refused("invalid", "amount", app:approve(id, "accept", { by = "ann" }))
      assert.equal("waiting", assert(app:task(id)).steps.accept.status)
      assert.equal("complete", assert(app:approve(id, "accept", { by = "ann", form = { amount = 3 } })).steps.accept.status)
      id = submitted(app, asking(nil, { approvers = { "ann" }, form = form }))
      assert.equal("error", assert(app:reject(id, "accept", { by = "ann" })).steps.accept.status)
    end)

    it("the right to decide is passed on to somebody else", function()
      local id = submitted(app, asking(nil, { approvers = { "ann", "bob" }, required = 2 }))
      local task = assert(app:approve(id, "accept", { by = "ann", decision = "delegate", to = "zoe" }))
      assert.same({ "bob", "zoe" }, task.steps.accept.approval.approvers)
      harness.refused("refused", { "ann", "passed" }, app:approve(id, "accept", { by = "ann" }))
      harness.refused("refused", { "zoe", "asked already" },
        app:approve(id, "accept", { by = "bob", decision = "delegate", to = "zoe" }))
      assert(app:approve(id, "accept", { by = "zoe" }))
      task = assert(app:approve(id, "accept", { by = "bob" }))
      assert.equal("complete", task.steps.accept.status)
      assert.equal("zoe", task.results.accept.decisions[1].to)
      harness.refused("invalid", "to", app:approve(id, "accept", { by = "bob", decision = "delegate" }))
      harness.refused("invalid", "to", app:approve(id, "accept", { by = "bob", to = "eve" }))
    end)

    it("a request for changes ends the approval; a retry asks everybody anew", function()
      local id = submitted(app, asking())
      local task = assert(app:reject(id, "accept", { by = "ann", decision = "changes", comment = "shorter" }))
      assert.equal("changes_requested", task.errors.accept.code)
      task = assert(app:retry(id, { step = "accept" }))
      assert.equal("in_progress", task.status)
      task = worked(app, id)
      assert.equal(0, task.steps.accept.approval.approvals)
      assert(app:approve(id, "accept", { by = "ann" }))
      assert.equal("complete", assert(app:approve(id, "accept", { by = "bob" })).steps.accept.status)
      id = submitted(app, asking({ on_reject = "complete" }))
      assert(app:reject(id, "accept", { by = "bob", decision = "changes" }))
      assert.equal("changes", worked(app, id).results.publish)
    end)

    it("what was shown is kept by hash, and a vote on something else is a conflict", function()
      local handler = asking(nil, { approvers = { "ann" } })
      local a, b, c = submitted(app, handler, { text = "one" }), submitted(app, handler, { text = "two" }),
        submitted(app, handler, { text = "one" })
      local function hash(id) return assert(app:task(id)).steps.accept.approval.shown_hash end
      assert.equal(64, #hash(a))
      assert.equal(hash(a), hash(c))
      assert.not_equal(hash(a), hash(b))
      harness.refused("conflict", "shown", app:approve(a, "accept", { by = "ann", shown_hash = hash(b) }))
      local task = assert(app:approve(a, "accept", { by = "ann", shown_hash = hash(a) }))
      assert.equal(hash(c), task.results.accept.shown_hash)
    end)

    it("approvers and inputs may be functions of the task", function()
      local handler = asking({ inputs = function(task) return { about = task.results.write.text } end },
        { approvers = function(task) return task.context.bosses end, required = "all" })
      local id = submitted(app, handler, { bosses = { "kim", "lee", "kim" }, text = "plan" })
      local step = assert(app:task(id)).steps.accept
      assert.same({ "kim", "lee" }, step.approval.approvers)
      assert.same({ about = "plan" }, step.inputs)
      assert.equal(2, step.approval.required)
      id = submitted(app, handler, { bosses = tasker.array {} })
      assert.matches("at least one", assert(app:task(id)).errors.accept.message, 1, true)
      id = submitted(app, handler, { bosses = 5 })
      assert.equal("error", assert(app:task(id)).steps.accept.status)
    end)

    it("a deadline approves, rejects or fails, as the definition says", function()
      for on_timeout, expected in pairs { approve = "approve", reject = "rejected", fail = "timeout" } do
        local id = assert(app:submit(asking({ timeout = 0.05, on_timeout = on_timeout })))
        app:work_for(id)
        local task = assert(app:task(id))
        if on_timeout == "approve" then
          assert.equal(expected, task.results.publish)
          assert.is_true(task.results.accept.timed_out)
        else
          assert.equal(expected, task.errors.accept.code)
        end
      end
      local id = assert(app:submit(asking { timeout = 0.05, on_timeout = "reject", on_reject = "complete" }))
      assert.equal("reject", assert(app:work_for(id)).results.publish)
    end)

    it("an escalation adds approvers and is a round of its own", function()
      local id = assert(app:submit(asking(nil, { approvers = { "ann" }, escalate = { { after = 0.05, approvers = { "boss" } } } })))
      harness.eventually(function()
        assert(app:work { until_idle = 10 })
        return assert(app:task(id)).steps.accept.approval.round == 2
      end)
      local step = assert(app:task(id)).steps.accept
      assert.same({ "ann", "boss" }, step.approval.approvers)
      assert.equal(1, step.approval.required)
      local events = harness.events_of(app, "step.approval_escalated", id)
      assert.same({ round = 2, approvers = { "boss" } }, events[1].data)
      assert.equal("complete", assert(app:approve(id, "accept", { by = "boss" })).steps.accept.status)
    end)

    it("`notify` tells people once a round, is retried by the step's policy and shows who is asked", function()
      local told = {}
      local handler = asking({ inputs = { sum = 5 }, retry = { limit = 2, backoff = "none" }, notify = function(task, step)
        told[#told + 1] = { step.round, step.attempt, table.concat(step.approvers, ","), step.name, step.inputs.sum,
          task.results.write.text, step.idempotency_key }
        return step.round == 1 and step.attempt == 1 and error "the mail server is away" or nil
      end }, { approvers = { "ann" }, escalate = { { after = 0.05, approvers = { "boss" } } } })
      local id = assert(app:submit(handler))
      harness.eventually(function()
        assert(app:work { until_idle = 10 })
        return #told == 3
      end)
      -- Work that is idle ends, and may give back what it has just claimed, which counts as a start.
      assert.is_true(told[3][2] <= 2)
      told[3][2] = 1
      assert.same({
        { 1, 1, "ann", "accept", 5, "x", id .. ":accept:notify[1]" }, { 1, 2, "ann", "accept", 5, "x", id .. ":accept:notify[1]" },
        { 2, 1, "ann,boss", "accept", 5, "x", id .. ":accept:notify[2]" },
      }, told)
      local names = {}
      for _, event in ipairs(assert(app:events { after = 0, task_id = id })) do
        names[#names + 1] = (event.step or ""):find("notify", 1, true) and event.event .. " " .. event.step or nil
      end
      assert.same({ "step.started accept:notify[1]", "step.failed accept:notify[1]", "step.retry_scheduled accept:notify[1]",
        "step.started accept:notify[1]", "step.completed accept:notify[1]", "step.started accept:notify[2]",
        "step.completed accept:notify[2]" }, names)
      assert(app:approve(id, "accept", { by = "boss" }))
      local task = worked(app, id)
      assert.equal("complete", task.status)
      assert.equal(3, #task.steps)
    end)

    it("a `notify` that fails for good is in the log and leaves the approval as it is", function()
      local id = submitted(app, asking { notify = function() error(tasker.permanent("no such address", { code = "smtp" })) end })
      local failed = harness.events_of(app, "step.failed", id)
      assert.equal(1, #failed)
      assert.equal("accept:notify[1]", failed[1].step)
      assert.equal("smtp", failed[1].data.error.code)
      assert.equal("waiting", assert(app:task(id)).steps.accept.status)
      assert(app:approve(id, "accept", { by = "ann" }))
      assert(app:approve(id, "accept", { by = "bob" }))
      assert.equal("complete", worked(app, id).status)
    end)

    it("who is told may decide at once", function()
      local id = submitted(app, asking({ notify = function(task, step)
        assert(app:approve(task.task_id, step.name, { by = step.approvers[1] }))
      end }, { approvers = { "robot" } }))
      assert.equal("complete", worked(app, id).status)
    end)

    it("each decision is an event, told by whom", function()
      local id = submitted(app, asking(nil, { approvers = { "ann" } }))
      assert(app:approve(id, "accept", { by = "ann", comment = "yes" }))
      local events = harness.events_of(app, "step.approval_decided", id)
      assert.equal(1, #events)
      assert.equal("ann", events[1].data.by)
      assert.equal("approve", events[1].data.decision)
      assert.equal("yes", events[1].data.comment)
      assert.equal("approval", harness.events_of(app, "step.waiting", id)[1].data.waiting_for)
    end)

    it("the inbox lists what waits, and whose turn it is", function()
      local first = submitted(app, asking(nil, { approvers = { "ann", "bob" }, required = 2, form = { type = "object" } }))
      local second = submitted(app, asking(nil, { approvers = { "bob" } }))
      local list = assert(app:approvals())
      assert.equal(2, #list)
      assert.equal(first, list[1].task_id)
      assert.equal("accept", list[1].step)
      assert.same({ type = "object" }, list[1].form)
      assert.equal(1, #assert(app:approvals { by = "ann" }))
      assert.equal(second, assert(app:approvals { task_id = second })[1].task_id)
      assert(app:approve(first, "accept", { by = "ann" }))
      assert.same({}, assert(app:approvals { by = "ann" }))
      assert.equal(2, #assert(app:approvals { by = "bob" }))
      assert.equal(1, #assert(app:approvals { limit = 1 }))
      assert(app:cancel(second))
      assert.equal(1, #assert(app:approvals { by = "bob" }))
      harness.raises("whom", app.approvals, app, { whom = "x" })
    end)

    it("cancelled, resolved and paused as any waiting step", function()
      local id = submitted(app, asking())
      assert(app:pause(id))
      assert(app:approve(id, "accept", { by = "ann" }))
      assert.equal("complete", assert(app:approve(id, "accept", { by = "bob" })).steps.accept.status)
      assert.equal("paused", assert(app:task(id)).status)
      assert(app:resume(id))
      assert.equal("complete", worked(app, id).status)
      id = submitted(app, asking())
      assert(app:resolve(id, "accept", { decision = "approve" }))
      assert.same({}, assert(app:approvals()))
      id = submitted(app, asking())
      assert(app:cancel(id, nil, { step = "accept" }))
      harness.refused("refused", "cancelled", app:approve(id, "accept", { by = "ann" }))
      if kind == "lmdb" then
        assert.equal(0, app.engine:check(print))
      end
    end)

    it("misuse names the field", function()
      local id = submitted(app, asking())
      harness.raises("by", app.approve, app, id, "accept", {})
      harness.raises("whose", app.approve, app, id, "accept", { by = "ann", whose = 1 })
      harness.refused("invalid", "decision", app:approve(id, "accept", { by = "ann", decision = "maybe" }))
      harness.refused("not_found", "00000000", app:approve("00000000-0000-7000-8000-000000000000", "accept", { by = "ann" }))
    end)
  end)
end

describe("a definition with an approval that cannot work is refused,", function()
  local function refused(fragments, spec, fields)
    local step = { name = "accept", approval = spec }
    for name, value in pairs(fields or {}) do
      step[name] = value
    end
    table.insert(fragments, "accept")
    harness.raises(fragments, harness.handler, { steps = { step } })
  end

  it("naming handler, step and field", function()
    refused({ "approval.approvers", "missing" }, {})
    refused({ "approval.approvers" }, { approvers = {} })
    refused({ "approval.approvers" }, { approvers = { "" } })
    refused({ "approval.required", "3", "2" }, { approvers = { "a", "b" }, required = 3 })
    refused({ "approval.required" }, { approvers = { "a" }, required = 0 })
    refused({ "approval.required" }, { approvers = { "a" }, required = "most" })
    refused({ "approval", "approver" }, { approver = { "a" } })
    refused({ "approval.form" }, { approvers = { "a" }, form = { type = "nothing" } })
    refused({ "approval.escalate[1].after" }, { approvers = { "a" }, escalate = { { approvers = { "b" } } } })
    refused({ "approval.escalate[1].approvers" }, { approvers = { "a" }, escalate = { { after = 5 } } })
    refused({ "approval.escalate[1].after", "timeout" }, { approvers = { "a" }, escalate = { { after = 5, approvers = "b" } } },
      { timeout = 5 })
    refused({ "approval.veto", "zed" }, { approvers = { "a" }, veto = "zed" })
    refused({ "on_timeout", "complete" }, { approvers = { "a" } }, { timeout = 5, on_timeout = "complete" })
    refused({ "on_timeout", "timeout" }, { approvers = { "a" } }, { on_timeout = "reject" })
    refused({ "on_reject" }, { approvers = { "a" } }, { on_reject = "ignore" })
    refused({ "'notify'", "function" }, { approvers = { "a" } }, { notify = "mail" })
    refused({ "'retry'", "notify" }, { approvers = { "a" } }, { retry = { limit = 2 } })
    harness.raises({ "on_reject", "accept" }, harness.handler,
      { steps = { { name = "accept", run = function() end, on_reject = "fail" } } })
  end)
end)
