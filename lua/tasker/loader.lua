--- Loads handler files, and tells a worker what this Lua state can run.
-- @module tasker.loader

local core = require "tasker.core"
local backoff = require "tasker.backoff"
local check = require "tasker.check"
local definitions = require "tasker.definitions"
local errors = require "tasker.errors"
local handler = require "tasker.handler"
local limits = require "tasker.limits"
local registry = require "tasker.registry"
local schedules = require "tasker.schedules"
local source = require "tasker.source"
local step = require "tasker.step"
local step_handlers = require "tasker.step_handlers"
local step_view = require "tasker.step_view"
local subscriptions = require "tasker.subscriptions"
local vetoes = require "tasker.vetoes"

local loader = {}

-- Older contents of its handlers that a worker also offers to run: each is a place where it looks for ready work.
local MOST_OLDER = 32

-- ---- Handler files ----

-- Local modules that this state loaded for handler files: name -> {path, text, requires = {[name] = true}}.
local modules = {}

local new_require

local function load_module(name, path, directory)
  local text, why = source.read(path)
  if not text then
    error(why, 0)
  end
  local module = { path = path, text = text, requires = {} }
  modules[name] = module
  -- What a module makes global is global, as it is to the interpreter.
  local env = setmetatable({ require = new_require(module, directory) }, { __index = _G, __newindex = _G })
  local chunk
  chunk, why = source.compile(text, "@" .. path, env)
  if not chunk then
    modules[name] = nil
    error(why, 0)
  end
  module.loading = true
  local ok, value = pcall(chunk, name, path)
  module.loading = nil
  if not ok then
    modules[name] = nil
    error(value, 0)
  end
  if value ~= nil then
    package.loaded[name] = value
  elseif package.loaded[name] == nil then
    package.loaded[name] = true
  end
  return package.loaded[name], path
end

-- `require` for a handler file or module: notes which local modules it takes.
function new_require(part, directory)
  return function(name)
    local path = type(name) == "string" and source.find_module(name, directory)
    if not path then
      return require(name)
    end
    part.requires[name] = true
    if modules[name] then
      if modules[name].loading then
        error(("modules require each other in a circle: '%s'"):format(name), 2)
      end
      return package.loaded[name], modules[name].path
    elseif package.loaded[name] ~= nil then
      modules[name] = { path = path, text = source.read(path) or "", requires = {} }
      return package.loaded[name], path
    end
    return load_module(name, path, directory)
  end
end

local function all_modules(part, found)
  for name in pairs(part.requires) do
    if not found[name] and modules[name] then
      found[name] = modules[name].text
      all_modules(modules[name], found)
    end
  end
  return found
end

-- Runs a chunk while nothing can be opened, submitted or worked; returns the handlers it defined.
local function capture(chunk, detached, ...)
  local captured = registry.begin_capture(detached)
  core.loading(true)
  local ok, raised = pcall(chunk, ...)
  core.loading(false)
  registry.finish_capture()
  if not ok then
    return nil, raised
  end
  return captured
end

local function cannot_load(path, why)
  local message = tostring(why)
  if not message:find(path, 1, true) then
    message = ("%s: %s"):format(path, message)
  end
  return nil, errors.new("invalid", "cannot load " .. message, { file = path })
end

local function load_file(path, detached)
  local text, why = source.read(path)
  if not text then
    return cannot_load(path, why)
  end
  local directory, name = path:match("^(.*)/([^/]*)$")
  local file = { requires = {} }
  local env = setmetatable({ require = new_require(file, directory or ".") }, { __index = _G })
  local chunk
  chunk, why = source.compile(text, "@" .. path, env)
  if not chunk then
    return cannot_load(path, why)
  end
  local captured
  captured, why = capture(chunk, detached, path)
  if not captured then
    return cannot_load(path, why)
  end
  local bundle = source.bundle(name or path, text, all_modules(file, {}))
  for _, one in ipairs(captured) do
    one.source = bundle
  end
  return captured
end

--- Loads handler files into this state.
-- @tparam {string,...} files
-- @treturn {table,...}|nil the handlers they define
-- @return err `invalid`, naming the file
function loader.load_files(files)
  check.type(files, "table", "loader.load_files: the files", 2)
  local found = {}
  for _, path in ipairs(files) do
    local captured, err = load_file(path)
    if not captured then
      return nil, err
    end
    table.move(captured, 1, #captured, #found + 1, found)
  end
  if #found == 0 then
    return nil, errors.new("invalid", ("no handler is defined in %s (tasker.handler defines one)"):format(
      table.concat(files, ", ")), { file = files[1] })
  end
  return found
end

--- Loads a handler file for its code only: nothing that it defines or registers reaches this state.
-- @string path
-- @treturn {table,...}|nil the handlers it defines
-- @return err `invalid`, naming the file
function loader.load_apart(path)
  local restore = { backoff.isolate(), step_handlers.isolate(), subscriptions.isolate(), vetoes.isolate() }
  local captured, err = load_file(path, true)
  for _, put_back in ipairs(restore) do
    put_back()
  end
  return captured, err
end

-- ---- Code kept in the store ----

-- `require` for code from the store: its own modules first, each loaded once.
local function stored_require(parsed, loaded)
  local env
  local function require_stored(name)
    local text = parsed.modules[name]
    if not text then
      return require(name)
    end
    if loaded[name] == nil then
      local value = assert(source.compile(text, "@" .. name, env))(name)
      loaded[name] = value == nil and true or value
    end
    return loaded[name]
  end
  env = setmetatable({ require = require_stored }, { __index = _G })
  return env
end

-- The plan of a stored definition from the source kept with it; nothing it registers reaches this state's own code.
local function load_stored(engine, stored)
  local text, err = engine:source(stored.source)
  local parsed
  if text then
    parsed, err = source.parse(text)
  end
  if not parsed then
    return nil, err
  end
  local chunk
  chunk, err = source.compile(parsed.text, "@" .. parsed.name, stored_require(parsed, {}))
  if not chunk then
    return nil, err
  end
  local restore = { backoff.isolate(), step_handlers.isolate(), limits.isolate(), subscriptions.isolate(), vetoes.isolate() }
  local captured
  captured, err = capture(chunk, true, parsed.name)
  for _, put_back in ipairs(restore) do
    put_back()
  end
  for _, one in ipairs(captured or {}) do
    local definition = handler.definition(one, stored.source)
    if definition and definition:hash() == stored.hash then
      return step_view.plan(one)
    end
  end
  return nil, err or ("the source kept of %s/%s@%s does not define it"):format(stored.namespace, stored.name, stored.version)
end

-- ---- What this state can run ----

-- Names and dependencies of a stored definition's steps if a handler has code for each, else nil.
local function match_steps(own, stored)
  local described = assert(core.json.decode(stored.json))
  local names, deps, index_of = {}, {}, {}
  for i, described_step in ipairs(described.steps or {}) do
    if not own.index_of[described_step.name] then
      return nil
    end
    names[i], index_of[described_step.name] = described_step.name, i
  end
  for i, described_step in ipairs(described.steps or {}) do
    deps[i] = {}
    for k, name in ipairs(described_step.depends_on or {}) do
      deps[i][k] = index_of[name]
    end
  end
  return names, deps
end

-- Binds a stored definition that is none of this state's own, where there is code for it.
local function bind_stored(engine, stored)
  if stored.source then
    if registry.has(stored.namespace, stored.name) then
      step.bind(engine, stored.number, function()
        return load_stored(engine, stored)
      end)
      return true
    end
    return false
  end
  local own = registry.find(stored.namespace, stored.name, stored.version)
  local names, deps
  if own then
    names, deps = match_steps(own, stored)
  end
  if names then
    step.bind(engine, stored.number, step_view.plan(own, names, deps))
  end
  return names ~= nil
end

local function register_own(engine)
  local numbers, is_own = {}, {}
  for _, own in ipairs(registry.all()) do
    local number, err = definitions.define(engine, own)
    if not number then
      return nil, err
    end
    if not own.source and not own.told then
      own.told = true
      core.log("info", ("%s comes from a script: the store keeps its graph, not its code"):format(tostring(own)))
    end
    step.bind(engine, number, step_view.plan(own))
    if not is_own[number] then
      is_own[number] = true
      numbers[#numbers + 1] = number
    end
  end
  return numbers, is_own
end

--- Defines the handlers of this state in a store and tells what can be run there.
--
-- Besides them: older definitions of the same names whose source the store keeps, and graph-only ones of the same
-- name and version whose steps all have code here.
-- @param engine
-- @bool[opt] only_define leave the schedules that they bring with them as they are: nobody is going to work
-- @treturn {int,...}|nil numbers of definitions
-- @return err
function loader.register(engine, only_define)
  local numbers, is_own = register_own(engine)
  if not numbers then
    return nil, is_own
  end
  local askers, err = schedules.bind(engine)
  if not askers then
    return nil, err
  end
  table.move(askers, 1, #askers, #numbers + 1, numbers)
  if not only_define then
    schedules.put_all(engine)
  end
  local list
  list, err = engine:definitions()
  if not list then
    return nil, err
  end
  -- The newest of the older ones.
  table.sort(list, function(a, b) return a.number > b.number end)
  local older = 0
  for _, stored in ipairs(list) do
    if not is_own[stored.number] and older < MOST_OLDER and bind_stored(engine, stored) then
      older = older + 1
      numbers[#numbers + 1] = stored.number
    end
  end
  return numbers
end

return loader
