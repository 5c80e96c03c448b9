--- What a mistyped word most likely meant.
-- @module tasker.suggest

local suggest = {}

-- Longer words are not compared: the table of distances grows with their product.
local LONGEST = 128

--- Edit distance in which swapping two neighbours is one step.
local function distance(a, b)
  local before, last, current = {}, {}, {}
  for j = 0, #b do
    last[j] = j
  end
  for i = 1, #a do
    current[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(last[j] + 1, current[j - 1] + 1, last[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, before[j - 2] + 1)
      end
      current[j] = best
    end
    before, last, current = last, current, before
  end
  return last[#b]
end

--- The candidate nearest to a word, or nil when none is near.
-- @param word anything; only strings have near candidates
-- @tab candidates a set (`{[name] = anything}`)
-- @treturn string|nil
function suggest.near(word, candidates)
  if type(word) ~= "string" or #word > LONGEST then
    return nil
  end
  local best, best_distance
  for candidate in pairs(candidates) do
    if #candidate <= LONGEST and math.abs(#candidate - #word) <= math.max(1, #word // 3) then
      local d = distance(word, candidate)
      -- Equally near ones: the first by name, so that a message is the same every time.
      if not best or d < best_distance or (d == best_distance and candidate < best) then
        best, best_distance = candidate, d
      end
    end
  end
  if best and best_distance <= math.max(1, #word // 3) then
    return best
  end
  return nil
end

--- `; did you mean 'x'?`, or nothing.
-- @param word
-- @tab candidates a set
-- @treturn string
function suggest.hint(word, candidates)
  local found = suggest.near(word, candidates)
  return found and ("; did you mean '%s'?"):format(found) or ""
end

return suggest
