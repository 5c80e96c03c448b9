--- Plays combinations of outcomes on the engine: none of the handler's functions is called, what comes of each step is laid down.
-- @module tasker.testing.walker

local core = require "tasker.core"
local definitions = require "tasker.definitions"
local errors = require "tasker.errors"
local machine_walks = require "tasker.testing.machine_walks"
local outcomes = require "tasker.testing.outcomes"
local handlers = require "tasker.handler"
local reference = require "tasker.reference"
local registry = require "tasker.registry"
local step_binding = require "tasker.step"
local step_view = require "tasker.step_view"
local test_app = require "tasker.testing.app"

local walker = {}

local by_hand = core.testing

-- Waits and moves of the clock in one task.
local MOST_ROUNDS = 10000
local SLEEP_SECONDS = 60
local CLOCK = 1767225600

-- In the place of a child: a task that ends as is laid down. Not in the registry, only in the walk's store.
local STAND_INS = { complete = "verify/child-that-completes", fail = "verify/child-that-fails",
  after = "verify/child-that-waits" }

local FINAL = { complete = true, error = true, cancelled = true, resolved_manually = true }

local Walker = {}
Walker.__index = Walker

-- ---- In the place of the handler's functions ----

local function people(given, count)
  if type(given) == "table" then
    return given
  end
  local names = {}
  for i = 1, math.max(1, count) do
    names[i] = ("somebody %d"):format(i)
  end
  return names
end

local function without_functions(made)
  local copy = {}
  for name, value in pairs(made) do
    copy[name] = value
  end
  local count = math.tointeger(made.required) or 1
  copy.approvers, copy.no_self, copy.veto, copy.escalate = people(made.approvers, count), nil, nil, {}
  for i, one in ipairs(made.escalate) do
    copy.escalate[i] = { after = one.after, approvers = people(one.approvers, 1) }
  end
  return copy
end

-- The same limits, of one key.
local function without_keys(given)
  local list = {}
  for i, limit in ipairs(given) do
    list[i] = setmetatable({ key = limit.key and function() return "verify" end }, { __index = limit })
  end
  return list
end

-- The child itself where there is none of that name: the engine says what comes of that.
local function child_of(step, outcome)
  local namespace, name, version = reference.parse(step.child)
  return registry.find(namespace, name, version) and STAND_INS[outcome] or step.child
end

-- What a step does: what was laid down for it. Fields that must not be looked up in the step itself are false.
local function lay_down(self, step)
  local first = outcomes.of(step)[1]

  local function choice()
    local run = core.run()
    return machine_walks.choice(self.combinations[run.task_id], step_view.name(run), step.name)
  end

  local function wanted()
    local combination = self.combinations[core.run().task_id]
    if combination and combination.choices then
      return machine_walks.outcome(choice(), step)
    end
    return combination and combination[step.name] or first
  end

  local function play()
    if wanted() == "fail" or wanted() == "skipped" then
      error(errors.permanent("laid down"), 0)
    end
    return {}
  end

  local function visit(_, view)
    local made = choice()
    if made.after then
      return errors.snooze(made.after + SLEEP_SECONDS)
    end
    step_view.go_to(view, made.to)
    return {}
  end

  local laid = {
    run = step.run and (step.state and visit or play), compensate = step.compensate and function() end,
    notify = step.notify and function() end,
    ask = step.ask and function() return {} end,
    when = step.when and function() return wanted() ~= "skipped" end,
    switch = step.switch and function()
      return wanted():match "^case (.*)$" or error(errors.permanent("laid down"), 0)
    end,
    sleep_function = step.sleep_function and function()
      return wanted() ~= "fail" and SLEEP_SECONDS or error(errors.permanent("laid down"), 0)
    end,
    decide = step.decide and function()
      return { skip = wanted() == "skipped" or nil, fail = wanted() ~= "skipped" or nil }
    end,
    approval = step.approval and without_functions(step.approval),
    limits = step.limits and without_keys(step.limits),
    map = step.map and function() return { 1, 2 } end,
    is_watched = step.decide ~= nil,
  }
  for _, name in ipairs { "on_failure", "on_retry", "on_exhausted", "on_recovered", "context_function", "context_text", "strategy",
    "inputs_validator", "results_validator", "is_guarded" } do
    laid[name] = false
  end
  return setmetatable(laid, { __index = step.child and function(_, field)
    return field == "child" and child_of(step, wanted()) or step[field]
  end or step })
end

local function wrap(self, plan)
  if self.stand_ins[plan.handler] then
    return plan
  end
  local copy = {}
  for name, value in pairs(plan) do
    copy[name] = value
  end
  copy.steps = {}
  for i, step in ipairs(plan.steps) do
    copy.steps[i] = lay_down(self, step)
  end
  return copy
end

local function define_stand_ins(self, engine)
  for outcome, full in pairs(STAND_INS) do
    local namespace, name = reference.parse(full)
    local made = assert(handlers.new { namespace = namespace, name = name, steps = {
      outcome == "after" and { name = "end", signal = "never" } or { name = "end", run = function()
        return outcome == "complete" or error(errors.permanent("laid down"), 0)
      end } } })
    self.stand_ins[made] = true
    self:bind(engine, made)
  end
end

function Walker:bind(engine, handler)
  local number = assert(definitions.define(engine, handler))
  step_binding.bind(engine, number, step_view.plan(handler))
  table.insert(self.app.extra, number)
  return number
end

--- Opens one for a handler.
-- @tab handler
-- @return the walker
function walker.new(handler)
  local self = setmetatable({ handler = handler, combinations = {}, stand_ins = {} }, Walker)
  self.app = assert(test_app.open { clock = CLOCK, seed = 1, wrap = function(plan) return wrap(self, plan) end })
  self.number = self:bind(self.app.engine, handler)
  for _, step in ipairs(handler.steps) do
    if step.child and not next(self.stand_ins) then
      define_stand_ins(self, self.app.engine)
    end
  end
  assert(self.app:drain())
  return self
end

-- ---- From outside ----

local function vote(self, id, record, decision)
  local list = assert(self.app:approvals { task_id = id })
  for _, item in ipairs(list) do
    if item.step == record.name then
      local done = {}
      for _, one in ipairs(item.decisions or {}) do
        done[one.by] = true
      end
      for _, name in ipairs(item.approvers) do
        if not done[name] then
          return self.app.engine:vote { id = id, step = record.name, by = name, decision = decision,
            details = '{"comment":"","form":null}' } ~= nil
        end
      end
    end
  end
  return false
end

-- Does for a step that waits what is laid down. True: something was done.
local function act(self, id, combination, record)
  local step = self.handler.steps[self.handler.index_of[record.name] or self.handler.index_of[record.name:match "^(.*)%[%d+%]$"]]
  local wanted
  if combination.choices then
    wanted = machine_walks.outcome(machine_walks.choice(combination, record.name, step.name), step)
  elseif record.name ~= step.name then
    return false   -- an element of a map: it waits for its next attempt
  else
    wanted = combination[record.name] or outcomes.of(step)[1]
  end
  if record.waiting_for == "signal" and wanted == "signal" then
    return self.app:signal(id, step.signal, true) ~= nil
  elseif record.waiting_for == "approval" and (wanted == "approve" or wanted == "reject" or wanted == "changes") then
    return vote(self, id, record, wanted)
  end
  return false
end

-- What waits is served, else the clock moves on. False: neither is possible.
local function go_on(self, id, combination)
  local task = self.app:task(id)
  if FINAL[task.status] then
    return false
  end
  local acted = false
  for _, record in ipairs(task.steps) do
    acted = (record.status == "waiting" and act(self, id, combination, record)) or acted
  end
  local due = not acted and self.app.driver:next(true)
  if due then
    by_hand.set_now(self.app.engine, due)
  end
  return acted or due ~= nil and due ~= false
end

--- Plays one combination to its end, or to where nothing moves it any more.
-- @tab combination outcomes by step, those not named go as they are meant to; of a machine a walk of tasker.testing.machine_walks
-- @treturn table the task
-- @treturn bool is it endless
function Walker:play(combination)
  local entry = { definition = self.number, context = "{}", priority = self.handler.priority, queue = self.handler.queue }
  local id = assert(self.app.engine:submit { entry })[1]
  self.combinations[id] = combination
  local moves = true
  for _ = 1, MOST_ROUNDS do
    assert(self.app:settle())
    if not moves then
      break
    end
    moves = go_on(self, id, combination)
  end
  self.combinations[id] = nil
  return self.app:task(id), moves
end

--- Ends it.
function Walker:close()
  self.app:close()
end

return walker
