--- What the benchmarks share: scratch stores, the floor program, percentiles, and figures read from /proc and from a store's file.
-- @module support

local tasker = require "tasker"

local support = {}

local build = os.getenv "TASKER_BUILD" or "build"
support.interpreter = build .. "/tasker-lua"
support.floor_program = build .. "/bench/floor"

--- A word for the shell, quoted.
function support.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

--- What a command prints on stdout; raises when it fails.
function support.capture(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  if not pipe:close() then
    error("failed: " .. command, 2)
  end
  return text
end

local scratch

--- A new directory for one store; all of them are removed by `support.clean`.
function support.new_store()
  if not scratch then
    scratch = support.capture("mktemp -d -t tasker-bench-XXXXXX"):gsub("%s+$", "")
  end
  return support.capture(("mktemp -d %s/store-XXXXXX"):format(support.quote(scratch))):gsub("%s+$", "")
end

function support.clean()
  if scratch then
    os.execute("rm -rf " .. support.quote(scratch))
    scratch = nil
  end
end

--- Runs the floor program; `arguments` as on its command line. Its figures as a table.
function support.floor(arguments)
  return assert(tasker.json.decode(support.capture(support.floor_program .. " --json " .. arguments)))
end

--- The floor at the group size that was reached, for tasks of stages of these widths: the median of three runs.
function support.floor_for(shape, tasks, group)
  local runs = {}
  for i = 1, 3 do
    runs[i] = support.floor(("--shape %s --tasks %d --group %d"):format(shape, tasks, math.max(1, math.floor(group + 0.5))))
  end
  table.sort(runs, function(a, b) return a.steps_per_second < b.steps_per_second end)
  return runs[2]
end

--- The value below which the fraction `p` of the values lies. Sorts `values`.
function support.percentile(values, p)
  table.sort(values)
  return values[math.max(1, math.ceil(#values * p))]
end

--- Commits made to a store so far: the newer transaction number of its two meta pages.
function support.commits(store)
  local file <close> = assert(io.open(store .. "/data.mdb", "rb"))
  local newest = 0
  for page = 0, 1 do
    file:seek("set", page * 4096 + 144)
    newest = math.max(newest, (string.unpack("<I8", file:read(8))))
  end
  return newest
end

--- Bytes of a store's file.
function support.file_size(store)
  local file <close> = assert(io.open(store .. "/data.mdb", "rb"))
  return file:seek "end"
end

--- A field of /proc/PID/status (`nil`: this process's), as a number: KiB for sizes.
function support.proc_status(pid, field)
  local file <close> = io.open(("/proc/%s/status"):format(pid or "self"))
  return file and tonumber(file:read("a"):match("\n" .. field .. ":%s+(%d+)"))
end

--- Times the threads of a process went to sleep by themselves so far, which is how often they were woken.
function support.wakeups(pid)
  local total = 0
  for path in support.capture(("ls /proc/%d/task"):format(pid)):gmatch "%d+" do
    local file <close> = io.open(("/proc/%d/task/%s/status"):format(pid, path))
    total = total + (file and tonumber(file:read("a"):match "\nvoluntary_ctxt_switches:%s+(%d+)") or 0)
  end
  return total
end

--- Seconds on a clock with fractions.
support.now = tasker.now

--- Runs a command of the program on a store; what it prints, decoded.
function support.command(store, words)
  return assert(tasker.json.decode(support.capture(("%s %s --json --store %s"):format(support.interpreter, words, support.quote(store)))))
end

--- How many tasks of a store are complete.
function support.completed(store)
  return support.command(store, "stats").tasks.complete or 0
end

--- Seconds from the first start of a step after `seq` to the newest event, as the log tells them.
function support.log_seconds(app, store, seq)
  local first, last = nil, support.command(store, "stats").events.last_seq
  for _, event in ipairs(app:events { after = seq, limit = 1000 }) do
    if event.event == "step.started" then
      first = event
      break
    end
  end
  local newest = app:events { after = last - 1, limit = 1 }[1]
  return tasker.time.parse(newest.at) - tasker.time.parse(first.at)
end

--- Starts a command in the background; its process id. `log`: where its output goes.
function support.spawn(command, log)
  local output = support.quote(log or "/dev/null")
  return math.tointeger(support.capture(("%s >%s 2>&1 </dev/null & echo $!"):format(command, output)):match "%d+")
end

--- Waits until `condition()` is true; raises after `seconds`.
function support.await(what, seconds, condition)
  local give_up = support.now() + seconds
  while not condition() do
    if support.now() > give_up then
      error("waited in vain for " .. what, 2)
    end
    tasker.sleep(0.02)
  end
end

--- Starts a worker process for a handler file, and returns its id once it has completed a task of the handler `clock`.
function support.start_worker(store, file)
  local command = ("%s worker %s --store %s"):format(support.interpreter, support.quote(file), support.quote(store))
  local pid = support.spawn(command, store .. "/worker.log")
  local app = assert(tasker.open(store))
  local id
  support.await("a worker that knows its handler", 10, function()
    id = app:submit "clock"
    return id
  end)
  assert(app:wait(id, 10))
  app:close()
  return pid
end

--- Ends a process that was started here, and waits until it is gone.
function support.stop(pid)
  support.capture("kill " .. pid)
  support.await("the worker's end", 30, function()
    return not support.proc_status(pid, "VmRSS")
  end)
end

--- Submits `count` tasks of one handler, as many a commit as it takes.
function support.submit(app, handler, count)
  local batch = {}
  for i = 1, math.min(count, 10000) do
    batch[i] = { handler }
  end
  while count > 0 do
    if count < #batch then
      batch = table.move(batch, 1, count, 1, {})
    end
    assert(app:submit_many(batch))
    count = count - #batch
  end
end

--- A chain of `length` steps that return a small table.
function support.chain(name, length)
  local steps = {}
  for i = 1, length do
    steps[i] = { name = "s" .. i, run = function() return { charged = 12, x = i } end }
  end
  return tasker.handler { name = name, chain = true, steps = steps }
end

--- Prints one result of a benchmark, which `run.lua` reads: `name value unit`, and where they make sense `floor` (of the same
-- unit), `ratio` to it or `over` (what it takes over the floor), `note`, and `target`: what the ratio (without one `over`, without
-- that the value) must be, at least when `better` is "more", at most when "less".
function support.report(result)
  io.stdout:write(tasker.json.encode(result), "\n")
  io.stdout:flush()
end

return support
