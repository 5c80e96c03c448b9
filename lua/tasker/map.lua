--- Maps: a step that runs once for each element of a list. What the definition says, and the list as the engine takes it.
-- @module tasker.map

local core = require "tasker.core"
local check = require "tasker.check"

local map = {}

--- Types of the fields of this module.
map.FIELDS = { map = "function", max_parallel = "number", max_failures = "number" }

local MOST_ELEMENTS = 100000
local MOST_BYTES = 16 * 1024 * 1024
local PAGE = 64   -- TK_MAP_PAGE

local not_count = check.not_integer(1, 1000000)

--- Checks the fields of this module and puts what they say into the step.
-- @tab step gets `map max_parallel max_failures`
-- @tab given the definition of the step
-- @func fail gets a field, a format and its arguments
function map.read(step, given, fail)
  for _, field in ipairs { "max_parallel", "max_failures" } do
    if given[field] ~= nil and not given.map then
      fail(field, "is for a step with 'map'")
    end
  end
  if not given.map then
    return
  end
  local wanted = given.max_parallel ~= nil and not_count(given.max_parallel)
  if wanted then
    fail("max_parallel", "must be %s, not %s", wanted, check.show(given.max_parallel))
  end
  local failures = given.max_failures or 0
  local whole = math.tointeger(failures)
  if not (failures >= 0 and (failures < 1 or whole and whole <= MOST_ELEMENTS)) then
    fail("max_failures", "must be a fraction from 0 up to 1, or a number of elements to %d, not %s", MOST_ELEMENTS,
      check.show(failures))
  end
  step.map, step.max_parallel, step.max_failures = given.map, math.tointeger(given.max_parallel), failures
end

--- What the core's definition says of it.
-- @tab out a step of the core's definition
-- @tab step
function map.describe(out, step)
  if step.map then
    out.map, out.map_parallel, out.map_failures = true, step.max_parallel, step.max_failures
  end
end

--- The list of a map as the engine keeps it: pages of elements, each a line of JSON. Raises when it is no list or too long.
-- @param list what the step's function returned
-- @treturn int how many elements
-- @treturn string
function map.pages(list)
  if type(list) ~= "table" or not check.is_list(list) then
    error({ message = ("map: must return a list, not %s"):format(check.show(list)), code = "invalid" }, 0)
  end
  local count = #list
  if count > MOST_ELEMENTS then
    error({ message = ("map: the list has %d elements; at most %d may be"):format(count, MOST_ELEMENTS), code = "invalid" }, 0)
  end
  local texts, bytes = {}, 0
  for i, element in ipairs(list) do
    local text, err = core.encode(element)
    if not text then
      error({ message = ("map: element %d: %s"):format(i, err.message), code = "invalid" }, 0)
    end
    texts[i], bytes = text, bytes + #text + 1
    if bytes > MOST_BYTES then
      error({ message = ("map: the list is longer than %d bytes as JSON"):format(MOST_BYTES), code = "invalid" }, 0)
    end
  end
  local pages = {}
  for first = 1, count, PAGE do
    pages[#pages + 1] = "[" .. table.concat(texts, ",", first, math.min(first + PAGE - 1, count)) .. "]"
  end
  return count, table.concat(pages, "\n")
end

return map
