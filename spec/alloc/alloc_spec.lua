-- Whatever allocation fails: an error or a clean end with a message, and never a damaged store or a lost acknowledgement.
local process = require "spec.support.process"
local tasker = require "tasker"

local build = os.getenv "TASKER_BUILD" or "build"

describe("an allocation that fails #slow", function()
  local dir, template

  local function run(name, store, env)
    return process.run { process.program(), "spec/alloc/scenario.lua", name, store, env = env, timeout = 20 }
  end

  setup(function()
    dir = process.temp_dir()
    template = dir .. "/template"
    assert.equal("", run("prepare", template).stderr)
    assert(os.execute(("cp -r %s %s/recovery"):format(template, dir)))
    assert.equal(137, run("die", dir .. "/recovery").status)
  end)
  teardown(function() process.remove_dir(dir) end)

  local function copy_of(name)
    local store = dir .. "/copy"
    local from = name == "recovery" and dir .. "/recovery" or template
    assert(os.execute(("rm -rf %s && cp -r %s %s"):format(store, from, store)))
    return store
  end

  local function allocations(name)
    local store = copy_of(name)
    local result = run(name, store, { LD_PRELOAD = build .. "/shim/alloc.so", TASKER_ALLOC_COUNT = dir .. "/count" })
    assert.equal(0, result.status, result.stderr)
    return tonumber(process.read_file(dir .. "/count"))
  end

  local function check_store(store, acknowledged, what)
    local app = assert(tasker.open(store))
    local damage
    assert(app.engine:check(function(text) damage = damage or text end, function() end))
    assert.is_nil(damage, what)
    for id in acknowledged:gmatch "%S+" do
      assert.truthy(app:task(id), what .. ": acknowledged and lost: " .. id)
    end
    app:close()
  end

  local function fail_one(name, number, span)
    local store = copy_of(name)
    local what = ("%s, allocation %d, %d in a row"):format(name, number, span)
    local result = run(name, store, {
      LD_PRELOAD = build .. "/shim/alloc.so", TASKER_ALLOC_FAIL = tostring(number), TASKER_ALLOC_SPAN = tostring(span),
    })
    local status, said = result.status, what .. ": " .. result.stderr
    assert.is_true(status == 0 or status == 1 or status == 134, ("%s ended with status %d: %s"):format(what, status, result.stderr))
    assert.is_true(status == 0 or #result.stderr > 0, said)
    assert.is_true(status ~= 134 or result.stderr:find "out of memory" ~= nil, said)
    check_store(store, result.stdout, what)
  end

  -- All of them when they are few, else some spread over the whole, others in each run of the same seed.
  local function fail_each(name, limit)
    if build:find "san" then
      pending "the sanitizers allocate in their own way"
      return
    end
    math.randomseed(tonumber(os.getenv "TASKER_SEED") or 1)
    local count = allocations(name)
    assert.is_true(count > 0)
    local stride = math.max(1, count / limit)
    for at = 0, count - 1, stride do
      local number = math.min(count, 1 + math.floor(at + math.random() * (stride - 1)))
      fail_one(name, number, 1)
      fail_one(name, number, 1 << 30)
    end
  end

  for name, limit in pairs { open = 80, submit = 100, turn = 120, recovery = 100, read = 60, json = 40 } do
    it("is survived by the store: " .. name, function() fail_each(name, limit) end)
  end
end)
