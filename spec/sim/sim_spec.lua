-- The seeded simulation (spec/sim/sim.c): whatever order crashes, people and timers come in, its promises hold.
local process = require "spec.support.process"

local simulation = (process.program():gsub("tasker%-lua$", "sim/sim"))

describe("the simulation", function()
  local function assert_holds(first, count)
    local result = process.run { simulation, tostring(first), tostring(count), timeout = 1150 }
    local passed, failed = result.stdout:match "(%d+) passed, (%d+) failed\n$"
    assert.equal(0, result.status, result.stdout .. result.stderr)
    assert.equal(count, tonumber(passed))
    assert.equal(0, tonumber(failed))
  end

  it("holds over 100 seeds", function()
    assert_holds(1, 100)
  end)

  it("holds over seeds that broke a promise once #slow", function()
    for _, seed in ipairs { 846, 1718, 4897, 5484, 6855, 11660, 12958, 13256, 17388, 17665 } do
      assert_holds(seed, 1)
    end
  end)

  it("holds over 20,000 seeds #slow", function()
    assert_holds(101, 19900)
  end)
end)
