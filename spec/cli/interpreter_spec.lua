-- tasker-lua passes for lua 5.4: each invocation is made with both and must answer the same on stdout, on stderr (but for
-- the program's name) and in its exit code.
local harness = require "spec.support.harness"
local process = require "spec.support.process"

local REFERENCE = assert(io.popen("command -v lua5.4")):read "l" or error "these tests compare with lua5.4, which is not there"

local FILES = {
  ["hello.lua"] = "print('hello', ...)\n",
  ["shebang.lua"] = "#!/usr/bin/env lua\nerror('on line two')\n",
  ["syntax.lua"] = "local x = = 1\n",
  ["args.lua"] = "for i = -9, 9 do if arg[i] and i >= 0 then print(i, arg[i]) end end print(#arg, select('#', ...), ...)\n",
  ["before.lua"] = "local n = 0 while arg[n - 1] do n = n - 1 print(n < -1 and n or 'x', arg[n]) end\n",
  ["deep.lua"] = "local function f(n) if n == 0 then error('deep') end f(n - 1) return n end\nf(30)\n",
  ["exit.lua"] = "io.write('partial') os.exit(7)\n",
  ["tail.lua"] = "local function g() error('in tail') end\nlocal function f() return g() end\nf()\n",
  ["method.lua"] = "local t = {} function t:boom() local x = nil; return x.y end\nt:boom()\n",
  ["module.lua"] = "return { value = 42 }\n",
  ["side.lua"] = "print('side', ...)\n",
  ["bad_module.lua"] = "error('module fails')\n",
  ["close.lua"] = "setmetatable({}, { __gc = function() print('closed') end }) local x <close> = setmetatable({}, "
    .. "{ __close = function() print('x closed') end }) print('end')\n",
  ["stdin.lua"] = "print(io.read('n')) print(io.read('l')) print(io.read('a'))\n",
  ["init.lua"] = "print('init file') from_init = 1\n",
  ["-dash.lua"] = "print('dash')\n",
  ["noext"] = "print('no extension', ...)\n",
}

local INTERACTIVE = table.concat({
  "x = 1", "x", "=x + 1", "for i = 1, 2 do", "print(i)", "end", "error 'a'", "error {}", "return 1, nil, 'three'",
  "local a <const> = 3; print(a)", "f = function()", "return 5", "end f()", "f()", "x +", "1", "1 +* 2", "", "  ",
  "'quoted' -- comment", "goto nowhere", "setmetatable({}, {__tostring = function() return 'ts' end})", "nil", "...",
  "_PROMPT = '# '", "_PROMPT2 = setmetatable({}, {__tostring = function() return 'more ' end})", "do", "end",
  "coroutine.wrap(function() error 'co' end)()", "print = 5", "1", "print = nil", "2",
}, "\n") .. "\n"

-- Each: a promise, the words, and env, stdin, or setup.
local CASES = {
  { "runs -e", "-e", "print(1 + 1)" },
  { "takes the text of -e glued to it", "-eprint(3)" },
  { "runs several -e in order, in one state", "-e", "x = 1", "-e", "x = x + 1", "-e", "print(x)" },
  { "keeps locals of one -e out of the next", "-e", "local y = 1", "-e", "print(y)" },
  { "refuses -e without a text", "-e", usage = true },
  { "refuses -e before an option", "-e", "-v", usage = true },
  { "refuses -l without a name", "-l", usage = true },
  { "refuses an unknown option", "-x", usage = true },
  { "refuses an unknown long option", "--verbose", usage = true },
  { "refuses -i with something glued to it", "-i3", usage = true },
  { "refuses -E with something glued to it", "-Ex", usage = true },
  { "refuses -W with something glued to it", "-W1", usage = true },
  { "refuses -v with something glued to it", "-vv", usage = true },
  { "reports a syntax error of -e", "-e", "x =" },
  { "reports a runtime error of -e with its traceback", "-e", "error('boom')" },
  { "reports an error without position", "-e", "error('plain', 0)" },
  { "reports nil as an error", "-e", "error()" },
  { "reports a table as an error", "-e", "error({})" },
  { "reports a number as an error", "-e", "error(42)" },
  { "reports an error by its __tostring, without traceback", "-e",
    "error(setmetatable({}, {__tostring = function() return 'mine' end}))" },
  { "reports an error whose __tostring returns no string", "-e",
    "error(setmetatable({}, {__tostring = function() return 1 end}))" },
  { "reports an error raised in a coroutine", "-e", "coroutine.wrap(function() error('inner') end)()" },
  { "reports running out of stack", "-e", "local function f() return 1 + f() end f()", only_first_line = true },
  { "stops at the first -e that fails", "-e", "error('a')", "-e", "print('never')" },
  { "prints its version", "-v" },
  { "prints its version and runs -e", "-v", "-e", "print(_VERSION)" },
  { "prints its version and runs a script", "-v", "hello.lua" },
  { "requires a library into a global", "-l", "module", "-e", "print(module.value)" },
  { "requires a library glued to -l", "-lmodule", "-e", "print(module.value)" },
  { "requires a library into a global of another name", "-l", "m=module", "-e", "print(m.value, module)" },
  { "requires in the order of -l and -e", "-e", "print('first')", "-l", "side", "-e", "print('last')" },
  { "reports a library that does not exist", "-l", "no_such_module" },
  { "reports a library that raises", "-l", "bad_module" },
  { "runs a script", "hello.lua" },
  { "runs a script with arguments", "hello.lua", "a", "b c", "" },
  { "runs a script without extension", "./noext", "a" },
  { "runs a script whose name is only a word", "noext", "a" },
  { "fills arg and the varargs", "args.lua", "one", "two", "-e", "--" },
  { "fills the negative indexes of arg", "-W", "-e", "z = 1", "before.lua", "after" },
  { "gives -e the same arg", "-e", "print(arg[0], arg[1], #arg)", "hello.lua", "x" },
  { "has the program as arg[0] without a script", "-e", "print(#arg, arg[0] ~= nil, arg[1])" },
  { "passes arguments that -e changed", "-e", "arg[1] = 'changed' arg[3] = 'c'", "hello.lua", "a", "b" },
  { "reports an arg that is no table", "-e", "arg = nil", "hello.lua" },
  { "skips a shebang line and counts it", "shebang.lua" },
  { "reports a syntax error of a script", "syntax.lua" },
  { "reports a script that does not exist", "missing.lua" },
  { "reports a script in a folder that does not exist", "no/such/script" },
  { "reports a folder", "./folder/" },
  { "shortens a long traceback", "deep.lua" },
  { "shows tail calls in a traceback", "tail.lua" },
  { "names methods in an error", "method.lua" },
  { "ends with the code of os.exit", "exit.lua" },
  { "ends with failure by os.exit(false)", "-e", "os.exit(false)" },
  { "closes the state when asked to", "-e", "setmetatable({}, {__gc = function() print('gc') end}) os.exit(true, true)" },
  { "runs finalizers at the end", "close.lua" },
  { "runs a script from stdin by -", "-", "a", "b", stdin = "print('from stdin', ...) print(arg[0])\n" },
  { "runs a script from stdin without arguments", stdin = "print('piped')\n" },
  { "reports an error of stdin", stdin = "error('in stdin')\n" },
  { "lets a script read stdin", "stdin.lua", stdin = "12 rest\nmore\nlines\n" },
  { "takes what follows -- as a script", "--", "hello.lua", "-e" },
  { "takes what follows -- as a script even with a dash", "--", "-dash.lua" },
  { "reads nothing after --", "--", stdin = "print('piped')\n" },
  { "keeps warnings off", "-e", "warn('quiet')" },
  { "turns warnings on by -W", "-W", "-e", "warn('a', 'b')" },
  { "turns warnings on by @on", "-e", "warn('@on') warn('now') warn('@off') warn('gone')" },
  { "warns of errors in finalizers", "-W", "-e", "setmetatable({}, {__gc = function() error('gc') end})" },
  { "runs LUA_INIT", "-e", "print(from)", env = { LUA_INIT = "from = 'init' print('init')" } },
  { "prefers LUA_INIT_5_4", "-e", "", env = { LUA_INIT = "print('any')", LUA_INIT_5_4 = "print('5.4')" } },
  { "runs the file that LUA_INIT names", "-e", "print(from_init)", env = { LUA_INIT = "@init.lua" } },
  { "reports a LUA_INIT file that does not exist", "-e", "print(1)", env = { LUA_INIT = "@missing.lua" } },
  { "reports an error in LUA_INIT and stops", "-e", "print(1)", env = { LUA_INIT = "error('bad init')" } },
  { "ignores the environment by -E", "-E", "-e", "print(package.path == os.getenv('LUA_PATH'))",
    env = { LUA_INIT = "print('init')", LUA_PATH = "./x/?.lua" } },
  { "looks where LUA_PATH says", "-l", "module", "-e", "print(package.path)", env = { LUA_PATH = "./?.lua;;" } },
  { "prefers LUA_PATH_5_4", "-e", "print(package.path, package.cpath)",
    env = { LUA_PATH = "a", LUA_PATH_5_4 = "b", LUA_CPATH_5_4 = "c" } },
  { "has the same libraries and limits", "-e", "print(_VERSION, math.maxinteger, string.packsize('j'), utf8.charpattern, "
    .. "package.config, #package.searchers >= 4, require == package.loaded._G.require)" },
  { "has the same globals", "-e", "local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) print(table.concat(t, ' '))" },
  { "collects garbage in the same mode", "-e", "print(collectgarbage('incremental'))" },
  { "answers interactively", "-i", stdin = INTERACTIVE },
  { "ends interactively without a last newline", "-i", stdin = "1 + 1" },
  { "answers interactively after a script", "-i", "hello.lua", "arg", stdin = "arg[1]\n" },
  { "answers interactively after -e", "-i", "-e", "x = 7", stdin = "x\n" },
  { "leaves by os.exit in interactive mode", "-i", stdin = "os.exit(4)\n1\n" },
  { "is not interactive after a script that failed", "-i", "shebang.lua", stdin = "print('never')\n" },
}

describe("tasker-lua as lua", function()
  local dir, program

  setup(function()
    dir = process.temp_dir()
    program = process.program()
    os.execute("mkdir " .. dir .. "/folder")
    for name, text in pairs(FILES) do
      process.write_file(dir .. "/" .. name, text)
    end
  end)

  teardown(function()
    process.remove_dir(dir)
  end)

  -- One shell for each invocation: there are many.
  local function invoke(path, case)
    local words = { "cd", process.quote(dir), "&& exec env HOME=. TERM=dumb" }
    for name, value in pairs(case.env or {}) do
      words[#words + 1] = process.quote(name .. "=" .. value)
    end
    words[#words + 1] = process.quote(path)
    for i = 2, #case do
      words[#words + 1] = process.quote(case[i])
    end
    process.write_file(dir .. "/.in", case.stdin or "")
    local pipe = assert(io.popen(table.concat(words, " ") .. " <.in 2>.err", "r"))
    local stdout = pipe:read "a"
    local _, _, status = pipe:close()
    return { stdout = stdout, status = status, stderr = process.read_file(dir .. "/.err") }
  end

  -- What may differ: the program's name, and that one searcher more was asked.
  local function normal(text, path)
    local plain = path:gsub("%p", "%%%0")
    text = text:gsub("\n%s*no embedded file '[^\n]*'", "")
    text = text:gsub(plain, "LUA"):gsub("^tasker%-lua: ", "LUA: "):gsub("\ntasker%-lua: ", "\nLUA: ")
    return text
  end

  for _, case in ipairs(CASES) do
    it(case[1], function()
      local expected = invoke(REFERENCE, case)
      local actual = invoke(program, case)
      local want, got = normal(expected.stderr, REFERENCE), normal(actual.stderr, program)
      if case.usage or case.only_first_line then
        want, got = want:match("^[^\n]*"), got:match("^[^\n]*")
      end
      assert.equal(want, got)
      assert.equal(normal(expected.stdout, REFERENCE), normal(actual.stdout, program))
      assert.equal(expected.status, actual.status)
    end)
  end

  it("says what is missing when interactive input ends in the middle", function()
    local result = invoke(program, { "", "-i", stdin = "for i = 1, 2 do\n" })
    assert.equal("stdin:1: 'end' expected near <eof>\n", result.stderr)
    assert.equal(0, result.status)
  end)

  it("finds its own modules from any folder and before any path", function()
    process.write_file(dir .. "/tasker.lua", "error('a file in the way')")
    local result = process.run { program, "-e", "print(package.searchpath('tasker.cli', package.path) == nil, "
      .. "select(2, require 'tasker.cli.args'))", cwd = dir }
    assert.equal("true\ttasker/cli/args.lua\n", result.stdout)
    os.remove(dir .. "/tasker.lua")
  end)

  it("loads no module of its own before it is asked to", function()
    local result = process.run { program, "-e", "for name in pairs(package.loaded) do assert(not name:find('tasker'), name) end" }
    assert.equal("", result.stderr)
    assert.equal(0, result.status)
  end)

  it("remembers what was typed on a terminal", function()
    if not os.execute "command -v script >/dev/null" then
      pending "no program `script` to make a terminal with"
    end
    local function type_in(text)
      process.write_file(dir .. "/.typed", text)
      local words = { "cd", dir, "&& env XDG_STATE_HOME=" .. dir .. "/state TERM=dumb script -qec", process.quote(program),
        "/dev/null <.typed" }
      local pipe = assert(io.popen(table.concat(words, " "), "r"))
      local out = pipe:read "a"
      pipe:close()
      return out
    end
    local out = type_in "print(6 * 7)\n'kept'\nos.exit()\n"
    assert.truthy(out:find("\n42\r\n", 1, true), out)
    -- Ctrl-P twice is the line before the last.
    out = type_in "\16\16\nos.exit()\n"
    assert.truthy(out:find("kept\r\n", 1, true), out)
    assert.equal("print(6 * 7)\n'kept'\nos.exit()\n'kept'\nos.exit()\n", process.read_file(dir .. "/state/tasker/history"))
  end)

  harness.it_ends_loops(it, pending)("is interrupted by SIGINT with a traceback", function()
    local script = process.write_file(dir .. "/loop.lua", "io.stdout:write('go\\n') io.stdout:flush() while true do end\n")
    local child = process.start { program, script }
    finally(function() child:close() end)
    while child:stdout() ~= "go\n" do end
    child:kill "INT"
    while child:running() do end
    assert.equal(1, child:status())
    assert.truthy(child:stderr():find("interrupted!\nstack traceback:", 1, true))
  end)
end)
