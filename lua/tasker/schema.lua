--- JSON Schema, 2020-12 and draft-07: compiled once into functions.
-- @module tasker.schema

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"

local json = core.json

local schema = {}

-- Violations that a message tells of; `errors` has more.
local MOST_TOLD = 3

local Schema = { __name = "tasker.schema" }
Schema.__index = Schema

local function invalid(found)
  local parts = {}
  for i = 1, math.min(#found, MOST_TOLD) do
    local one = found[i]
    parts[i] = ("%s %s"):format(one.instance == "" and "(the whole)" or one.instance, one.message)
  end
  if #found > MOST_TOLD then
    parts[#parts + 1] = ("and %d more"):format(#found - MOST_TOLD)
  end
  local err = errors.new("invalid", table.concat(parts, "; "), { errors = found })
  err.errors = found
  return err
end

-- One pass over the value; nil and why when it was given up.
local function pass(self, value, collect)
  local run = self.begin(collect, self.resource)
  local ok, result = pcall(self.check, value, run)
  if ok then
    return result, run
  elseif type(result) == "table" and result.given_up then
    return nil, result.given_up
  end
  error(result, 0)
end

-- What a run has found that found nothing.
local NOTHING = { empty_count = 0 }

local function validate(self, value)
  if value == nil then
    value = json.null
  end
  if self.program and self.program:accepts(value) then
    return NOTHING
  end
  local ok, run = pass(self, value, false)
  if ok == false then
    ok, run = pass(self, value, true)
  end
  if ok == nil then
    return nil, invalid { { instance = "", keyword = "$ref", schema = "#", message = run } }
  elseif not ok then
    return nil, invalid(run.errors)
  end
  return run
end

--- Validates a value.
-- @param value as decoded from JSON, or a Lua table; nil is null
-- @return true, or nil
-- @return err `invalid` with `errors = {{instance, keyword, schema, message}, …}`, in `details` too
function Schema:validate(value)
  local run, err = validate(self, value)
  if not run then
    return nil, err
  end
  return true
end

--- Counts the empty tables of a valid value that stand for lists and are not marked as arrays.
-- @param value
-- @string[opt] text its JSON, where that is at hand
-- @treturn int|nil
-- @return err as of validate
function Schema:empty_lists(value, text)
  if text and self.program and self.program:accepts_text(text) then
    return 0
  end
  local run, err = validate(self, value)
  if not run then
    return nil, err
  end
  return run.empty_count
end

local UNMARKED = { unmarked = true }

--- Validates a value that is to be kept.
-- @string text the value's JSON
-- @return the JSON, in which what is empty and stands for a list is `[]`; or nil
-- @return err as of validate; after the JSON: the value where it differs
function Schema:conform(text)
  if self.program and self.program:accepts_text(text) then
    return text
  end
  local value = json.decode(text, UNMARKED)
  local run, err = validate(self, value)
  if not run then
    return nil, err
  elseif run.empty_count == 0 then
    return text
  end
  for i = 1, run.empty_count do
    json.array(run.empties[i])
  end
  return core.encode(value), value
end

local function not_draft(value)
  return not require("tasker.schema.drafts").by_name[value] and "\"2020-12\" or \"draft-07\"" or nil
end

local function not_formats(value)
  for name, accepts in next, type(value) == "table" and value or {} do
    if type(name) ~= "string" or type(accepts) ~= "function" then
      return "true, or a table of functions by the name of the format"
    end
  end
  return nil
end

local OPTIONS = {
  draft = { "string", not_draft },
  formats = { "table|boolean", not_formats },
  loader = { "function" },
  strict = { "boolean" },
}

-- Calls what raises refusals of schemas.
local function guard(fn, ...)
  local ok, result, more, still_more = pcall(fn, ...)
  if ok then
    return result, more, still_more
  elseif type(result) == "table" and (result.refused or result.given_up) then
    return errors.invalid("%s", result.refused or result.given_up)
  end
  error(result, 0)
end

-- What the compiler takes, of a user's options; nil, err when they cannot be.
local function read_options(options, what)
  if options ~= nil then
    check.type(options, "table", what .. ": options", 3)
    local ok, err = check.options(options, OPTIONS, what .. ": option", 3)
    if not ok then
      return nil, err
    end
  end
  options = options or {}
  return {
    draft = require("tasker.schema.drafts").by_name[options.draft or "2020-12"], formats = options.formats,
    loader = options.loader, is_strict = options.strict,
  }
end

--- Compiles a schema.
-- @param definition a table, or true or false
-- @tab[opt] options `draft` ("2020-12" or "draft-07", for schemas without `$schema`), `formats` (true: the known ones are asserted;
-- a table: they and its functions by name), `loader` (`function(uri) return schema end`, for references to other documents),
-- `strict` (refuse unknown keywords)
-- @return an object with `validate`, or nil
-- @return err `invalid`: the schema is none
function schema.compile(definition, options)
  local read, err = read_options(options, "tasker.schema.compile")
  if not read then
    return nil, err
  end
  local compiler = require "tasker.schema.compiler"
  local found, resource, compiled = guard(compiler.compile, definition, read)
  if not found then
    return nil, resource
  end
  return setmetatable({ check = found, resource = resource, begin = compiler.run,
    program = require("tasker.schema.lower").lower(definition, resource, compiled) }, Schema)
end

--- Makes a schema of samples: it accepts all of them.
-- @tab samples a list of values
-- @treturn table|nil the schema
-- @return err `invalid`
function schema.infer(samples)
  check.type(samples, "table", "tasker.schema.infer: samples", 2)
  if not check.is_list(samples) then
    error("tasker.schema.infer: samples must be a list", 2)
  end
  return guard(require("tasker.schema.infer").infer, samples)
end

local MODES = { backward = true, forward = true, full = true }

--- Is a new version of a schema compatible with the old one? Where that cannot be shown, it is not.
-- @param old
-- @param new
-- @string[opt="backward"] mode "backward": the new one accepts all that the old one did; "forward": the old one accepts all
-- that the new one does; "full": both
-- @tab[opt] options as of compile
-- @return true, or nil
-- @return err `conflict` with `reasons`, a list of texts; `invalid` when one of them is no schema
function schema.compatible(old, new, mode, options)
  mode = mode or "backward"
  check.type(mode, "string", "tasker.schema.compatible: mode", 2)
  if not MODES[mode] then
    return errors.invalid("the mode must be \"backward\", \"forward\" or \"full\", not %s", check.show(mode))
  end
  local read, err = read_options(options, "tasker.schema.compatible")
  if not read then
    return nil, err
  end
  local compatible, found = require "tasker.schema.compatible", {}
  for _, pair in ipairs { { "backward", new, old, "new" }, { "forward", old, new, "old" } } do
    if mode == pair[1] or mode == "full" then
      local reasons
      reasons, err = guard(compatible.reasons, pair[2], pair[3], pair[4], read)
      if not reasons then
        return nil, err
      end
      table.move(reasons, 1, #reasons, #found + 1, found)
    end
  end
  if #found == 0 then
    return true
  end
  err = errors.new("conflict", ("not %s compatible: %s"):format(mode, table.concat(found, "; ", 1, math.min(#found, MOST_TOLD))) ..
    (#found > MOST_TOLD and ("; and %d more"):format(#found - MOST_TOLD) or ""), { reasons = found })
  err.reasons = found
  return nil, err
end

return schema
