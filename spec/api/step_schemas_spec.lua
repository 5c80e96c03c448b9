local harness = require "spec.support.harness"
local tasker = require "tasker"

local RECEIPT = { type = "object", required = { "amount" },
  properties = { amount = { type = "integer" }, lines = { type = "array" } } }

-- The step.logged events of a task.
local function logged(app, task)
  local found = {}
  for _, event in ipairs(app:events { task_id = task.task_id }) do
    if event.event == "step.logged" then
      found[#found + 1] = event.data
    end
  end
  return found
end

for _, kind in ipairs(harness.kinds) do
  describe("schemas of steps, on " .. kind .. ",", function()
    local app
    before_each(function() app = harness.open(kind) end)
    after_each(harness.clean)

    it("results that are as they must be are kept, empty lists as lists", function()
      local step = harness.outcome(app, function() return { amount = 5, lines = {} } end, { results_schema = RECEIPT })
      assert.equal("complete", step.status)
      assert.equal('{"amount":5,"lines":[]}', tasker.json.encode(step.results))
    end)

    it("invalid results fail the step for good, with pointers to what is wrong", function()
      local step, task = harness.outcome(app, function() return { amount = "5" } end, { results_schema = RECEIPT })
      assert.same({ "error", "error", 1 }, { task.status, step.status, step.attempts })
      assert.equal("invalid", step.error.code)
      assert.is_false(step.error.retryable)
      assert.matches("results: /amount must be integer", step.error.message, 1, true)
      assert.equal("/amount", step.error.details.errors[1].instance)
      assert.equal("#/properties/amount/type", step.error.details.errors[1].schema)
      assert.is_nil(step.results)
    end)

    it("nothing returned is null to the schema", function()
      local step = harness.outcome(app, function() end, { results_schema = RECEIPT })
      assert.equal("error", step.status)
      assert.equal("complete", harness.outcome(app, function() end, { results_schema = { type = "null" } }).status)
    end)

    it("are tried again with on_invalid = \"retry\"", function()
      local step = harness.outcome(app, function(_, s) return { amount = s.attempt > 1 and 5 or nil } end,
        { results_schema = RECEIPT, on_invalid = "retry", retry = harness.quick_retry() })
      assert.same({ "complete", 2, 5 }, { step.status, step.attempts, step.results.amount })
    end)

    it("are kept with a warning in the log with on_invalid = \"warn\"", function()
      local step, task = harness.outcome(app, function() return { amount = 1.5 } end,
        { results_schema = RECEIPT, on_invalid = "warn" })
      assert.same({ "complete", 1.5 }, { step.status, step.results.amount })
      local warning = logged(app, task)[1]
      assert.equal("warn", warning.level)
      assert.matches("/amount", warning.message, 1, true)
      assert.equal("/amount", warning.fields.errors[1].instance)
    end)

    it("invalid inputs are an error before run, whatever on_invalid says", function()
      for _, inputs in ipairs { { amount = "5" }, function() return { amount = "5" } end } do
        local runs = 0
        local step = harness.outcome(app, function() runs = runs + 1 end,
          { inputs = inputs, inputs_schema = RECEIPT, results_schema = true, on_invalid = "warn" })
        assert.same({ "error", 0, 0 }, { step.status, step.attempts, runs })
        assert.equal("invalid", step.error.code)
        assert.matches("inputs: /amount must be integer", step.error.message, 1, true)
        assert.equal("/amount", step.error.details.errors[1].instance)
      end
    end)

    it("valid inputs reach the step as they are", function()
      local given = { amount = 5, lines = {} }
      local step = harness.outcome(app, function(_, s) return s.inputs end,
        { inputs = function() return given end, inputs_schema = RECEIPT })
      assert.equal('{"amount":5,"lines":[]}', tasker.json.encode(step.results))
      assert.equal("{}", tasker.json.encode(given.lines))
    end)

    it("are part of the definition", function()
      local function run() return {} end
      local handler = harness.handler { steps = { { name = "a", run = run, inputs = {}, inputs_schema = true,
        results_schema = RECEIPT, on_invalid = "warn" } } }
      local kept = tasker.json.decode(handler.json).steps[1]
      assert.same({ true, "warn", "integer" }, { kept.inputs_schema, kept.on_invalid, kept.results_schema.properties.amount.type })
    end)
  end)
end
