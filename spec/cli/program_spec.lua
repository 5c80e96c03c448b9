-- What the first word of the command line decides, and how commands end.
local process = require "spec.support.process"

local program = process.program()

describe("the command line", function()
  local dir

  setup(function()
    dir = process.temp_dir()
    process.write_file(dir .. "/job", "print('a file called job', ...)\n")
    process.write_file(dir .. "/help", "print('a file called help')\n")
  end)

  teardown(function()
    process.remove_dir(dir)
  end)

  local function run(...)
    return process.run { program, cwd = dir, env = { TERM = "dumb", TASKER_STORE = "" }, ... }
  end

  -- Through a shell, for what only a shell can arrange.
  local function shell(command)
    return process.run { "bash", "-c", command, "bash", program, cwd = dir, env = { TERM = "dumb" } }
  end

  local function commands()
    local names = {}
    for name in run("help").stdout:gmatch "\n  ([%l-]+)  " do
      names[#names + 1] = name
    end
    return names
  end

  it("names the command that was probably meant", function()
    local result = run "hepl"
    assert.equal("tasker-lua: no such command or file 'hepl'; did you mean 'help'?\n", result.stderr)
    assert.equal("", result.stdout)
    assert.equal(2, result.status)
  end)

  it("guesses nothing that is far away", function()
    local result = run "frobnicate"
    assert.equal("tasker-lua: no such command or file 'frobnicate'\n", result.stderr)
    assert.equal(2, result.status)
  end)

  it("takes a word that is no command as a script when there is such a file", function()
    assert.equal("a file called job\ta\n", run("job", "a").stdout)
  end)

  it("takes a command before a file of its name, and the file after -- or by its path", function()
    assert.truthy(run("help").stdout:find("^usage: tasker%-lua COMMAND"))
    assert.equal("a file called help\n", run("--", "help").stdout)
    assert.equal("a file called help\n", run("./help").stdout)
  end)

  it("takes a word with a slash or .lua in it as a script though there is none", function()
    for _, word in ipairs { "missing.lua", "no/such" } do
      local result = run(word)
      assert.equal(("tasker-lua: cannot open %s: No such file or directory\n"):format(word), result.stderr)
      assert.equal(1, result.status)
    end
  end)

  it("takes --store before and after the command", function()
    for _, words in ipairs { { "--store", "x", "version" }, { "--store=x", "version" }, { "version", "--store", "x" } } do
      local result = run(table.unpack(words))
      assert.equal("", result.stderr)
      assert.truthy(result.stdout:find "^tasker %d")
    end
  end)

  it("wants a command after --store", function()
    for _, words in ipairs { { "--store" }, { "--store", "x" }, { "--store=x" } } do
      local result = run(table.unpack(words))
      assert.equal(2, result.status)
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find "^tasker%-lua: [^\n]*%-%-store[^\n]*\n$")
    end
  end)

  it("prints its version and help by the usual options", function()
    assert.equal(run("version").stdout, run("--version").stdout)
    assert.equal(run("help").stdout, run("--help").stdout)
    assert.equal(run("help").stdout, run("-h").stdout)
    assert.equal(run("help", "version").stdout, run("version", "--help").stdout)
    assert.truthy(run("version", "--json").stdout:find '^{"version":"[^"]+","lua":"Lua 5.4"}\n$')
  end)

  it("executes -e and -l before a command", function()
    assert.equal("first\n", run("-e", "io.write('first\\n')", "version").stdout:match "^[^\n]*\n")
  end)

  it("keeps what LUA_INIT prints out of commands", function()
    local result = process.run { program, "version", env = { LUA_INIT = "print 'noise'" } }
    assert.equal(run("version").stdout, result.stdout)
  end)

  it("refuses wrong usage with one line and code 2", function()
    local result = run("version", "--jsn")
    assert.equal("tasker-lua: version: unknown option '--jsn'; did you mean '--json'?; usage: tasker-lua version [options]\n",
      result.stderr)
    assert.equal(2, result.status)
    result = run("help", "versoin")
    assert.equal("tasker-lua: help: no such command 'versoin'; did you mean 'version'? (see 'tasker-lua help help')\n",
      result.stderr)
    assert.equal(2, result.status)
  end)

  it("does not pass on what would drive the terminal", function()
    local result = run("\27[31mx")
    assert.equal("tasker-lua: no such command or file '?[31mx'\n", result.stderr)
  end)

  it("explains every command, all of its options, and an example", function()
    local names = commands()
    assert.is_true(#names >= 3)
    for _, name in ipairs(names) do
      local result = run("help", name)
      assert.equal(0, result.status)
      assert.truthy(result.stdout:find(("usage: tasker-lua %s "):format(name), 1, true), name)
      assert.truthy(result.stdout:find("\nExample", 1, true), name .. " has no example")
      for term in result.stdout:gmatch "\n  (%S[^\n]*)" do
        assert.falsy(term:find "^%-%-[%l-]+ ?%u*$", name .. " does not explain " .. term)
      end
    end
  end)

  it("refuses an unknown option of every command", function()
    for _, name in ipairs(commands()) do
      local result = run(name, "--no-such-option-at-all")
      assert.equal(2, result.status, name)
      assert.truthy(result.stderr:find("unknown option '--no-such-option-at-all'", 1, true), name)
      assert.equal("", result.stdout)
    end
  end)

  it("ends quietly when the reader of stdout goes away", function()
    local result = shell [[ { "$1" completion bash; echo $? >&2; } | true; "$1" help >&- ; echo $? >&2 ]]
    local first, second = result.stderr:match "^(%d+)\n(.*)$"
    -- The reader may have been quick enough to take all of it.
    assert.truthy(first == "141" or first == "0", result.stderr)
    assert.truthy(second:find "^tasker%-lua: cannot write to stdout: [^\n]+\n1\n$", result.stderr)
    result = shell [[ (trap '' PIPE; "$1" help; echo $? >&2) | (exec <&-; cat </dev/null); : ]]
    assert.truthy(result.stderr == "141\n" or result.stderr == "0\n", result.stderr)
  end)

  it("is ended by Ctrl-C quietly, as by the signal", function()
    assert.equal(0, run("submit", "none", "--file", process.write_file(dir .. "/none.lua",
      "require('tasker').handler { name = 'none', steps = { { name = 'one', run = print } } }"), "--store", "s").status)
    -- In the background of a shell SIGINT would be ignored, in what it starts as well.
    local child = process.start { "env", "--default-signal=INT", program, "events", "--follow", "--json", "--store", "s", cwd = dir }
    finally(function() child:close() end)
    while child:running() and child:stdout() == "" do end
    child:kill "INT"
    while child:running() do end
    assert.equal(130, child:status())
    assert.equal("", child:stderr())
  end)

  it("fails when stdout is full", function()
    local result = shell '"$1" help >/dev/full'
    assert.equal("tasker-lua: cannot write to stdout: No space left on device\n", result.stderr)
    assert.equal(1, result.status)
  end)
end)

describe("completion", function()
  local function script(shell)
    return process.run { program, "completion", shell }.stdout
  end

  it("is a script that bash accepts and that completes", function()
    local dir = process.temp_dir()
    finally(function() process.remove_dir(dir) end)
    local path = process.write_file(dir .. "/completion", script "bash")
    local function complete(line, word)
      local result = process.run { "bash", "-c", ([[
        source %s
        COMP_WORDS=(%s) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _tasker_lua
        printf '%%s ' "${COMPREPLY[@]}"]]):format(path, line), cwd = dir }
      assert.equal("", result.stderr)
      assert.truthy((" " .. result.stdout):find(" " .. word .. " ", 1, true), result.stdout)
    end
    complete("tasker-lua ver", "version")
    complete("tasker-lua version --j", "--json")
    complete("tasker-lua --store x version --h", "--help")
    complete("tasker-lua help ver", "version")
    complete("tasker-lua completion f", "fish")
    complete("tasker-lua version --store com", "completion")
  end)

  for _, shell in ipairs { "zsh", "fish" } do
    it("is a script that " .. shell .. " accepts", function()
      local text = script(shell)
      assert.truthy(text:find("completion", 1, true))
      if not os.execute("command -v " .. shell .. " >/dev/null") then
        pending("no " .. shell .. " here")
      end
      local dir = process.temp_dir()
      finally(function() process.remove_dir(dir) end)
      local result = process.run { shell, "-n", process.write_file(dir .. "/completion", text) }
      assert.equal("", result.stderr)
      assert.equal(0, result.status)
    end)
  end
end)

describe("commands that raise", function()
  -- Modules in package.preload stand in for command files.
  local function run_command(body, words, env)
    local source = ([[
      package.preload["tasker.cli.probe"] = function()
        return { summary = "probe", options = { { name = "flag", help = "a flag" } }, run = function(opts, ctx) %s end }
      end
      local program = { commands = { "probe" }, version = "0", is_tty = function() return false end,
        columns = function() return 80 end, absolute = function(path) return "/abs/" .. path end }
      os.exit(require("tasker.cli").main(%s, program))]]):format(body, words or '{ "probe" }')
    return process.run { program, "-e", source, env = env or {} }
  end

  it("end with the code they return, or 0", function()
    assert.equal(0, run_command("").status)
    assert.equal(5, run_command("return 5").status)
  end)

  it("print an err as one line", function()
    local result = run_command("error { code = 'io', message = 'the disk\\n  is gone' }")
    assert.equal("tasker-lua: probe: the disk is gone\n", result.stderr)
    assert.equal(1, result.status)
    result = run_command("return ctx.fail('cannot submit', { code = 'invalid', message = 'm' } and 'why')")
    assert.equal("tasker-lua: cannot submit: why\n", result.stderr)
    assert.equal(1, result.status)
  end)

  it("never show a traceback unless it is asked for", function()
    local result = run_command("local x = nil; return x.y")
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find "^tasker%-lua: probe: [^\n]* %(TASKER_LOG=debug shows where%)\n$")
    result = run_command("local x = nil; return x.y", nil, { TASKER_LOG = "debug" })
    assert.truthy(result.stderr:find("stack traceback:", 1, true))
  end)

  it("end with 2 for what was used wrongly", function()
    local result = run_command("ctx.usage('that cannot be')")
    assert.equal("tasker-lua: probe: that cannot be (see 'tasker-lua help probe')\n", result.stderr)
    assert.equal(2, result.status)
  end)

  it("refuse to make a store by reading", function()
    local dir = process.temp_dir()
    finally(function() process.remove_dir(dir) end)
    local result = run_command("ctx.open()", ('{ "probe", "--store", "%s/none" }'):format(dir))
    assert.equal(1, result.status)
    assert.truthy(result.stderr:find "^tasker%-lua: probe: there is no store at [^\n]+\n$")
    assert.falsy(os.execute("test -e " .. dir .. "/none"))
  end)

  it("know where the store comes from", function()
    local body = "ctx.out(ctx.store_url .. ' ' .. tostring(ctx.store_given) .. ' ' .. ctx.store_path())"
    assert.equal("./tasker-data false /abs/./tasker-data", run_command(body, nil, { TASKER_STORE = "" }).stdout)
    assert.equal("lmdb:e true /abs/e", run_command(body, nil, { TASKER_STORE = "lmdb:e" }).stdout)
    assert.equal("memory: true memory:", run_command(body, '{ "--store", "memory:", "probe" }', { TASKER_STORE = "e" }).stdout)
  end)
end)
