local tasker = require "tasker"
local loader = require "tasker.loader"
local source = require "tasker.source"

local folder

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(text)
  file:close()
  return folder .. "/" .. name
end

local function handler_text(name, body)
  return ('require("tasker").handler { namespace = "spec", name = "%s", steps = { { name = "a", run = function() %s end } } }\n')
    :format(name, body or "")
end

-- The file's modules are loaded once in a state: each test has names of its own.
local number = 0
local function fresh(prefix)
  number = number + 1
  return prefix .. number
end

describe("a handler file", function()
  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
  end)

  after_each(function()
    os.execute("rm -r " .. folder)
  end)

  it("gives the handlers it defines, with its source and that of the local modules it requires", function()
    local helper, deeper, name = fresh "helper", fresh "deeper", fresh "file"
    write(deeper .. ".lua", "return { n = 5 }")
    write(helper .. ".lua", ("local deeper = require '%s'\nreturn { n = deeper.n + 1 }"):format(deeper))
    local path = write("handlers.lua", ("#!/usr/bin/env tasker-lua\nlocal helper = require '%s'\n"):format(helper)
      .. handler_text(name, "return helper.n"))
    local found = assert(loader.load_files { path })
    assert.equal("spec/" .. name .. "@0.1.0", tostring(found[1]))
    assert.equal(6, found[1].steps[1].run())
    local parsed = assert(source.parse(found[1].source.text))
    assert.equal("handlers.lua", parsed.name)
    assert.equal("return { n = 5 }", parsed.modules[deeper])
    assert.is_string(parsed.modules[helper])
  end)

  it("has globals of its own", function()
    local first, second = fresh "own", fresh "own"
    local found = assert(loader.load_files {
      write("a.lua", "function greet() return 'a' end\n" .. handler_text(first, "return greet()")),
      write("b.lua", "function greet() return 'b' end\n" .. handler_text(second, "return greet()")),
    })
    assert.same({ "a", "b" }, { found[1].steps[1].run(), found[2].steps[1].run() })
    assert.is_nil(rawget(_G, "greet"))
  end)

  it("that cannot be loaded is named with what is wrong", function()
    local cases = {
      { "syntax.lua", "local = 5", "syntax.lua:1" },
      { "raises.lua", "error('boom')", "boom" },
      { "raises_table.lua", "error({})", "raises_table.lua" },
      { "refused.lua", "require('tasker').handler { name = 'x', stepz = {} }", "did you mean 'steps'" },
      { "binary.lua", "\27Lua", "binary.lua" },
      { "none.lua", "local x = 5", "no handler" },
    }
    for _, case in ipairs(cases) do
      local found, err = loader.load_files { write(case[1], case[2]) }
      assert.is_nil(found)
      assert.equal("invalid", err.code)
      assert.truthy(err.message:find(case[1], 1, true), err.message)
      assert.truthy(err.message:find(case[3], 1, true), err.message)
    end
    local found, err = loader.load_files { folder .. "/missing.lua" }
    assert.is_nil(found)
    assert.truthy(err.message:find("missing.lua", 1, true))
  end)

  it("cannot open, submit or work while it is loaded", function()
    for _, call in ipairs { "require('tasker').open('memory:')" } do
      local found, err = loader.load_files { write("opens.lua", call) }
      assert.is_nil(found)
      assert.truthy(err.message:find("loaded", 1, true), err.message)
    end
  end)

  it("gives modules that require each other in a circle an error, not a hang", function()
    local one, two = fresh "circle", fresh "circle"
    write(one .. ".lua", ("return require '%s'"):format(two))
    write(two .. ".lua", ("return require '%s'"):format(one))
    local found, err = loader.load_files { write("circle.lua", ("require '%s'"):format(one)) }
    assert.is_nil(found)
    assert.truthy(err.message:find("circle", 1, true))
  end)

  it("still finishes the tasks of its older content, by the code kept in the store", function()
    local helper, name = fresh "kept", fresh "file"
    local app = assert(tasker.open("memory:"))
    write(helper .. ".lua", "return 'old'")
    local path = write("handlers.lua", ("local word = require '%s'\n"):format(helper) .. handler_text(name, "return word"))
    local old_task = app:submit(assert(loader.load_files { path })[1])
    path = write("handlers.lua", handler_text(name, "return 'new'"))
    local new_task = app:submit(assert(loader.load_files { path })[1])
    assert.is_true(app:work { until_idle = true })
    assert.equal("old", app:task(old_task).results.a)
    assert.equal("new", app:task(new_task).results.a)
    app:close()
  end)
end)

describe("a source bundle", function()
  it("comes apart as it was put together", function()
    local modules = { ["a.b"] = "return 1\n", empty = "" }
    local bundle = source.bundle("x.lua", "file 5 y\n\0\xff", modules)
    assert.same({ name = "x.lua", text = "file 5 y\n\0\xff", modules = modules }, source.parse(bundle.text))
    assert.equal(64, #bundle.hash)
  end)

  it("that is damaged is refused", function()
    local bundle = source.bundle("x.lua", "return 5", {}).text
    for _, text in ipairs { "", "x", bundle:sub(1, -5), "module 1 x\ny\n" } do
      assert.is_nil(source.parse(text))
    end
  end)
end)
