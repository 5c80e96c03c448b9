--- What can come of each step of a handler, and what came of it: for walking all of it, and for saying what tests did not reach.
-- @module tasker.testing.outcomes

local outcomes = {}

local function timed(list, step, untimed)
  list[#list + 1] = step.timeout and "timeout" or untimed
end

local OF_KIND = {}

function OF_KIND.run(step)
  local list = { "complete", "fail" }
  if step.decide then
    list[#list + 1] = "skipped"
  end
  return list
end

function OF_KIND.switch(step)
  local list = {}
  for i, case in ipairs(step.cases) do
    list[i] = "case " .. case.name
  end
  list[#list + 1] = "fail"
  return list
end

function OF_KIND.sleep(step)
  return { "complete", step.sleep_function and "fail" or nil }
end

function OF_KIND.signal(step)
  local list = { "signal" }
  timed(list, step, "no signal")
  return list
end

function OF_KIND.approval(step)
  local list = { "approve", "reject" }
  timed(list, step, "no decision")
  return list
end

function OF_KIND.pass(step)
  return { step.state.final == "error" and "fail" or "complete" }
end

function OF_KIND.child()
  return { "complete", "fail" }
end

--- What may come of a step, the way it is meant to go first: "complete", "fail" (for good), "skipped", "case NAME", "signal",
-- "approve", "reject", "timeout"; "no signal" and "no decision" where nothing limits the wait.
-- @tab step of a handler
-- @treturn {string,...}
function outcomes.of(step)
  local list = (OF_KIND[step.kind] or OF_KIND.run)(step)
  if step.when and list[#list] ~= "skipped" then
    list[#list + 1] = "skipped"
  end
  return list
end

local function timed_out(step, record)
  local results = record.results
  if step.kind == "approval" and type(results) == "table" then
    return results.timed_out
  elseif record.error then
    local details = record.error.details
    return record.error.code == "timeout" or (type(details) == "table" and details.timed_out)
  end
  return step.timeout_completes and results == nil
end

--- What came of a step.
-- @tab step of a handler
-- @tab record the step of a task, as app:task shows it
-- @treturn string|nil nil while it is not at its end
function outcomes.seen(step, record)
  local status = record.status
  if status == "skipped" then
    return "skipped"
  elseif status ~= "complete" and status ~= "error" then
    return nil
  elseif (step.kind == "signal" or step.kind == "approval") and timed_out(step, record) then
    return "timeout"
  elseif step.kind == "approval" and status == "complete" then
    return record.results and record.results.decision
  elseif step.kind == "approval" then
    return record.error and record.error.code == "rejected" and "reject" or "fail"
  elseif status == "error" then
    return "fail"
  elseif step.kind == "child" then
    return type(record.results) == "table" and record.results.status ~= "complete" and "fail" or "complete"
  elseif step.kind == "switch" then
    return "case " .. tostring(record.results)
  end
  return step.kind == "signal" and "signal" or "complete"
end

return outcomes
