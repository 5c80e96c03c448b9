--- Runs the benchmarks, each in a process of its own, and prints each figure beside the floor of the same run and its target.
--
-- usage: tasker-lua bench/run.lua [--quick] [--json | --markdown] [NAME...]
--
-- `--quick` is for seeing that they work: its figures mean nothing. `--json` prints one result a line, as `support.report` describes them,
-- `--markdown` the table that the README shows. Stores are made under $TMPDIR (/tmp): a memory file system there makes every figure a lie.
local names = { "startup", "json", "schema", "idle", "latency", "single", "chain", "diamond", "wide", "map", "limits", "timers", "http",
  "million" }
local quick, json, markdown, wanted = false, false, false, {}
for _, word in ipairs(arg) do
  if word == "--quick" then
    quick = true
  elseif word == "--json" then
    json = true
  elseif word == "--markdown" then
    markdown = true
  elseif word:find "^%-" then
    io.stderr:write(("bench: unknown option '%s'; there are --quick, --json and --markdown\n"):format(word))
    os.exit(2)
  else
    wanted[#wanted + 1] = word
  end
end

local here = arg[0]:match "^(.*/)" or "./"
local interpreter = (os.getenv "TASKER_BUILD" or "build") .. "/tasker-lua"
local decode = require("tasker").json.decode

local function number(value)
  if value >= 1000 then
    return (("%.0f"):format(value):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
  end
  return ("%.4g"):format(value)
end

-- Whether a result meets its target, and what is compared, in words; nil for one without a target.
local function judge(result)
  if not result.target then
    return nil
  end
  local measured = result.ratio or result.over or result.value
  local met = result.better == "more" and measured >= result.target or result.better == "less" and measured <= result.target
  local what = result.ratio and "x floor" or result.over and result.unit .. " over it" or result.unit
  return met, ("%s %s %s"):format(result.better == "more" and ">=" or "<=", number(result.target), what)
end

local function print_result(result)
  local met, target = judge(result)
  io.stdout:write(("%-46s %12s %-8s"):format(result.name, number(result.value), result.unit))
  io.stdout:write((" %10s"):format(result.floor and number(result.floor) or ""))
  local relation = result.ratio and ("%.2f x"):format(result.ratio) or result.over and ("%+.2f"):format(result.over) or ""
  io.stdout:write((" %8s  %-20s %s"):format(relation, target or "", met == nil and "" or met and "met " or "MISS"))
  io.stdout:write(result.note and "  " .. result.note or "", "\n")
  io.stdout:flush()
end

local function print_row(result)
  local met, target = judge(result)
  local relation = result.ratio and ("%.2f x"):format(result.ratio) or result.over and ("%+.2f"):format(result.over) or ""
  io.stdout:write(("| %s | %s %s | %s | %s | %s |\n"):format(result.name, number(result.value), result.unit,
    result.floor and number(result.floor) or "", relation, target and (target .. (met and "" or " (missed)")) or ""))
  io.stdout:flush()
end

local failed, missed = 0, 0

local function run(name)
  local pipe = assert(io.popen(("%s %s%s.lua%s"):format(interpreter, here, name, quick and " --quick" or "")))
  for line in pipe:lines() do
    local result = decode(line)
    if json or not result then
      print(line)
    elseif markdown then
      print_row(result)
    else
      print_result(result)
    end
    if result and judge(result) == false then
      missed = missed + 1
    end
  end
  if not pipe:close() then
    io.stderr:write(("bench: %s failed\n"):format(name))
    failed = failed + 1
  end
end

if markdown then
  print "| | measured | floor of the same run | relation | target |\n|---|---|---|---|---|"
elseif not json then
  print(("%-46s %12s %-8s %10s %8s  %-20s"):format("", "measured", "", "floor", "", "target"))
end
for _, name in ipairs(#wanted > 0 and wanted or names) do
  run(name)
end
if missed > 0 and not quick then
  io.stderr:write(("bench: %d target%s missed\n"):format(missed, missed == 1 and "" or "s"))
end
os.exit(failed == 0)
