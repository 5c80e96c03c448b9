local tasker = require "tasker"
local handler = require "tasker.handler"

local function run() end

-- The message that refuses a definition.
local function refusal(definition)
  local made, why = handler.new(definition)
  assert.is_nil(made)
  return why
end

local function with_step(fields)
  local step = { name = "charge", run = run }
  for name, value in pairs(fields) do
    step[name] = value
  end
  return { namespace = "shop", name = "order", version = "1.0.0", steps = { step } }
end

local function with(fields)
  local definition = { namespace = "shop", name = "order", version = "1.0.0", steps = { { name = "charge", run = run } } }
  for name, value in pairs(fields) do
    definition[name] = value
  end
  return definition
end

describe("a definition that can work", function()
  it("gets the defaults of namespace and version, and prints as namespace/name@version", function()
    local made = tasker.handler { name = "defaults", steps = { { name = "a", run = run } } }
    assert.equal("default/defaults@0.1.0", tostring(made))
  end)

  it("lets steps start at once unless they depend on others or the handler is a chain", function()
    local steps = { { name = "a", run = run }, { name = "b", run = run }, { name = "c", run = run, depends_on = "a" } }
    local free = assert(handler.new { name = "free", steps = steps })
    assert.same({ {}, {}, { 1 } }, { free.steps[1].deps, free.steps[2].deps, free.steps[3].deps })
    local chain = assert(handler.new { name = "chain", chain = true, steps = steps })
    assert.same({ {}, { 1 }, { 1 } }, { chain.steps[1].deps, chain.steps[2].deps, chain.steps[3].deps })
  end)

  it("gives a step one hour, no time limit for false, and what it says", function()
    assert.equal(3600, assert(handler.new(with_step {})).steps[1].timeout)
    assert.is_nil(assert(handler.new(with_step { timeout = false })).steps[1].timeout)
    assert.equal(2.5, assert(handler.new(with_step { timeout = 2.5 })).steps[1].timeout)
  end)

  it("merges a step's retry over the handler's and the defaults, field by field", function()
    local definition = with_step { retry = { limit = 5 } }
    definition.retry = { base = 7, jitter = 0.5 }
    local policy = assert(handler.new(definition)).steps[1].retry
    assert.same({ limit = 5, base = 7, factor = 2, cap = 300, lost_limit = 10, backoff = "exponential", jitter = "fraction",
      fraction = 0.5 }, policy)
  end)

  it("is described by the same bytes each time", function()
    local first = assert(handler.new(with { identity = "hash", context_schema = { type = "object" } }))
    local second = assert(handler.new(with { identity = "hash", context_schema = { type = "object" } }))
    assert.equal(first.json, second.json)
  end)

  it("finds no cycle in ten thousand chained steps", function()
    local steps = {}
    for i = 1, 10000 do
      steps[i] = { name = "s" .. i, run = run }
    end
    assert(handler.new { name = "long", chain = true, steps = steps })
  end)

  it("runs a registered step handler with its config, a fresh one each time", function()
    tasker.step_handler("greet", { config_schema = { type = "object", required = { "word" } }, run = function(_, _, config)
      local word = config.word
      config.word = "changed"
      return word
    end })
    local made = assert(handler.new { name = "greets", steps = { { name = "a", handler = "greet", config = { word = "hi" } } } })
    assert.equal("hi", made.steps[1].run())
    assert.equal("hi", made.steps[1].run())
  end)
end)

describe("a definition that cannot work is refused, naming handler, step and field:", function()
  local cases = {
    { "no table", function() return 5 end, "definition", "table" },
    { "a missing name", function() return { steps = {} } end, "'name'", "missing" },
    { "missing steps", function() return { name = "x" } end, "default/x@0.1.0", "'steps'", "missing" },
    { "no steps", function() return with { steps = {} } end, "shop/order@1.0.0", "'steps'", "at least one" },
    { "steps with holes", function() return with { steps = { [1] = { name = "a", run = run }, [3] = {} } } end, "'steps'" },
    { "a step that is no table", function() return with { steps = { "a" } } end, "step 1", "table" },
    { "a step without a name", function() return with { steps = { { run = run } } } end, "step 1", "'name'" },
    { "a name with a space", function() return with { name = "my order" } end, "'name'", "A-Z" },
    { "a name of 65 characters", function() return with { name = ("x"):rep(65) } end, "'name'", "64" },
    { "a step name of 129 characters", function() return with_step { name = ("x"):rep(129) } end, "128" },
    { "a version that is no semver", function() return with { version = "1.0" } end, "'version'", "1.0" },
    { "an unknown field", function() return with { max_paralel = 1 } end, "'max_paralel'", "did you mean 'max_parallel'" },
    { "an unknown step field", function() return with_step { dependson = "x" } end, "shop/order@1.0.0", "'charge'",
      "'dependson'", "did you mean 'depends_on'" },
    { "a notify on a step that asks nobody", function() return with_step { notify = run } end, "'charge'", "'notify'",
      "is not for a step with 'run'" },
    { "a decide that is no function", function() return with_step { retry = { decide = "skip" } } end, "'retry.decide'",
      "must be a function" },
    { "a hook that is no function", function() return with_step { on_failure = "log" } end, "'on_failure'", "function" },
    { "a handler's hook that is no function", function() return with { on_exhausted = 1 } end, "'on_exhausted'", "function" },
    { "a hook on a step without attempts",
      function() return with { steps = { { name = "charge", sleep = 1, on_retry = run } } } end, "'on_retry'", "'sleep'" },
    { "results_schema that is none", function() return with_step { results_schema = { type = "text" } } end,
      "'results_schema'", "no type" },
    { "results_schema of a wrong type", function() return with_step { results_schema = "object" } end, "'results_schema'",
      "must be" },
    { "inputs_schema that is none", function() return with_step { inputs = 1, inputs_schema = { minimum = "1" } } end,
      "'inputs_schema'", "'minimum' must be a number" },
    { "inputs_schema without inputs", function() return with_step { inputs_schema = { type = "object" } } end,
      "'inputs_schema'", "needs 'inputs'" },
    { "an on_invalid that is none", function() return with_step { results_schema = true, on_invalid = "ignore" } end,
      "'on_invalid'", "\"retry\", \"fail\" or \"warn\"" },
    { "on_invalid without a schema", function() return with_step { on_invalid = "warn" } end, "'on_invalid'",
      "results_schema" },
    { "a missing run", function() return { name = "x", steps = { { name = "a" } } } end, "'a'", "run" },
    { "run that is no function", function() return with_step { run = "x" } end, "'charge'", "'run'", "function" },
    { "run and handler", function() return with_step { handler = "greet" } end, "both" },
    { "an unknown step handler", function()
      return { name = "x", steps = { { name = "a", handler = "grete", config = {} } } }
    end, "'a'", "'handler'", "grete" },
    { "a config that its handler refuses", function()
      return { name = "x", steps = { { name = "a", handler = "greet", config = {} } } }
    end, "'a'", "'config'", "'word' is missing" },
    { "config without handler", function() return with_step { config = {} } end, "'config'" },
    { "an unknown dependency", function() return with_step { depends_on = "reserv" } end, "'charge'", "'depends_on'", "reserv" },
    { "a dependency that is no name", function() return with_step { depends_on = { 5 } } end, "'depends_on'", "list of strings" },
    { "a duplicate name", function()
      return with { steps = { { name = "a", run = run }, { name = "a", run = run } } }
    end, "step 2", "'name'", "'a'" },
    { "a timeout of zero", function() return with_step { timeout = 0 } end, "'timeout'", "0" },
    { "a timeout of true", function() return with_step { timeout = true } end, "'timeout'" },
    { "a timeout that is NaN", function() return with_step { timeout = 0 / 0 } end, "'timeout'" },
    { "a priority with a fraction", function() return with { priority = 1.5 } end, "'priority'", "1.5" },
    { "max_parallel of zero", function() return with { max_parallel = 0 } end, "'max_parallel'" },
    { "a queue with a slash", function() return with { queue = "a/b" } end, "'queue'" },
    { "an on_error that is not continue", function() return with_step { on_error = "ignore" } end, "'on_error'", "continue" },
    { "a retry limit of zero", function() return with_step { retry = { limit = 0 } } end, "'charge'", "'retry.limit'" },
    { "an unknown retry field", function() return with { retry = { limits = 1 } } end, "'retry.limits'", "'limit'" },
    { "an unregistered backoff", function() return with_step { retry = { backoff = "exponentia" } } end, "'retry.backoff'",
      "did you mean 'exponential'" },
    { "an empty list of delays", function() return with_step { retry = { backoff = {} } } end, "'retry.backoff'" },
    { "a negative delay", function() return with_step { retry = { backoff = { 1, -1 } } } end, "'retry.backoff'", "-1" },
    { "a jitter above one", function() return with_step { retry = { jitter = 1.5 } } end, "'retry.jitter'", "1.5" },
    { "an unknown jitter", function() return with_step { retry = { jitter = "ful" } } end, "'retry.jitter'", "'full'" },
    { "an unknown identity", function() return with { identity = "hsah" } end, "'identity'", "did you mean 'hash'" },
    { "a window of zero", function() return with { identity = { window = 0 } } end, "'identity.window'" },
    { "an unknown conflict", function() return with { identity = { conflict = "x" } } end, "'identity.conflict'" },
    { "a schema with a reference to nowhere", function()
      return with { context_schema = { type = "object", properties = { a = { ["$ref"] = "#/$defs/b" } } } }
    end, "'context_schema'", "'#/$defs/b' cannot be resolved", "#/properties/a" },
    { "inputs that JSON cannot hold", function() return with_step { inputs = { f = print } } end, "'charge'", "'inputs'", "$.f" },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local why = refusal(case[2]())
      for i = 3, #case do
        assert.truthy(why:find(case[i], 1, true), ("%q is not in: %s"):format(case[i], why))
      end
    end)
  end

  it("a cycle, which is printed", function()
    local why = refusal { name = "x", steps = {
      { name = "start", run = run },
      { name = "a", run = run, depends_on = { "start", "c" } },
      { name = "b", run = run, depends_on = "a" },
      { name = "c", run = run, depends_on = "b" },
      { name = "after", run = run, depends_on = "c" },
    } }
    assert.truthy(why:find("a -> c -> b -> a", 1, true), why)
    assert.truthy(refusal(with_step { depends_on = "charge" }):find("charge -> charge", 1, true))
  end)

  it("more steps than a handler may have", function()
    local steps = {}
    for i = 1, 10001 do
      steps[i] = { name = "s" .. i, run = run }
    end
    assert.truthy(refusal(with { steps = steps }):find("10000", 1, true))
  end)

  it("at the place that made it", function()
    local ok, why = pcall(tasker.handler, with { version = "x" })
    assert.is_false(ok)
    assert.truthy(why:find("shop/order", 1, true))
  end)
end)
