-- What is said in the examples holds wherever a process is killed.
local process = require "spec.support.process"
local every_commit = require "spec.support.every_commit"
local tasker = require "tasker"

-- Events of a name for a step.
local function count(app, name, step)
  local found = 0
  for _, event in ipairs(assert(app:events { after = 0, limit = 100000 })) do
    found = found + (event.event == name and (step == nil or event.step == step) and 1 or 0)
  end
  return found
end

describe("killed at every commit #slow", function()
  it("a saga is undone once, the last step first, and then the task has failed", function()
    local kills = every_commit.run("spec/crash/saga.lua", function(stdout, app, where, store)
      assert.equal("error\tflight=complete/complete car=complete/complete hotel=error/-\n", stdout, where)
      local events = assert(app:events { after = 0 })
      assert.equal("task.failed", events[#events].event, where)
      local undone = {}
      for _, event in ipairs(events) do
        if event.event == "step.compensated" then
          undone[#undone + 1] = event.step
        end
      end
      assert.same({ "car", "flight" }, undone, where)
      -- What ran, at least once each, and nothing of the flight before the car was done with.
      local ran = process.read_file(store .. ".undone")
      assert.truthy(ran:match "^car car%-1\n", where .. ": " .. ran)
      assert.truthy(ran:match "\nflight flight%-1\n$", where .. ": " .. ran)
      assert.falsy(ran:match "flight.*car", where .. ": " .. ran)
    end)
    assert.is_true(kills >= 16, ("killed only %d times"):format(kills))
  end)

  it("an approval escalates once and is decided once", function()
    local kills = every_commit.run("spec/crash/approval.lua", function(stdout, app, where, store)
      assert.equal("complete\tapprove\tboss\n", stdout, where)
      assert.equal(1, count(app, "step.approval_escalated"), where)
      assert.equal(1, count(app, "step.approval_decided"), where)
      assert.equal(1, count(app, "step.completed", "accept"), where)
      assert.equal(1, count(app, "step.completed", "accept:notify[1]"), where)
      assert.equal(1, count(app, "step.completed", "accept:notify[2]"), where)
      assert.equal(1, count(app, "task.completed"), where)
      -- At least once a round, each with its own key.
      local told = {}
      for line in process.read_file(store .. ".told"):gmatch "[^\n]+" do
        told[line] = true
      end
      assert.same({ ["round 1 accept:notify[1]"] = true, ["round 2 accept:notify[2]"] = true }, told, where)
    end)
    assert.is_true(kills >= 16, ("killed only %d times"):format(kills))
  end)

  it("each event that a webhook wants becomes one delivery", function()
    local kills = every_commit.run("spec/crash/webhooks.lua", function(stdout, app, where)
      assert.equal("2\n", stdout, where)
      local wanted, delivered = {}, {}
      for _, event in ipairs(assert(app:events())) do
        if event.event:match "^task%." and app:task(event.task_id).namespace ~= "tasker" then
          wanted[event.seq] = 1
        end
      end
      for _, one in ipairs(assert(app:webhook_deliveries "w")) do
        assert.equal("error", one.status, where)
        delivered[one.event_seq] = (delivered[one.event_seq] or 0) + 1
      end
      assert.same(wanted, delivered, where)
      assert.is_not_nil(next(wanted), where)
    end)
    assert.is_true(kills >= 20, ("killed only %d times"):format(kills))
  end)

  it("each element of a map is done once", function()
    local kills = every_commit.run("spec/crash/map.lua", function(stdout, app, where)
      assert.equal("complete\t250\tthree\t1\n", stdout, where)
      for i = 1, 7 do
        assert.equal(i == 3 and 0 or 1, count(app, "step.completed", ("each[%d]"):format(i)), where)
      end
      assert.equal(1, count(app, "step.completed", "each"), where)
      assert.equal(1, count(app, "task.completed"), where)
    end)
    assert.is_true(kills >= 20, ("killed only %d times"):format(kills))
  end)

  it("a task is moved to another version once and goes on there", function()
    local kills = every_commit.run("spec/crash/migrate.lua", function(stdout, app, where)
      assert.equal("complete\t2.0.0\t2.0.0 10\ttrue\n", stdout, where)
      assert.equal(1, count(app, "task.migrated"), where)
      assert.equal(1, count(app, "step.completed", "charge"), where)
      assert.equal(0, count(app, "step.completed", "pay"), where)
      assert.equal(1, count(app, "step.completed", "ship"), where)
      assert.equal(1, count(app, "task.completed"), where)
    end)
    assert.is_true(kills >= 14, ("killed only %d times"):format(kills))
  end)

  it("each occurrence of a schedule becomes one task", function()
    local kills = every_commit.run("spec/crash/schedule.lua", function(stdout, app, where)
      assert.equal("one interval apart\t2\n", stdout, where)
      assert.equal(1, count(app, "schedule.created"), where)
      assert.equal(4, count(app, "task.created"), where)   -- two of them asked for a context
      assert.equal(4, count(app, "task.completed"), where)
    end)
    assert.is_true(kills >= 20, ("killed only %d times"):format(kills))
  end)

  it("a poison row is parked and resolved once", function()
    local kills = every_commit.run("spec/crash/poison.lua", function(stdout, app, where)
      assert.equal("complete\t6\n", stdout, where)
      assert.equal(1, count(app, "step.resolved_manually", "row[2]"), where)
      assert.equal(1, count(app, "step.completed", "row[3]"), where)
      assert.equal(1, count(app, "task.completed"), where)
    end)
    assert.is_true(kills >= 14, ("killed only %d times"):format(kills))
  end)

  -- Workflows that end the same way wherever they were killed: what they print, events of which there is one of each name and step, and
  -- what else is checked.
  local WORKFLOWS = {
    { name = "a claim that goes round twice visits each state as often as it should", script = "expense", kills = 30,
      prints = "complete\t80\tdraft[3]\n",
      once = { "draft", "draft[2]", "draft[3]", "check", "check[2]", "check[3]", "review", "review[2]", "correct", "pay", "paid" } },
    { name = "three hundred elements, fifty at once, are done once each", script = "scatter", kills = 20,
      prints = "complete\t44700\t3\ttrue\n", once = { "ask", "sum", "ask[1]", "ask[149]", "ask[300]" },
      check = function(app, where)
        local done = 0
        for _, event in ipairs(assert(app:events { after = 0, limit = 100000 })) do
          done = done + (event.event == "step.completed" and event.step:find "^ask%[" and 1 or 0)
        end
        assert.equal(297, done, where)
      end },
    { name = "a parent with a hundred children is cancelled half-way, by one operation, and nothing below starts after it",
      script = "children", kills = 30, prints = "cancelled\t0\ttrue\ttrue\n", never_done = true,
      check = function(app, where)
        local operations, late, cancelled = 0, 0, nil
        for _, event in ipairs(assert(app:events { after = 0, limit = 100000 })) do
          if event.event == "task.cancelled" and not event.data.cascade then
            operations, cancelled = operations + 1, true
          elseif event.event == "step.started" and cancelled then
            late = late + 1
          end
        end
        assert.equal(1, operations, where)
        assert.equal(0, late, where)
      end },
    { name = "calls under two limits are made once each, never faster than allowed", script = "rate_limited", kills = 16,
      prints = "complete complete complete complete complete complete\n",
      check = function(app, where)
        local starts = { all = {} }
        for _, event in ipairs(assert(app:events { after = 0 })) do
          if event.event == "step.started" then
            local customer = app:task(event.task_id).context.customer
            starts[customer] = starts[customer] or {}
            table.insert(starts[customer], tasker.time.parse(event.at))
            table.insert(starts.all, tasker.time.parse(event.at))
          end
        end
        for key, list in pairs(starts) do
          local rate, burst = key == "all" and 200 or 100, key == "all" and 2 or 1
          for first = 1, #list do
            for last = first, #list do
              assert.is_true(last - first + 1 <= burst + rate * (list[last] - list[first]) + 0.001, where .. ": " .. key)
            end
          end
        end
      end, done = 6 },
    { name = "failures that a file decides about are decided once", script = "outside_rule", kills = 14, prints = "complete\t90\n",
      once = { "discount", "charge" } },
  }

  for _, flow in ipairs(WORKFLOWS) do
    it(flow.name, function()
      local kills = every_commit.run(("spec/crash/%s.lua"):format(flow.script), function(stdout, app, where)
        assert.equal(flow.prints, stdout, where)
        for _, step in ipairs(flow.once or {}) do
          assert.equal(1, count(app, "step.completed", step), where .. ": " .. step)
        end
        if not flow.never_done then
          assert.equal(flow.done or 1, count(app, "task.completed"), where)
        end
        if flow.check then
          flow.check(app, where)
        end
      end)
      assert.is_true(kills >= flow.kills, ("killed only %d times"):format(kills))
    end)
  end
end)
