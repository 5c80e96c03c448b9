--- Random numbers that are the same for the same seed, on every machine (splitmix64).
-- @module tasker.testing.random

local random = {}

local function mix(z)
  z = (z ~ (z >> 30)) * -0x40A7B892E31B1A47
  z = (z ~ (z >> 27)) * -0x6B2FB644ECCEEE15
  return z ~ (z >> 31)
end

--- Makes a source.
-- @int seed
-- @int[opt] stream another one gives other numbers for the same seed
-- @treturn function as math.random: `()` in [0, 1), `(n)` 1 to n, `(m, n)` m to n
function random.new(seed, stream)
  local state = mix(seed + (stream or 0) * 0x2545F4914F6CDD1D)
  return function(low, high)
    state = state - 0x61C8864680B583EB
    local bits = mix(state)
    if not low then
      return (bits >> 11) * 2.0 ^ -53
    elseif not high then
      low, high = 1, low
    end
    if low > high then
      error("random: the interval is empty", 2)
    end
    return low + (bits >> 1) % (high - low + 1)
  end
end

return random
