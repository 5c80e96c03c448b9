--- `tasker-lua stats`: counts by state, queues and the size of the store.
local format = require "tasker.cli.support.format"
local term = require "tasker.cli.support.term"

local TASKS = { "pending", "in_progress", "paused", "complete", "resolved_manually", "error", "cancelled" }
local STEPS = { "pending", "ready", "in_progress", "waiting", "complete", "resolved_manually", "skipped", "error", "cancelled" }

-- `12 complete`, marked on a terminal; what there is none of is left out there.
local function counts(screen, lines, title, order, numbers)
  local parts, total = {}, 0
  for _, status in ipairs(order) do
    local number = numbers[status] or 0
    total = total + number
    if number > 0 then
      local text = ("%s %s"):format(format.count(number), format.status(status))
      parts[#parts + 1] = screen.is_tty and screen:mark(status) .. " " .. text or text
    end
  end
  lines[#lines + 1] = { title, format.count(total) .. (#parts > 0 and ": " .. table.concat(parts, "  ") or "") }
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function describe(screen, stats, path, now)
  local lines = {}
  local store = stats.store
  local free = store.free_bytes and store.free_bytes > 0 and (" (%s of it free)"):format(format.bytes(store.free_bytes)) or ""
  lines[1] = { "store", ("%s  %s%s"):format(path, format.bytes(store.bytes or 0), free) }
  counts(screen, lines, "tasks", TASKS, stats.tasks)
  counts(screen, lines, "steps", STEPS, stats.steps)
  for _, name in ipairs(sorted_keys(stats.queues)) do
    local queue = stats.queues[name]
    local oldest = format.epoch(queue.oldest_ready_at)
    local text = ("%s: %s ready"):format(name, format.count(queue.ready or 0))
    if oldest then
      text = ("%s, the oldest since %s"):format(text, format.age(math.max(now - oldest, 0)))
    end
    lines[#lines + 1] = { "queue", text }
  end
  lines[#lines + 1] = { "events", format.count(stats.events.last_seq) }
  return lines
end

local function run(opts, ctx)
  local app = ctx.open { options = { read_only = true } }
  local text, err = app.engine:stats()
  if not text then
    return ctx.fail(ctx.name, err)
  end
  if opts.json then
    ctx.out(text .. "\n")
    return 0
  end
  local core = require "tasker.core"
  local screen = term.out(ctx)
  for _, line in ipairs(describe(screen, core.json.decode(text), ctx.store_path(), core.now())) do
    ctx.out(("%s %s\n"):format(screen:paint(term.pad(line[1], 7), "dim"), line[2]))
  end
  return 0
end

return {
  summary = "count tasks and steps by state; queues and store size",
  group = "look",
  arguments = {},
  options = { { name = "json", help = "as one JSON value on stdout" } },
  examples = { { "tasker-lua stats --json | jq .queues", "queue depths, for programs" } },
  run = run,
}
