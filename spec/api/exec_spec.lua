local harness = require "spec.support.harness"
local tasker = require "tasker"

describe("tasker.exec", function()
  local app
  before_each(function() app = harness.open "memory" end)
  after_each(harness.clean)

  local function sh(script, options)
    options = options or {}
    options[1], options[2], options[3] = "sh", "-c", script
    return tasker.exec(options)
  end

  it("gives what a program says and how it ended", function()
    assert.same({ status = 3, stdout = "out\n", stderr = "err\n" }, sh "echo out; echo err >&2; exit 3")
    assert.same({ status = 0, stdout = "a b|c", stderr = "" }, tasker.exec { "printf", "%s|%s", "a b", "c" })
    assert.equal(128 + 9, sh("kill -9 $$").status)
  end)

  it("gives it its input, its variables and its directory", function()
    local text = ("x"):rep(1000000)
    assert.equal(text, tasker.exec({ "cat", stdin = text }).stdout)
    assert.equal("", tasker.exec({ "cat" }).stdout)
    assert.equal("1-unset", sh("printf %s-%s $OWN ${HOME-unset}", { env = { OWN = "1", HOME = false } }).stdout)
    assert.equal("/\n", tasker.exec({ "pwd", cwd = "/" }).stdout)
    assert.equal(0, tasker.exec({ "true", stdin = text }).status)
  end)

  it("refuses what cannot be", function()
    for _, case in ipairs { { "not_found", { "no-such-program" } }, { "not_found", { "true", cwd = "/nowhere" } },
      { "io", { "/etc/passwd" } }, { "invalid", { "true", timeout = -1 } } } do
      local result, err = tasker.exec(case[2])
      assert.is_nil(result)
      assert.equal(case[1], err.code, err.message)
    end
    for _, misuse in ipairs { {}, { print }, { "true", tiemout = 1 }, { "true", env = { A = 1 } }, { "a\0b" } } do
      assert.has_error(function() tasker.exec(misuse) end)
    end
  end)

  it("ends what takes too long or says too much, with what it started", function()
    local dir = harness.temp_dir()
    local result, err = sh("echo first; (sleep 60; echo late) & echo $! > child; wait", { timeout = 0.3, cwd = dir })
    assert.is_nil(result)
    assert.same({ "timeout", "first\n" }, { err.code, err.details.stdout })
    local child = harness.process.read_file(dir .. "/child"):match "%d+"
    harness.eventually(function() return harness.process.run({ "kill", "-0", child }).status ~= 0 end)
    result, err = tasker.exec { "yes", max_output = 100000 }
    assert.is_nil(result)
    assert.equal("too_large", err.code)
  end)

  it("lets the other steps go on", function()
    local steps = {}
    for i = 1, 10 do
      steps[i] = { name = "s" .. i, run = function() return tasker.exec({ "sleep", "0.5" }).status end }
    end
    local started = tasker.now()
    assert.equal("complete", assert(app:run(harness.handler { steps = steps })).status)
    assert.is_true(tasker.now() - started < 4)
  end)

  it("ends with the step", function()
    local dir = harness.temp_dir()
    local outcome = harness.outcome(app, function() sh("echo $$ > pid; sleep 60", { cwd = dir }) end,
      { timeout = 0.3, retry = { limit = 1 } })
    assert.equal("timeout", outcome.error.code)
    local pid = harness.process.read_file(dir .. "/pid"):match "%d+"
    harness.eventually(function() return harness.process.run({ "kill", "-0", pid }).status ~= 0 end)
  end)

  it("leaves no descriptor behind", function()
    local function count() return tonumber(sh("ls /proc/$PPID/fd | wc -l").stdout) end
    tasker.exec { "true" }
    local before = count()
    for _ = 1, 20 do
      tasker.exec { "true" }
      tasker.exec { "no-such-program" }
    end
    harness.eventually(function() return count() <= before end)
  end)
end)
