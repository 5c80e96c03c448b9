local harness = require "spec.support.harness"
local tasker = require "tasker"

local function nothing() end

--- A definition of two steps that is right, with changes.
local function definition(change)
  local def = {
    namespace = "shop", name = "order",
    steps = { { name = "first", run = nothing }, { name = "second", depends_on = "first", run = nothing } },
  }
  change(def, def.steps[1], def.steps[2])
  return def
end

local function refuses(what, fragments, change)
  it("refuses " .. what, function()
    harness.raises(fragments, tasker.handler, definition(change))
  end)
end

describe("tasker.handler returns", function()
  it("a handler that prints as ns/name@version", function()
    assert.equal("shop/order@0.1.0", tostring(tasker.handler(definition(nothing))))
  end)

  it("a handler of namespace default and version 0.1.0 when none is given", function()
    local handler = tasker.handler { name = "plain", steps = { { name = "a", run = nothing } } }
    assert.equal("default/plain@0.1.0", tostring(handler))
  end)

  it("the newer definition when one name and version is defined again", function()
    local app = harness.open "memory"
    local function define(answer)
      return tasker.handler { name = "twice", steps = { { name = "a", run = function() return answer end } } }
    end
    define "old"
    define "new"
    assert.equal("new", app:run("twice").results.a)
    harness.clean()
  end)

  it("a handler whatever bytes its names may have", function()
    assert.is_truthy(tasker.handler { namespace = "a-b.c_D9", name = ("n"):rep(64), steps = { { name = ("s"):rep(128), run = nothing } } })
  end)

  it("a handler for every documented field of handler and step", function()
    assert.is_truthy(tasker.handler {
      namespace = "shop", name = "full", version = "2.3.4-rc.1+build.5", description = "all there is",
      context_schema = { type = "object", required = { "n" }, properties = { n = { type = "integer", minimum = 1 } } },
      retry = { limit = 2, backoff = "linear", base = 0.5, factor = 3, cap = 10, jitter = 0.5 },
      max_parallel = 4, queue = "slow", priority = 7, identity = { strategy = "hash", window = "forever", conflict = "reject" },
      timeout = 100, chain = true,
      steps = {
        { name = "a", run = nothing, description = "first", retry = { limit = 1, backoff = { 1, 2, 3 } }, timeout = false,
          heartbeat_timeout = 3, skippable = true, retryable = false, inputs = { x = 1 }, dependent_system = "bank", queue = "other" },
        { name = "b", run = nothing, inputs = function() return 1 end, retry = { backoff = function() return 1 end } },
      },
    })
  end)
end)

describe("tasker.handler names handler, step and field when it", function()
  refuses("an unknown field of the handler", { "order", "colour" }, function(def) def.colour = "red" end)
  refuses("an unknown field of a step", { "order", "first", "tiemout" }, function(_, first) first.tiemout = 3 end)
  refuses("an unknown field of retry", { "order", "first", "limits" }, function(_, first) first.retry = { limits = 3 } end)
  refuses("a step without run", { "order", "first", "run" }, function(_, first) first.run = nil end)
  refuses("a run that is no function", { "order", "first", "run" }, function(_, first) first.run = "print" end)
  refuses("a step with both run and handler", { "order", "first", "handler" }, function(_, first) first.handler = "x" end)
  refuses("a step handler that nobody registered", { "order", "first", "handler", "no_such" }, function(_, first)
    first.run, first.handler = nil, "no_such"
  end)
  refuses("a dependency on an unknown step", { "order", "second", "depends_on", "frist" }, function(_, _, second)
    second.depends_on = { "frist" }
  end)
  refuses("a dependency on itself", { "order", "second", "cycle" }, function(_, _, second) second.depends_on = "second" end)
  refuses("a dependency of a wrong type", { "order", "second", "depends_on" }, function(_, _, second) second.depends_on = 1 end)
  refuses("a duplicate step name", { "order", "first", "name" }, function(_, _, second)
    second.name, second.depends_on = "first", nil
  end)
  refuses("a step without a name", { "order", "name" }, function(_, first) first.name = nil end)
  refuses("a step name with a space", { "order", "name", "a b" }, function(_, first) first.name = "a b" end)
  refuses("a step name of 129 characters", { "order", "name", "128" }, function(_, first) first.name = ("s"):rep(129) end)
  refuses("a missing name", { "name" }, function(def) def.name = nil end)
  refuses("an empty name", { "name" }, function(def) def.name = "" end)
  refuses("a name of 65 characters", { "name", "64" }, function(def) def.name = ("n"):rep(65) end)
  refuses("a namespace with a slash", { "order", "namespace" }, function(def) def.namespace = "a/b" end)
  refuses("a version that is no semver", { "order", "version", "1.0" }, function(def) def.version = "1.0" end)
  refuses("a version with leading zeros", { "order", "version" }, function(def) def.version = "1.02.3" end)
  refuses("no steps at all", { "order", "steps" }, function(def) def.steps = nil end)
  refuses("an empty list of steps", { "order", "steps" }, function(def) def.steps = {} end)
  refuses("steps that are no list", { "order", "steps" }, function(def) def.steps = { first = { run = nothing } } end)
  refuses("a step that is no table", { "order", "step", "2" }, function(def) def.steps[2] = "second" end)
  refuses("a priority that is no integer", { "order", "priority" }, function(def) def.priority = 1.5 end)
  refuses("a queue that is no name", { "order", "queue" }, function(def) def.queue = "a queue" end)
  refuses("a step's queue that is no name", { "order", "first", "queue" }, function(_, first) first.queue = "" end)
  refuses("max_parallel of 0", { "order", "max_parallel" }, function(def) def.max_parallel = 0 end)
  refuses("a chain that is no boolean", { "order", "chain" }, function(def) def.chain = "yes" end)
  refuses("a negative task timeout", { "order", "timeout" }, function(def) def.timeout = -1 end)
  refuses("a timeout of a wrong type", { "order", "first", "timeout" }, function(_, first) first.timeout = "30" end)
  refuses("a negative timeout", { "order", "first", "timeout" }, function(_, first) first.timeout = -1 end)
  refuses("a timeout that is not a number at all", { "order", "first", "timeout" }, function(_, first) first.timeout = 0 / 0 end)
  refuses("a negative heartbeat_timeout", { "order", "first", "heartbeat_timeout" }, function(_, first) first.heartbeat_timeout = -1 end)
  refuses("a skippable that is no boolean", { "order", "first", "skippable" }, function(_, first) first.skippable = "yes" end)
  refuses("a retry that is no table", { "order", "first", "retry" }, function(_, first) first.retry = 5 end)
  refuses("a retry limit of 0", { "order", "first", "limit" }, function(_, first) first.retry = { limit = 0 } end)
  refuses("a retry limit that is no integer", { "order", "first", "limit" }, function(_, first) first.retry = { limit = 1.5 } end)
  refuses("an unknown backoff", { "order", "first", "backoff", "expo" }, function(_, first) first.retry = { backoff = "expo" } end)
  refuses("a list of delays with a negative one", { "order", "first", "backoff" }, function(_, first)
    first.retry = { backoff = { 1, -1 } }
  end)
  refuses("an empty list of delays", { "order", "first", "backoff" }, function(_, first) first.retry = { backoff = {} } end)
  refuses("an unknown jitter", { "order", "first", "jitter", "some" }, function(_, first) first.retry = { jitter = "some" } end)
  refuses("a jitter above 1", { "order", "first", "jitter" }, function(_, first) first.retry = { jitter = 1.5 } end)
  refuses("a negative base", { "order", "first", "base" }, function(_, first) first.retry = { base = -1 } end)
  refuses("a factor of a wrong type", { "order", "first", "factor" }, function(_, first) first.retry = { factor = "2" } end)
  refuses("a bad retry of the handler", { "order", "retry", "limit" }, function(def) def.retry = { limit = "3" } end)
  refuses("an unknown identity", { "order", "identity", "sha" }, function(def) def.identity = "sha" end)
  refuses("an unknown identity conflict", { "order", "identity", "conflict" }, function(def)
    def.identity = { strategy = "hash", conflict = "ignore" }
  end)
  refuses("a negative identity window", { "order", "identity", "window" }, function(def)
    def.identity = { strategy = "hash", window = -1 }
  end)
  refuses("a schema keyword of a wrong type", { "order", "context_schema", "dependentRequired" }, function(def)
    def.context_schema = { type = "object", dependentRequired = { a = "b" } }
  end)
  refuses("a wrong keyword deep in a schema", { "order", "context_schema", "uniqueItems" }, function(def)
    def.context_schema = { properties = { list = { type = "array", items = { uniqueItems = "yes" } } } }
  end)
  refuses("a schema whose type is none", { "order", "context_schema", "whole" }, function(def) def.context_schema = { type = "whole" } end)
  refuses("a schema pattern that is no regular expression", { "order", "context_schema", "pattern" }, function(def)
    def.context_schema = { properties = { a = { pattern = "(" } } }
  end)

  it("prints the cycle that it refuses, and nothing else", function()
    local text = harness.raises({ "ring", "cycle", "one", "two", "three" }, tasker.handler, {
      name = "ring",
      steps = {
        { name = "one", depends_on = "three", run = nothing },
        { name = "two", depends_on = "one", run = nothing },
        { name = "three", depends_on = "two", run = nothing },
        { name = "elsewhere", run = nothing },
      },
    })
    assert.is_nil(text:find("elsewhere", 1, true))
  end)

  it("refuses more than 10,000 steps", function()
    local steps = {}
    for i = 1, 10001 do
      steps[i] = { name = "s" .. i, run = nothing }
    end
    harness.raises({ "wide", "steps" }, tasker.handler, { name = "wide", steps = steps })
    steps[10001] = nil
    assert.is_truthy(tasker.handler { name = "wide", steps = steps })
  end)
end)

describe("tasker.handler blames the caller", function()
  it("for an argument that is no table", function()
    harness.raises("table", tasker.handler, "order")
    harness.raises("table", tasker.handler)
  end)
end)
