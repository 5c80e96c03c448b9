--- What keywords take: each returns it, or refuses it naming the keyword and its place.
-- @module tasker.schema.read

local check = require "tasker.check"
local documents = require "tasker.schema.documents"
local pattern = require "tasker.schema.pattern"
local values = require "tasker.schema.values"

local refuse = documents.refuse

local read = {}

--- The place of a keyword in its schema.
function read.place(at, keyword)
  return ("%s/%s"):format(at, values.escape(keyword))
end

function read.number(value, keyword, at)
  if type(value) ~= "number" or value - value ~= 0 then
    refuse(at, "'%s' must be a number", keyword)
  end
end

--- A count: an integer of at least 0, which 2.0 is too.
function read.count(value, keyword, at)
  local count = type(value) == "number" and math.tointeger(math.floor(value) == value and value or nil)
  if not count or count < 0 then
    refuse(at, "'%s' must be an integer of at least 0", keyword)
  end
  return count
end

--- A pattern, compiled.
function read.pattern(text, keyword, at)
  if type(text) ~= "string" then
    refuse(at, "'%s' must be a string", keyword)
  end
  local matches, why = pattern.compile(text)
  return matches or refuse(at, "'%s': %s", keyword, why)
end

--- A list of names, copied.
function read.names(value, keyword, at)
  if type(value) ~= "table" or not values.is_array(value) or check.not_list_of()(value) then
    refuse(at, "'%s' must be a list of names", keyword)
  end
  return table.move(value, 1, #value, 1, {})
end

function read.map(value, keyword, at)
  if type(value) ~= "table" or not values.is_object(value) then
    refuse(at, "'%s' must be a table by name", keyword)
  end
end

return read
