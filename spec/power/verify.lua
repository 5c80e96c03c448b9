-- Opens what power cuts leave of a recorded store and says what is wrong with it: one JSON line at the end, and one for each of the
-- first problems. A state whose number was printed last is the one that ended this process.
-- usage: tasker-lua spec/power/verify.lua LOG RECORDED_STORE DIR COUNT SEED DURABILITY [FAULT]
local Fold = require "spec.support.fold"
local process = require "spec.support.process"
local states = require "spec.power.states"
local steps = require "spec.power.steps"
local tasker = require "tasker"

local log_path, recorded, dir, count, seed, durability, fault = table.unpack(arg)
local lossy = durability == "relaxed"
local encode, decode = tasker.json.encode, tasker.json.decode

-- Steps that run after a power cut are noted, to see that what was completed does not run again.
local ran = {}
steps.define(function(task, step)
  ran[#ran + 1] = { task = task.task_id, step = step.name }
end)

local function key_of(event)
  return ("%d %s %s %s %s"):format(event.seq, event.event, event.task_id, event.step or "-", event.attempt or "-")
end

local function all_events(app)
  return assert(app:events { after = 0, limit = 1000000 })
end

-- The log of the run that was not cut: what every state must be a beginning of.
local whole = {}
do
  local app = assert(tasker.open(recorded))
  for i, event in ipairs(all_events(app)) do
    whole[i] = key_of(event)
  end
  app:close()
end

local function check(app)
  local damage
  assert(app.engine:check(function(text) damage = damage or text end, function() end))
  return damage and "check: " .. damage
end

-- Every acknowledgement must be in the log of the state.
local function check_acknowledged(state, fold)
  for _, text in ipairs(state.acknowledged) do
    local what = decode(text)
    if what.seq and fold.seq < what.seq then
      return ("event %d was visible, the log ends at %d"):format(what.seq, fold.seq)
    elseif what.task and not fold.tasks[what.task] then
      return ("task %s was acknowledged and is lost"):format(what.task)
    elseif what.status and fold.tasks[what.task].status ~= what.status then
      return ("task %s was seen %s and is %s"):format(what.task, what.status, fold.tasks[what.task].status)
    elseif what.started and fold:started(what.started.task, what.started.step) < what.started.attempt then
      return ("attempt %d of %s ran before its start was committed"):format(what.started.attempt, what.started.step)
    end
  end
  return nil
end

-- Looks without changing anything.
local function look(state)
  local app, err = tasker.open(dir, { read_only = true })
  if not app then
    return "does not open read-only: " .. tostring(err)
  end
  local fold, problem = Fold.new(steps.declared), check(app)
  for i, event in ipairs(problem and {} or all_events(app)) do
    if key_of(event) ~= whole[i] then
      problem = ("event %d is not what was recorded: %s"):format(i, key_of(event))
      break
    end
    problem = problem or fold:add(event)
  end
  for _, task in ipairs(problem and {} or assert(app:tasks { limit = 1000 })) do
    problem = problem or fold:compare(assert(app:task(task.task_id)))
  end
  app:close()
  return problem or not lossy and check_acknowledged(state, fold) or nil, fold
end

-- Goes on as a machine does that comes back: recovers, works to the end.
local function go_on(fold)
  ran = {}
  local app = assert(tasker.open(dir, { durability = durability }))
  assert(app:work { until_idle = 20 })
  local problem = check(app)
  for _, event in ipairs(problem and {} or all_events(app)) do
    problem = problem or event.seq > fold.seq and fold:add(event) or nil
  end
  for _, step in ipairs(ran) do
    problem = problem or fold:started(step.task, step.step) == 0 and "a step ran without a start" or nil
  end
  for id, task in pairs(fold.tasks) do
    if task.status ~= "complete" and task.status ~= "cancelled" and not (task.status == "pending" and not next(task.steps)) then
      problem = problem or ("task %s is stuck: %s"):format(id, task.status)
    end
  end
  app:close()
  return problem
end

local function write_state(state, serial)
  for _, name in ipairs { "lock.mdb", "data.mdb", "data.new" } do
    os.remove(dir .. "/" .. name)
  end
  if state.bytes then
    process.write_file(dir .. "/data.mdb", state.bytes)
  end
  if state.beside then
    process.write_file(dir .. "/data.new", state.beside)
  end
  -- What a lock file holds after a power cut is anything.
  if serial % 3 == 0 then
    process.write_file(dir .. "/lock.mdb", ("\165"):rep(8192))
  end
end

local function is_new(state)
  return #state.acknowledged == 0
end

local function examine(state, serial)
  write_state(state, serial)
  local problem, fold
  -- Before the first acknowledgement there may be no store yet; it must be possible to make one.
  if not is_new(state) then
    problem, fold = look(state)
  end
  if not problem then
    local app, err = tasker.open(dir, { durability = durability })
    problem = not app and "does not open: " .. tostring(err) or check(app)
    if app then
      app:close()
    end
  end
  if not problem and fold and serial % 40 == 0 then
    write_state(state, serial)
    problem = go_on(fold)
  end
  return problem
end

local records = states.parse(assert(process.read_file(log_path)))
local serial, bad, how = 0, 0, {}
local different = states.each(records, { seed = tonumber(seed), count = tonumber(count), fault = fault }, function(state)
  serial = serial + 1
  local ok, problem = pcall(examine, state, serial)
  if problem or not ok then
    bad = bad + 1
    how[state.how] = (how[state.how] or 0) + 1
    if bad <= 5 then
      print(encode { state = serial, record = state.point, how = state.how, bytes = #(state.bytes or ""), problem = tostring(problem) })
    end
  end
  -- A planted fault is found or it is not; how often does not matter.
  return not (fault and bad > 0)
end)
print(encode { states = different, bad = bad, how = how })
