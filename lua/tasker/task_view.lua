--- Tasks and events as Lua tables, from the JSON of the core.
--
-- Null fields of a record are absent; null inside what users put there is `tasker.null`.
-- @module tasker.task_view

local json = require("tasker.core").json

local task_view = {}

local null = json.null

local function drop_nulls(record)
  for name, value in next, record do
    if value == null then
      record[name] = nil
    end
  end
end

local function drop_nulls_of(record, field)
  if type(record[field]) == "table" then
    drop_nulls(record[field])
  end
end

-- By number, what `elements` has by its text: so an error stays an object for JSON.
local Numbered = {
  __index = function(err, key)
    return math.type(key) == "integer" and rawget(err, "elements")[tostring(key)] or nil
  end,
}

--- Makes the errors of a map's elements to be had by their number: `task.errors.each[3]`.
-- @param err the error of a step
function task_view.number_elements(err)
  if type(err) == "table" and type(err.elements) == "table" then
    setmetatable(err, Numbered)
  end
end

local function finish(task)
  drop_nulls(task)
  drop_nulls_of(task, "results")
  drop_nulls_of(task, "errors")
  for _, err in next, task.errors or {} do
    task_view.number_elements(err)
  end
  if not task.steps or #task.steps == 0 then
    return task
  end
  local by_name = {}
  for _, step in ipairs(task.steps) do
    drop_nulls(step)
    drop_nulls_of(step, "error")
    drop_nulls_of(step, "approval")
    drop_nulls_of(step, "compensation")
    by_name[step.name] = step
  end
  -- A list that knows its elements by name too, and stays a list for JSON.
  setmetatable(task.steps, { __index = by_name })
  return task
end

--- A task as `app:task` gives it.
-- @string text its JSON
-- @treturn table; `steps` can be indexed by name too
function task_view.task(text)
  return finish(assert(json.decode(text)))
end

--- A list of tasks.
-- @string text
-- @treturn {table,...}
function task_view.tasks(text)
  local list = assert(json.decode(text))
  for _, task in ipairs(list) do
    finish(task)
  end
  return list
end

local function finish_tree(task)
  drop_nulls(task)
  for _, child in ipairs(task.children) do
    finish_tree(child)
  end
  return task
end

--- A tree as `app:tree` gives it.
-- @string text
-- @treturn table
function task_view.tree(text)
  return finish_tree(assert(json.decode(text)))
end

--- A list of events.
-- @string text
-- @treturn {table,...}
function task_view.events(text)
  return task_view.records(text)
end

--- A list of records whose null fields are absent.
-- @string text
-- @treturn {table,...}
function task_view.records(text)
  local list = assert(json.decode(text))
  for _, record in ipairs(list) do
    drop_nulls(record)
  end
  return list
end

--- A record whose null fields are absent.
-- @string text
-- @treturn table
function task_view.record(text)
  local record = assert(json.decode(text))
  drop_nulls(record)
  return record
end

return task_view
