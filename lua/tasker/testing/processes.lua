--- Several processes on one store for simulate: in the place of the one driver that runs an app's steps. Which step goes on, which
-- process commits and which one dies are choices; with all of them left at the first, everything goes in order.
-- @module tasker.testing.processes

local core = require "tasker.core"
local errors = require "tasker.errors"
local task_view = require "tasker.task_view"

local processes = {}

local by_hand = core.testing

local COUNT = 2
-- Less than `retry.lost_limit` lets pass: a step in error for its losses would be the simulation's doing.
local MOST_CRASHES = 5
local MOST_MOVES = 1000000

local Processes = {}
Processes.__index = Processes

local function new_process(self)
  self.born = self.born + 1
  local handle = assert(by_hand.join(self.client, self.seed * 1000 + self.born))
  local driver = assert(by_hand.drive(handle, self.run, self.interrupted, nil, self.client))
  if self.numbers then
    driver:serve(self.numbers, self.queues)
  end
  return { handle = handle, driver = driver, name = self.born }
end

--- Starts them.
-- @param client the engine of who submits: it never dies
-- @func run as of core.testing.drive
-- @func interrupted
-- @tab choices `take(count)`, `crash(commits, when)`, `tell(what)`, `telling`
-- @int seed of their random delays
-- @return what has the methods of a driver
function processes.new(client, run, interrupted, choices, seed)
  local self = setmetatable({ client = client, run = run, interrupted = interrupted, choices = choices, seed = seed,
    born = 0, commits = 0, crashes = 0, list = {}, calm = false }, Processes)
  for i = 1, COUNT do
    self.list[i] = new_process(self)
  end
  return self
end

-- ---- Deaths ----

local function last_event(self)
  local text = self.client:events(math.max(0, self.client:last_seq() - 1), nil, 1)
  local event = text and task_view.events(text)[1]
  return event and (" (event %d, %s%s)"):format(event.seq, event.event, event.step and " of step '" .. event.step .. "'" or "") or ""
end

local function crash(self, at, moment)
  local gone = self.list[at]
  self.choices.tell(("process %d died %s%s"):format(gone.name, moment, last_event(self)))
  self.crashes = self.crashes + 1
  -- What it asked of the client's engine is answered before: the other end must not be gone then.
  while by_hand.turn(self.client, false) do end
  local number = gone.driver:process()
  gone.driver:crash()
  if not by_hand.bury(self.client, number) then
    error("a dead process could not be buried")
  end
  self.list[at] = new_process(self)
end

local function dies(self, when)
  return not self.calm and self.crashes < MOST_CRASHES and self.choices.crash(self.commits, when)
end

-- ---- Moves ----

local function can_run(self)
  local moves = {}
  for at, one in ipairs(self.list) do
    for i = 1, one.driver:runnable() do
      moves[#moves + 1] = { at = at, step = i }
    end
  end
  return moves
end

-- One turn of a process. True: it did something, or is another one now.
local function turn(self, at, look)
  local one = self.list[at]
  if one.driver:flush() and dies(self, "before") then
    crash(self, at, ("before commit %d, with what it had to say"):format(self.commits + 1))
    return true
  end
  local seq = self.client:last_seq()
  local took = by_hand.turn(one.handle, look)
  if self.client:last_seq() ~= seq then
    self.commits = self.commits + 1
    if dies(self, "after") then
      crash(self, at, ("after commit %d"):format(self.commits))
    end
    return true
  end
  return took
end

-- Everybody takes turns until nobody has anything to do. False: nothing came of it.
local function all_turn(self)
  local seq, born = self.client:last_seq(), self.born
  by_hand.turn(self.client, true)
  while by_hand.turn(self.client, false) do end
  local first = self.choices.take(#self.list)
  for i = 0, #self.list - 1 do
    local at = (first + i - 1) % #self.list + 1
    turn(self, at, true)
    while turn(self, at, false) do end
  end
  if self.client:last_seq() ~= seq or self.born ~= born or #can_run(self) > 0 then
    return true
  end
  for _, one in ipairs(self.list) do
    if one.driver:wait() then
      return true
    end
  end
  return false
end

local function step_name(self, move)
  local definition, step, attempt, id = self.list[move.at].driver:peek(move.step)
  local described = self.client:definition(definition)
  local found = described and core.json.decode(described.json).steps[step]
  return ("%s of task %s in process %d (attempt %d) went before others"):format(found and "step '" .. found.name .. "'" or "a step",
    id:sub(-6), self.list[move.at].name, attempt)
end

local function go_on(self)
  local moves = can_run(self)
  if #moves == 0 then
    return all_turn(self)
  end
  local picked = self.choices.take(#moves + #self.list)
  if picked > #moves then
    turn(self, picked - #moves, false)
    return true
  end
  local move = moves[picked]
  if picked > 1 and self.choices.telling then
    self.choices.tell(step_name(self, move))
  end
  self.list[move.at].driver:run(move.step)
  return true
end

--- As of a driver.
function Processes:settle()
  for _ = 1, MOST_MOVES do
    if not self.client:is_open() then
      return errors.closed()
    elseif not go_on(self) then
      return true
    end
  end
  return nil, errors.new("timeout", ("%d moves, and no time has passed: is there a step that never ends?"):format(MOST_MOVES))
end

--- As of a driver.
function Processes:next(limits)
  local first
  for _, one in ipairs(self.list) do
    local due = one.driver:next(limits)
    first = first and due and math.min(first, due) or first or due
  end
  return first
end

--- As of a driver.
function Processes:serve(numbers, queues)
  self.numbers, self.queues = numbers, queues
  for _, one in ipairs(self.list) do
    one.driver:serve(numbers, queues)
  end
end

--- As of a driver.
function Processes:active()
  local count = 0
  for _, one in ipairs(self.list) do
    count = count + one.driver:active()
  end
  return count
end

--- As of a driver.
function Processes:close()
  for _, one in ipairs(self.list) do
    one.driver:close()
    one.handle:close()
  end
  self.list = {}
end

return processes
