-- `tree` and `tasks --parent` as a program sees them.
local process = require "spec.support.process"
local json = require("tasker.core").json

local TREE = [[
local tasker = require "tasker"
local function ok() return true end
tasker.handler { namespace = "depot", name = "parcel", steps = {
  { name = "pack", run = ok }, { name = "send", depends_on = "pack", run = ok } } }
local steps = {}
for i = 1, 9 do steps[i] = { name = "parcel" .. i, child = "depot/parcel" } end
steps[10] = { name = "last", child = "depot/nothing", on_child_error = "fail" }
tasker.handler { namespace = "shop", name = "order", steps = { { name = "ship", child = "depot/shipment" } } }
tasker.handler { namespace = "depot", name = "shipment", steps = steps }
]]

describe("tree", function()
  local dir
  before_each(function() dir = process.temp_dir() end)
  after_each(function() process.remove_dir(dir) end)

  local function cli(...)
    local argv = { process.program(), ... }
    argv.cwd, argv.env = dir, { LC_ALL = "C.UTF-8", TASKER_STORE = dir .. "/st" }
    return process.run(argv)
  end

  local function ok(...)
    local result = cli(...)
    assert.equal(0, result.status, result.stderr)
    return result
  end

  it("draws a task and all below it, many alike as one line, and counts them", function()
    process.write_file(dir .. "/tree.lua", TREE)
    local id = ok("submit", "shop/order", "--file", "tree.lua").stdout:match "%S+"
    ok("worker", "tree.lua", "--until-idle")
    local text = ok("tree", "@last").stdout
    assert.matches("shop/order@0.1.0", text, 1, true)
    assert.matches(id, text, 1, true)
    assert.matches("ship .- depot/shipment@0.1.0  in error", text)
    assert.matches("parcel3", text, 1, true)
    assert.is_nil(text:find("parcel4", 1, true))
    assert.matches("6 more complete", text, 1, true)
    assert.matches("11 tasks: 2 in error, 9 complete", text, 1, true)
    local tree = json.decode(ok("tree", id, "--json").stdout)
    assert.same({ complete = 9, error = 2 }, tree.tasks)
    assert.equal(9, #tree.children[1].children)
    assert.equal("parcel1", tree.children[1].children[1].step)
    assert.same({ complete = 2 }, tree.children[1].children[1].steps)
    assert.equal("9\n", ok("tasks", "--parent", tree.children[1].task_id, "--count").stdout)
    assert.equal(tree.children[1].task_id, ok("tasks", "--parent", id).stdout:match "\n(%S+)")
    ok("check")
  end)

  it("needs a task that is there", function()
    process.write_file(dir .. "/tree.lua", TREE)
    ok("submit", "shop/order", "--file", "tree.lua")
    for _, words in ipairs { { "tree", "aaaaaaaa" }, { "tasks", "--parent", "aaaaaaaa" } } do
      local result = cli(table.unpack(words))
      assert.equal(1, result.status)
      assert.matches("aaaaaaaa", result.stderr, 1, true)
    end
  end)
end)
