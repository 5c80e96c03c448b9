--- What the acceptance tests share: stores that go away by themselves, handlers with names of their own, and waiting with a bound.
local assert = require "luassert"
local process = require "spec.support.process"
local tasker = require "tasker"

local harness = { process = process }

--- The stores that most promises are tried on.
harness.kinds = { "memory", "lmdb" }

local apps, dirs, children = {}, {}, {}
local serial = 0

--- A new empty directory, removed by `clean`.
function harness.temp_dir()
  local dir = process.temp_dir()
  dirs[#dirs + 1] = dir
  return dir
end

--- A new empty store of a kind.
-- @tparam string kind "memory" or "lmdb"
-- @tparam ?table options of tasker.open
-- @treturn app
-- @treturn string its url
function harness.open(kind, options)
  local url = kind == "memory" and "memory:" or "lmdb:" .. harness.temp_dir() .. "/store"
  return harness.reopen(url, options), url
end

--- One more app on a url.
function harness.reopen(url, options)
  local app = assert(tasker.open(url, options))
  apps[#apps + 1] = app
  return app
end

--- A program in the background, ended by `clean`.
function harness.start(argv)
  local child = process.start(argv)
  children[#children + 1] = child
  return child
end

--- Ends programs, closes apps, removes directories: for after_each.
function harness.clean()
  for _, child in ipairs(children) do
    child:close()
  end
  for _, app in ipairs(apps) do
    app:close()
  end
  for _, dir in ipairs(dirs) do
    process.remove_dir(dir)
  end
  apps, dirs, children = {}, {}, {}
end

--- Tries until fn returns something true, at most `seconds` (10); fails with the last answer otherwise.
function harness.eventually(fn, seconds, what)
  local deadline = tasker.now() + (seconds or 10)
  local result, why
  repeat
    result, why = fn()
    if result then
      return result
    end
    tasker.sleep(0.01)
  until tasker.now() > deadline
  error(("not within %g s: %s"):format(seconds or 10, what or tostring(why or result)), 2)
end

--- A handler whose name no other test uses.
-- @tparam table definition without a name
-- @treturn handler
function harness.handler(definition)
  serial = serial + 1
  definition.name = definition.name or "handler_" .. serial
  return tasker.handler(definition)
end

--- A machine whose name no other test uses.
function harness.machine(definition)
  serial = serial + 1
  definition.name = definition.name or "machine_" .. serial
  return tasker.machine(definition)
end

--- A handler of one step named "only" that runs fn; other fields of the step in `fields`.
function harness.one_step(fn, fields)
  local step = { name = "only", run = fn }
  for key, value in pairs(fields or {}) do
    step[key] = value
  end
  return harness.handler { steps = { step } }
end

--- The first step of a one-step task after a run.
function harness.outcome(app, fn, fields)
  local task = assert(app:run(harness.one_step(fn, fields)))
  return task.steps.only, task
end

--- Retries that do not make a test wait.
function harness.quick_retry(limit)
  return { limit = limit or 3, backoff = "fixed", base = 0.001, jitter = "none" }
end

--- Lua's own assert, which raises what it is given: inside specs `assert` is luassert, which raises texts.
function harness.lua_assert(...)
  if not ... then
    error((select(2, ...)), 0)
  end
  return ...
end

--- Asserts that a call answered `nil, err` with that code and that the message has every fragment.
-- @tparam string code
-- @tparam string|table fragments
-- @param value what the call returned first
-- @param err what it returned second
-- @treturn table err
function harness.refused(code, fragments, value, err)
  assert.is_nil(value)
  assert.is_table(err)
  assert.equal(code, err.code)
  assert.is_string(err.message)
  for _, fragment in ipairs(type(fragments) == "table" and fragments or { fragments }) do
    harness.contains(fragment, err.message)
  end
  assert.is_truthy(tostring(err):find(err.message, 1, true))
  return err
end

--- `it` for promises about Lua that only computes: skipped, with the reason, where signals do not reach it.
-- @param it busted's
-- @param pending busted's
function harness.it_ends_loops(it, pending)
  return process.ends_loops and it or function(name)
    pending(name .. ": ThreadSanitizer holds signals back while Lua only computes")
  end
end

--- Asserts that text names a limit in one of its spellings ("1 MiB", "1048576", "1,048,576").
function harness.names_limit(text, ...)
  local plain = tostring(text):gsub("(%d),(%d)", "%1%2")
  for _, spelling in ipairs { ... } do
    if plain:find(tostring(spelling), 1, true) then
      return
    end
  end
  error(("no limit %s in: %s"):format(table.concat({ ... }, " or "), text), 2)
end

--- Asserts that fn raises and that the text has every fragment.
function harness.raises(fragments, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not raise")
  local text = tostring(err)
  for _, fragment in ipairs(type(fragments) == "table" and fragments or { fragments }) do
    harness.contains(fragment, text)
  end
  return text
end

--- Asserts that text has fragment in it, whatever the case.
function harness.contains(fragment, text)
  assert.is_truthy(tostring(text):lower():find(fragment:lower(), 1, true), ("%q is not in: %s"):format(fragment, tostring(text)))
end

--- Names of a list of events, with the step behind a colon: "step.started:a".
function harness.event_names(events, wanted)
  local names = {}
  for _, event in ipairs(events) do
    local name = event.step and event.event .. ":" .. event.step or event.event
    if not wanted or event.event:find(wanted, 1, true) then
      names[#names + 1] = name
    end
  end
  return names
end

--- The events of a name, of one task when given.
function harness.events_of(app, name, task_id)
  local found = {}
  for _, event in ipairs(assert(app:events { after = 0, task_id = task_id })) do
    if event.event == name then
      found[#found + 1] = event
    end
  end
  return found
end

return harness
