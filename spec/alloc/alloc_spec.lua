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

  local function template_of(name)
    return name == "recovery" and dir .. "/recovery" or template
  end

  local function allocations(name)
    local store = dir .. "/count-" .. name
    assert(os.execute(("cp -r %s %s"):format(template_of(name), store)))
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

  -- One shell runs them all, each in a store of its own: a process costs more than what it does here.
  local SCRIPT = [[
    while read -r number span; do
      at=%s/%s-$number-$span
      cp -r %s $at
      LD_PRELOAD=%s/shim/alloc.so TASKER_ALLOC_FAIL=$number TASKER_ALLOC_SPAN=$span \
        timeout 20 %s spec/alloc/scenario.lua %s $at >$at.out 2>$at.err </dev/null
      echo $? >$at.status
    done <%s/failures 2>/dev/null]]

  local function fail_all(name, failures)
    local words = {}
    for i, failure in ipairs(failures) do
      words[i] = ("%d %d\n"):format(failure[1], failure[2])
    end
    process.write_file(dir .. "/failures", table.concat(words))
    process.write_file(dir .. "/script", SCRIPT:format(dir, name, template_of(name), build, process.program(), name, dir))
    assert(os.execute("sh " .. dir .. "/script 2>/dev/null"))
    for _, failure in ipairs(failures) do
      local what = ("%s, allocation %d, %d in a row"):format(name, failure[1], failure[2])
      local at = ("%s/%s-%d-%d"):format(dir, name, failure[1], failure[2])
      local status, said = tonumber(process.read_file(at .. ".status")), process.read_file(at .. ".err")
      assert.is_true(status == 0 or status == 1 or status == 134, ("%s ended with status %d: %s"):format(what, status, said))
      assert.is_true(status == 0 or #said > 0, what .. ": no word why")
      assert.is_true(status ~= 134 or said:find "out of memory" ~= nil, ("%s: %s"):format(what, said))
      check_store(at, process.read_file(at .. ".out"), what)
      process.remove_dir(at)
    end
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
    local failures = {}
    for at = 0, count - 1, stride do
      local number = math.min(count, 1 + math.floor(at + math.random() * (stride - 1)))
      failures[#failures + 1] = { number, 1 }
      failures[#failures + 1] = { number, 1 << 30 }
    end
    fail_all(name, failures)
  end

  for name, limit in pairs { open = 24, submit = 30, turn = 36, recovery = 30, read = 16, json = 12 } do
    it("is survived by the store: " .. name, function() fail_each(name, limit) end)
  end
end)
