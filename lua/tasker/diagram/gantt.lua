--- A task over time: its steps as rows of bars, and the scale below them, for all renderers of charts over time.
-- @module tasker.diagram.gantt

local gantt = {}

local WAITING_SHARE = 0.25     -- of the time so far that a future retry may add to the chart

local NEVER_RAN = { skipped = true, cancelled = true }
local OPEN = { in_progress = true, waiting = true, ready = true }

local function largest(a, b)
  return a and b and math.max(a, b) or a or b
end

local function smallest(a, b)
  return a and b and math.min(a, b) or a or b
end

-- From the first to the last time that is known.
local function range_of(graph)
  local first, last = graph.task.started, largest(graph.task.ended, graph.task.now)
  for _, node in ipairs(graph.nodes) do
    first = smallest(first, node.started)
    last = largest(last, largest(node.ended, largest(node.started, node.last_attempted)))
  end
  first, last = first or 0, last or first or 0
  local future
  for _, node in ipairs(graph.nodes) do
    future = largest(future, node.status == "waiting" and node.next_attempt or nil)
  end
  if future and future > last then
    last = math.min(future, last + math.max(last - first, 0.001) * WAITING_SHARE)
  end
  return first, math.max(last, first + 0.001)
end

-- When all that a step waited for was done.
local function ready_times(graph)
  local ready, unfinished = {}, {}
  for _, edge in ipairs(graph.edges) do
    local ended = graph.nodes[edge.from].ended
    unfinished[edge.to] = unfinished[edge.to] or not ended
    ready[edge.to] = largest(ready[edge.to], ended)
  end
  for i in pairs(unfinished) do
    if unfinished[i] then
      ready[i] = nil
    end
  end
  return ready
end

-- `{from, to, state, thin}` in the order of time; thin ones are times in which nothing ran.
local function bars_of(node, ready, first, last)
  local bars = {}
  local function add(from, to, state, thin)
    if to > from or not thin then
      bars[#bars + 1] = { from = from, to = math.max(from, to), state = state, thin = thin }
    end
  end
  local started = node.started
  if not started then
    -- What only waits never starts.
    local ended = node.ended or node.status == "waiting" and math.min(node.next_attempt or last, last)
    if ended and not NEVER_RAN[node.status] then
      add(ready or first, ended, "waiting", true)
    end
    return bars
  elseif ready then
    add(ready, started, "pending", true)
  end
  local ended = node.ended or OPEN[node.status] and node.status ~= "waiting" and last or nil
  if not node.runs then
    add(started, ended or node.last_attempted or started, node.status)
  end
  for i, run in ipairs(node.runs or {}) do
    local before = node.runs[i - 1]
    if before then
      add(before.ended or before.started, run.started, "waiting", true)
    end
    add(run.started, run.ended or ended or last, run.ended and run.outcome or node.status)
  end
  if node.status == "waiting" then
    local bar = bars[#bars]
    add(bar.to, node.next_attempt and math.min(node.next_attempt, last) or last, "waiting", true)
  end
  return bars
end

--- Rows of a chart, those that started first above.
-- @tab graph of a task
-- @treturn table `{first, last, rows = {{node, bars = {{from, to, state, thin}}}}}`, times in seconds since the epoch
function gantt.chart(graph)
  local first, last = range_of(graph)
  local ready, rows = ready_times(graph), {}
  for i, node in ipairs(graph.nodes) do
    local bars = bars_of(node, ready[i], first, last)
    rows[i] = { node = node, index = i, bars = bars, from = node.started or bars[1] and bars[1].from or math.huge }
  end
  table.sort(rows, function(a, b)
    return a.from < b.from or a.from == b.from and a.index < b.index
  end)
  return { first = first, last = last, rows = rows }
end

local STEPS = { 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400 }

local function step_of(seconds, count)
  local wanted = seconds / count
  if wanted <= 30 then
    local power = 10 ^ math.floor(math.log(wanted, 10))
    for _, factor in ipairs { 1, 2, 5, 10 } do
      if factor * power >= wanted * 0.999999 then
        return math.max(factor * power, 0.000001)
      end
    end
  end
  for _, step in ipairs(STEPS) do
    if step >= wanted then
      return step
    end
  end
  return math.ceil(wanted / 86400) * 86400
end

local function tick_text(seconds, step)
  if seconds < 0.9995 and step < 1 then
    return ("%.6g ms"):format(seconds * 1000)
  elseif seconds < 60 then
    return ("%.6g s"):format(seconds)
  end
  local whole = math.floor(seconds + 0.5)
  if whole < 3600 then
    return ("%d:%02d m"):format(whole // 60, whole % 60)
  elseif whole < 172800 then
    return ("%d:%02d h"):format(whole // 3600, whole % 3600 // 60)
  end
  return ("%.3g d"):format(seconds / 86400)
end

--- Marks of a scale, counted from the beginning.
-- @tab chart
-- @int count of marks, about
-- @treturn {table,...} `{at = seconds from the beginning, text}`
function gantt.ticks(chart, count)
  local length = chart.last - chart.first
  local step, ticks = step_of(length, count), {}
  for i = 0, math.floor(length / step + 0.000001) do
    ticks[#ticks + 1] = { at = i * step, text = i == 0 and "0" or tick_text(i * step, step) }
  end
  return ticks
end

return gantt
