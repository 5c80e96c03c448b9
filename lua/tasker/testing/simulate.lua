--- Seeded simulation of the user's own workflows: many histories of the same test, with other orders and deaths of processes in each,
-- and the smallest one that still fails.
-- @module tasker.testing.simulate

local check = require "tasker.check"
local errors = require "tasker.errors"
local invariants = require "tasker.testing.invariants"
local processes = require "tasker.testing.processes"
local random = require "tasker.testing.random"
local test_app = require "tasker.testing.app"
local time = require "tasker.time"

local simulate = {}

local DEFAULT_SEEDS = 100
-- Of every so many commits one is followed by a death, besides the one that the seed names.
local CRASH_EVERY = 40
-- Histories run to shrink a failing one.
local MOST_TRIALS = 300
local DEFAULT_CLOCK = "2026-01-01T00:00:00Z"

-- ---- Choices ----

-- Takes what `plan` says, else the first; without a plan, what the seed gives. Notes what was not the first.
local function new_choices(seed, plan)
  local source = random.new(seed, 1)
  local choices = { at = 0, taken = {}, told = {}, telling = plan ~= nil }

  local function pick(pick_one)
    choices.at = choices.at + 1
    local picked
    if plan then
      picked = plan[choices.at] or 1
    else
      picked = pick_one()
    end
    if picked ~= 1 then
      choices.taken[choices.at] = picked
    end
    return picked
  end

  function choices.take(count)
    local picked = pick(function() return source(count) end)
    return picked <= count and picked or 1
  end

  -- Seeds 1 and 2: a death after the first commit, one before the second; 3 and 4: after the second, before the third; and so on.
  function choices.crash(commits, when)
    return pick(function()
      local named = commits == (seed + 1) // 2 and (seed % 2 == 1) == (when == "after")
      return (named or source(CRASH_EVERY) == 1) and 2 or 1
    end) == 2
  end

  function choices.tell(what)
    choices.told[#choices.told + 1] = what
  end

  return choices
end

-- ---- One history ----

-- With where the test was; not where simulate was.
local function with_traceback(raised)
  if type(raised) == "string" then
    return (debug.traceback(raised, 2):gsub("\n\t[^\n]*tasker/testing/simulate%.lua.*$", ""))
  end
  return raised
end

local function after(app)
  if not app.engine then
    return
  end
  app.driver.calm = true
  local ok, err = app:drain()
  if not ok then
    error(err, 0)
  end
  local broken = invariants.broken(app)
  if broken then
    error(broken, 0)
  end
end

-- Runs one; returns nil, or what went wrong, and its choices.
local function run_once(fn, options, seed, plan, open)
  local choices = new_choices(seed, plan)
  local function drive(engine, run, interrupted)
    return processes.new(engine, run, interrupted, choices, seed)
  end
  local app = assert(test_app.open { clock = time.seconds(options.clock or DEFAULT_CLOCK), seed = seed, drive = drive })
  local ok, why = xpcall(function()
    open(app)
    fn(app, random.new(seed))
    if app.engine and not app.driver then
      assert(app:drain())
    end
    after(app)
  end, with_traceback)
  app:close()
  if ok then
    return nil, choices
  end
  return { what = why }, choices
end

-- ---- Shrinking ----

local function places_of(plan)
  local places = {}
  for at in pairs(plan) do
    places[#places + 1] = at
  end
  table.sort(places)
  return places
end

local function without(plan, places, from, to)
  local copy = {}
  for at, picked in pairs(plan) do
    copy[at] = picked
  end
  for i = from, to do
    copy[places[i]] = nil
  end
  return copy
end

-- The least of the choices with which it still fails: first halves are left out, then ever smaller parts.
local function shrink(plan, fails)
  local trials = 0
  local places = places_of(plan)
  local size = #places
  while size >= 1 and trials < MOST_TRIALS do
    local from, smaller = 1, false
    while from <= #places and trials < MOST_TRIALS do
      local candidate = without(plan, places, from, math.min(from + size - 1, #places))
      trials = trials + 1
      if fails(candidate) then
        plan, places, smaller = candidate, places_of(candidate), true
      else
        from = from + size
      end
    end
    if not smaller or size > #places then
      size = size > #places and #places < size and #places > 0 and math.min(size // 2, #places) or size // 2
    end
  end
  return plan
end

-- ---- Reports ----

local function show(what)
  return type(what) == "table" and tostring(what.message or what) or tostring(what)
end

local function report(fn, options, seed, failure, choices, open)
  io.stderr:write(("testing.simulate: seed %d fails, looking for the smallest history that does\n"):format(seed))
  local least = shrink(choices.taken, function(plan)
    return run_once(fn, options, seed, plan, open) ~= nil
  end)
  local again, told = run_once(fn, options, seed, least, open)
  local lines = { ("testing.simulate: seed %d failed: %s"):format(seed, show((again or failure).what)) }
  if not again then
    lines[#lines + 1] = "The same choices did not fail again: the test depends on something besides its seed."
  elseif #told.told == 0 then
    lines[#lines + 1] = "It also fails when everything goes in order and no process dies."
  else
    lines[#lines + 1] = "The smallest history that fails:"
    for _, line in ipairs(told.told) do
      lines[#lines + 1] = "  " .. line
    end
  end
  lines[#lines + 1] = ("Once more: testing.simulate(fn, { seed = %d })"):format(seed)
  return table.concat(lines, "\n")
end

local OPTIONS = {
  seeds = { "number", check.not_integer(1, math.maxinteger) },
  seed = { "number", check.not_integer(1, math.maxinteger) },
  clock = { "string|number", time.not_time },
}

--- Runs a test once for each seed, on two processes that share a store: which step goes on is shuffled, and processes die after
-- and before commits: in the n-th pair of histories after the n-th commit and before the next one, and elsewhere. Raises
-- with the first seed that fails and the smallest history that does.
-- @func fn `function(app, random)`: `app` as testing.open gives it, `random` as math.random
-- @tab[opt] options `seeds` (how many, 100 unless given), `seed` (only that one), `clock`
-- @func open called with each app before fn
-- @return true, or nil
-- @return err `invalid`
function simulate.run(fn, options, open)
  check.type(fn, "function", "testing.simulate: the test", 4)
  check.type(options, "table|nil", "testing.simulate: options", 4)
  options = options or {}
  local ok, err = check.options(options, OPTIONS, "testing.simulate: option", 4)
  if not ok then
    return nil, err
  elseif options.seed and options.seeds then
    return errors.invalid("testing.simulate: options 'seed' and 'seeds' exclude each other")
  end
  local first = math.tointeger(options.seed) or 1
  for seed = first, options.seed and first or math.tointeger(options.seeds or DEFAULT_SEEDS) do
    local failure, choices = run_once(fn, options, seed, nil, open)
    if failure then
      error(report(fn, options, seed, failure, choices, open), 0)
    end
  end
  return true
end

return simulate
