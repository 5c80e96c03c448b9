--- Declarative command-line arguments. A command says what it takes; this module parses, converts and describes it.
--
-- A command is one file, `lua/tasker/cli/<name>.lua`, and every such file is a command (helpers of several commands
-- live one level down, `lua/tasker/cli/support/<name>.lua`). It does nothing at require time and returns:
--
--     return {
--       summary = "submit a task",                       -- one line, for the list of commands
--       group = "work",                                  -- work, look, steer, store or program: its place in that list
--       description = "Longer text for `help submit`.",  -- optional
--       arguments = {                                    -- in order; `opts.handler`, `opts.context`
--         { name = "handler", help = "namespace/name[@version]" },
--         { name = "context", display = "CONTEXT|@file|-", type = "json", optional = true, help = "a JSON object" },
--       },
--       options = {                                      -- `--run-at T` is `opts.run_at`; --store and --help are everywhere
--         { name = "tag", value = "T", many = true, help = "give the task a tag" },           -- a list, {} when none
--         { name = "priority", value = "N", type = "integer", min = -1000, max = 1000, help = "..." },
--         { name = "run-at", value = "T", type = "time", relative = "ahead", help = "not before then" },
--         { name = "delay", value = "S", type = "duration", excludes = { "run-at" }, help = "..." },
--         { name = "instances", value = "WHICH", choices = { "failed", "all", "none" }, default = "none", help = "..." },
--         { name = "json", help = "one JSON value a line on stdout" },                        -- no value: a flag, true or nil
--       },
--       examples = { { "tasker-lua submit shop/order '{\"order_id\":7}' --tag vip", "what it shows" } },
--       run = function(opts, ctx)
--         local app = ctx.open { create = true, announce = true }   -- see tasker.cli; closed when run returns or raises
--         local id, created = app:submit(opts.handler, opts.context, { tags = opts.tag })
--         if not id then
--           return ctx.fail("cannot submit", created)               -- `tasker-lua: cannot submit: why`; returns 1
--         end
--         ctx.out(id .. "\n")
--         return 0                                                  -- the exit code; nothing means 0
--       end,
--     }
--
-- Fields of an option or argument: `name`, `help`, `value` (what stands for the value in help; an option without one is a
-- flag), `short` (one letter), `many`, `default`, `type`, `choices`, `min`, `max`, `relative`, `excludes`, `negatable`
-- (`--no-name` sets false); of an argument also `optional` and `display`. An argument with `many` is the last one.
--
-- Types: `string` (default), `number`, `integer`, `duration` (`90 90s 5m 2h 7d`, gives seconds), `time` (RFC 3339, epoch
-- seconds or a duration, `relative = "ago"` or `"ahead"`; gives epoch seconds), `json` (the text, `@file`, or `-` for
-- stdin, decoded; JSON null is `tasker.null`), `file` and `directory` (a string; completion offers paths).
-- @module tasker.cli.args

local check = require "tasker.check"
local suggest = require "tasker.suggest"

local args = {}

--- What every command takes besides its own.
args.common = {
  { name = "store", value = "URL", type = "file",
    help = "the store: lmdb:PATH, a path, or memory: (else $TASKER_STORE, else ./tasker-data)" },
  { name = "help", short = "h", help = "show this help" },
}

local function quote(text)
  return "'" .. text:gsub("%c", "?") .. "'"
end

local function set_of(list)
  local set = {}
  for _, element in ipairs(list) do
    set[element] = true
  end
  return set
end

--- The candidate that a mistyped word most likely meant, or nil when none is near.
-- @string word
-- @tparam {string,...} candidates
-- @treturn string|nil
function args.suggest(word, candidates)
  return suggest.near(word, set_of(candidates))
end

--- `; did you mean 'x'?`, or nothing.
-- @string word
-- @tparam {string,...} candidates
-- @treturn string
function args.hint(word, candidates)
  return suggest.hint(word, set_of(candidates))
end

local UNITS = { [""] = 1, s = 1, m = 60, h = 3600, d = 86400 }

--- Seconds of `90 90s 5m 2h 7d` (fractions allowed), or nil.
-- @string text
-- @treturn number|nil
function args.parse_duration(text)
  local digits, unit = text:match("^(%d+%.?%d*)([smhd]?)$")
  if not digits or #digits > 12 then
    return nil
  end
  -- Whole seconds stay an integer, so that they print as they were typed.
  return tonumber(digits) * UNITS[unit]
end

--- Epoch seconds of a time as the command line takes them, or nil.
-- @string text RFC 3339, epoch seconds, or a duration
-- @string relative "ago" or "ahead": where a duration counts to
-- @number now epoch seconds
-- @treturn number|nil
function args.parse_time(text, relative, now)
  if text:match("^%d+%.?%d*$") and #text:match("^%d+") > 6 then
    return #text <= 20 and tonumber(text) or nil
  end
  local duration = args.parse_duration(text)
  if duration then
    return relative == "ahead" and now + duration or now - duration
  end
  return require("tasker.core").time_parse(text)
end

--- Decodes the JSON of an argument: the text itself, `@file`, or `-` for stdin.
-- @string text
-- @return the value, or nil and why not
function args.read_json(text)
  local source = "JSON"
  if text == "-" or text:sub(1, 1) == "@" then
    local path = text:sub(2)
    source = text == "-" and "stdin" or path
    local file, why = io.stdin, nil
    if text ~= "-" then
      file, why = io.open(path, "rb")
    end
    text = file and file:read("a")
    if file and text == nil then
      why = ("%s: cannot be read"):format(path)
    end
    if file and file ~= io.stdin then
      file:close()
    end
    if text == nil then
      return nil, why
    end
  end
  local value, err = require("tasker.core").json.decode(text)
  if value == nil then
    return nil, ("%s: %s"):format(source, tostring(err))
  end
  return value
end

-- Each takes the text and the declaration and returns the value, or nil and what it should have been.
local converters = {}

function converters.string(text)
  return text
end
converters.file = converters.string
converters.directory = converters.string

-- What a check of the client refuses: told before the store is opened.
local function checked(not_valid)
  return function(text)
    local wanted = not_valid(text)
    if wanted then
      return nil, wanted
    end
    return text
  end
end
converters.name = checked(check.not_name)
converters.key = checked(check.not_key)

function converters.number(text)
  local value = tonumber(text)
  if not value or not text:match("^[+-]?[%d.]") or value ~= value or value == math.huge or value == -math.huge then
    return nil, "a number"
  end
  return value
end

function converters.integer(text)
  local digits = text:match("^%+?(%-?%d+)$")
  local value = digits and math.tointeger(tonumber(digits))
  if not value then
    return nil, "an integer"
  end
  return value
end

function converters.duration(text)
  local value = args.parse_duration(text)
  if not value then
    return nil, "a duration like 90, 90s, 5m, 2h or 7d"
  end
  return value
end

function converters.time(text, declaration)
  local value = args.parse_time(text, declaration.relative, os.time())
  if not value then
    return nil, "a time like 2026-01-31T09:00:00Z, epoch seconds, or a duration like 5m"
  end
  return value
end

local function check_bounds(value, declaration)
  local min, max = declaration.min, declaration.max
  if min and max and (value < min or value > max) then
    return ("from %s to %s"):format(min, max)
  elseif min and value < min then
    return ("at least %s"):format(min)
  elseif max and value > max then
    return ("at most %s"):format(max)
  end
  return nil
end

local function label_of(declaration, is_argument)
  return is_argument and (declaration.display or declaration.name:upper()) or "--" .. declaration.name
end

local function convert(text, declaration, is_argument)
  local label = label_of(declaration, is_argument)
  if declaration.choices then
    for _, choice in ipairs(declaration.choices) do
      if choice == text then
        return text
      end
    end
    return nil, ("%s must be one of %s, not %s%s"):format(
      label, table.concat(declaration.choices, ", "), quote(text), args.hint(text, declaration.choices))
  end
  if declaration.type == "json" then
    local value, why = args.read_json(text)
    if value == nil then
      return nil, ("%s: %s"):format(label, why)
    end
    return value
  end
  local value, expected = converters[declaration.type or "string"](text, declaration)
  if value ~= nil and type(value) == "number" then
    expected = check_bounds(value, declaration)
    value = not expected and value or nil
  end
  if value == nil then
    return nil, ("%s must be %s, not %s"):format(label, expected, quote(text))
  end
  return value
end

local function key_of(declaration)
  return (declaration.name:gsub("-", "_"))
end

-- Everything that can be typed, by how it is typed: `--tag`, `-h`, `--no-color`.
local function index_options(command)
  local by_flag, names = {}, {}
  for _, list in ipairs { command.options or {}, args.common } do
    for _, declaration in ipairs(list) do
      local flag = "--" .. declaration.name
      if not by_flag[flag] then
        by_flag[flag] = declaration
        names[#names + 1] = flag
        if declaration.short then
          by_flag["-" .. declaration.short] = declaration
        end
        if declaration.negatable then
          by_flag["--no-" .. declaration.name] = declaration
        end
      end
    end
  end
  return by_flag, names
end

local function is_option(word)
  -- A lone dash is stdin and a negative number is a value.
  return word:sub(1, 1) == "-" and #word > 1 and not word:match("^%-%.?%d")
end

-- Takes the option at words[i]; returns the index after it, or nil and why not.
local function take_option(words, i, by_flag, names, opts)
  local word = words[i]
  local flag, inline = word:match("^(%-%-[^=]+)=(.*)$")
  flag = flag or word
  local declaration = by_flag[flag]
  if not declaration then
    return nil, ("unknown option %s%s"):format(quote(flag), args.hint(flag, names))
  end
  local key = key_of(declaration)
  if not declaration.value then
    if inline then
      return nil, ("option %s takes no value"):format(quote(flag))
    end
    opts[key] = flag:sub(1, 5) ~= "--no-" or flag == "--" .. declaration.name
    return i + 1
  end
  local text = inline
  if not text then
    i = i + 1
    text = words[i]
    -- `--tag --json` is a forgotten value; a value that looks like an option is written `--tag=--json`.
    if text == nil or by_flag[text] or text == "--" then
      return nil, ("option %s needs a value (%s)"):format(quote(flag), declaration.value)
    end
  end
  local value, why = convert(text, declaration)
  if value == nil then
    return nil, why
  end
  if declaration.many then
    opts[key] = opts[key] or {}
    table.insert(opts[key], value)
  else
    opts[key] = value
  end
  return i + 1
end

local function take_arguments(declarations, texts, opts)
  local position = 1
  for _, declaration in ipairs(declarations) do
    local key = key_of(declaration)
    if texts[position] == nil and not declaration.optional then
      return nil, ("%s is missing"):format(label_of(declaration, true))
    end
    if declaration.many then
      opts[key] = {}
    end
    while texts[position] ~= nil do
      local value, why = convert(texts[position], declaration, true)
      if value == nil then
        return nil, why
      end
      position = position + 1
      if not declaration.many then
        opts[key] = value
        break
      end
      table.insert(opts[key], value)
    end
  end
  if texts[position] ~= nil then
    return nil, ("unexpected argument %s"):format(quote(texts[position]))
  end
  return true
end

local function finish_options(declarations, opts)
  for _, declaration in ipairs(declarations) do
    local key = key_of(declaration)
    for _, other in ipairs(declaration.excludes or {}) do
      if opts[key] ~= nil and opts[other:gsub("-", "_")] ~= nil then
        return nil, ("--%s and --%s cannot be given together"):format(declaration.name, other)
      end
    end
  end
  for _, declaration in ipairs(declarations) do
    local key = key_of(declaration)
    if opts[key] == nil then
      opts[key] = declaration.default
      if opts[key] == nil and declaration.many then
        opts[key] = {}
      end
    end
  end
  return true
end

--- Parses the words after the command's name.
-- @tab command the command's declaration
-- @tparam {string,...} words
-- @treturn table|nil the values by name (`-` becomes `_`); only `{ help = true }` is sure to be there when help was asked
-- @treturn string why not, one line
function args.parse(command, words)
  local by_flag, names = index_options(command)
  local opts, texts = {}, {}
  local i, only_arguments = 1, false
  while words[i] ~= nil do
    local word = words[i]
    if only_arguments or not is_option(word) then
      texts[#texts + 1] = word
      i = i + 1
    elseif word == "--" then
      only_arguments = true
      i = i + 1
    else
      local after, why = take_option(words, i, by_flag, names, opts)
      if not after then
        return nil, why
      end
      i = after
    end
    if opts.help then
      return opts
    end
  end
  local ok, why = finish_options(command.options or {}, opts)
  if ok then
    ok, why = take_arguments(command.arguments or {}, texts, opts)
  end
  if not ok then
    return nil, why
  end
  return opts
end

--- The usage line: `tasker-lua submit HANDLER [CONTEXT] [options]`.
-- @string name the command's
-- @tab command
-- @treturn string
function args.usage(name, command)
  local parts = { "tasker-lua", name }
  for _, declaration in ipairs(command.arguments or {}) do
    local text = label_of(declaration, true) .. (declaration.many and "..." or "")
    parts[#parts + 1] = declaration.optional and "[" .. text .. "]" or text
  end
  parts[#parts + 1] = "[options]"
  return table.concat(parts, " ")
end

return args
