--- What a mistyped word most likely meant.
-- @module tasker.suggest

local suggest = {}

-- Longer words are not compared: the table of distances grows with their product.
local LONGEST = 128

-- Distances are in half steps: a letter added, lost or changed; two neighbours swapped. So of two candidates the one that
-- only lacks a letter comes first.
local EDIT, SWAP = 2, 3

local function distance(a, b)
  local before, last, current = {}, {}, {}
  for j = 0, #b do
    last[j] = j * EDIT
  end
  for i = 1, #a do
    current[0] = i * EDIT
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or EDIT
      local best = math.min(last[j] + EDIT, current[j - 1] + EDIT, last[j - 1] + cost)
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, before[j - 2] + SWAP)
      end
      current[j] = best
    end
    before, last, current = last, current, before
  end
  return last[#b]
end

-- How far a candidate is, nil when too far. The beginning of a longer word is a likely slip too: `--prio`.
local function nearness(word, candidate)
  local limit = math.max(SWAP, #word // 3 * EDIT)
  if #candidate > LONGEST or #word < 2 then
    return nil
  end
  local prefix = #word >= 3 and candidate:sub(1, #word) == word
  if not prefix and math.abs(#candidate - #word) * EDIT > limit then
    return nil
  end
  local d = distance(word, candidate)
  if prefix then
    d = math.min(d, EDIT)
  end
  return d <= limit and d or nil
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
    local d = nearness(word, candidate)
    -- Equally near ones: the first by name, so that a message is the same every time.
    if d and (not best or d < best_distance or (d == best_distance and candidate < best)) then
      best, best_distance = candidate, d
    end
  end
  return best
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
