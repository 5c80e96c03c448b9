-- The seeded simulation (spec/sim/sim.c): whatever order crashes, people and timers come in, its promises hold.
local process = require "spec.support.process"

local simulation = (process.program():gsub("tasker%-lua$", "sim/sim"))

describe("the simulation", function()
  local function assert_held(result, counts)
    assert.equal(0, result.status, result.stdout .. result.stderr)
    local total = 0
    for passed, failed in result.stdout:gmatch "(%d+) passed, (%d+) failed\n" do
      assert.equal("0", failed)
      total = total + tonumber(passed)
    end
    assert.equal(counts, total)
  end

  it("holds over 100 seeds", function()
    assert_held(process.run { simulation, "1", "100" }, 100)
  end)

  it("holds over seeds that broke a promise once #slow", function()
    for _, seed in ipairs { 846, 1718, 4897, 5484, 6855, 11660, 12958, 13256, 17388, 17665 } do
      assert_held(process.run { simulation, tostring(seed), "1" }, 1)
    end
  end)

  -- The halves run at once: ten minutes of one processor.
  it("holds over 20,000 seeds #slow", function()
    local script = '"$0" 101 9900 & half=$!; "$0" 10001 10000 && wait $half'
    assert_held(process.run { "sh", "-c", script, simulation, timeout = 2300 }, 19900)
  end)
end)
