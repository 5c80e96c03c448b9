-- What a command line means, by what a command declares.
local args = require "tasker.cli.args"
local process = require "spec.support.process"

local COMMAND = {
  summary = "for these tests",
  arguments = {
    { name = "handler" },
    { name = "extra", optional = true, display = "EXTRA|-" },
    { name = "files", many = true, optional = true },
  },
  options = {
    { name = "tag", value = "T", many = true },
    { name = "priority", value = "N", type = "integer", min = -10, max = 10, default = 0 },
    { name = "factor", value = "F", type = "number", min = 0 },
    { name = "run-at", value = "T", type = "time", relative = "ahead" },
    { name = "since", value = "T", type = "time", relative = "ago" },
    { name = "delay", value = "S", type = "duration", excludes = { "run-at" } },
    { name = "instances", value = "WHICH", choices = { "failed", "all", "none" } },
    { name = "json", short = "j" },
    { name = "color", negatable = true },
  },
}

local function parse(...)
  return args.parse(COMMAND, { ... })
end

local function refused(message, ...)
  local opts, why = parse(...)
  assert.is_nil(opts)
  assert.equal(message, why)
end

describe("arguments of a command", function()
  it("are taken in order, options anywhere between", function()
    local opts = assert(parse("h", "--json", "e", "--tag", "x", "f1", "f2"))
    assert.same({ "h", "e", { "f1", "f2" }, true, { "x" } }, { opts.handler, opts.extra, opts.files, opts.json, opts.tag })
  end)

  it("have defaults and empty lists when they are not given", function()
    local opts = assert(parse("h"))
    assert.same({ handler = "h", files = {}, tag = {}, priority = 0 }, opts)
  end)

  it("take values behind a space or an equals sign, and repeat", function()
    local opts = assert(parse("h", "--tag", "a", "--tag=b", "--tag=--json", "--tag=", "--priority", "-5"))
    assert.same({ "a", "b", "--json", "" }, opts.tag)
    assert.equal(-5, opts.priority)
  end)

  it("are all plain words after --", function()
    local opts = assert(parse("--", "--json", "--", "-x"))
    assert.same({ "--json", "--", { "-x" } }, { opts.handler, opts.extra, opts.files })
  end)

  it("may be a dash or a negative number", function()
    local opts = assert(parse("h", "-", "-5", "-.5"))
    assert.same({ "-", { "-5", "-.5" } }, { opts.extra, opts.files })
  end)

  it("have short and negated forms where declared", function()
    local opts = assert(parse("h", "-j", "--no-color"))
    assert.same({ true, false }, { opts.json, opts.color })
  end)

  it("need nothing else when help is asked for", function()
    assert.same({ help = true }, parse "--help")
    assert.same({ help = true }, parse("-h", "--nonsense"))
  end)

  it("are refused when unknown, with what was probably meant", function()
    refused("unknown option '--tga'; did you mean '--tag'?", "h", "--tga", "x")
    refused("unknown option '--prio'; did you mean '--priority'?", "h", "--prio=3")
    refused("unknown option '--entirely-else'", "h", "--entirely-else")
    refused("unknown option '-x'", "h", "-x")
    refused("unknown option '--no-json'; did you mean '--json'?", "h", "--no-json")
  end)

  it("are refused when missing or too many", function()
    refused "HANDLER is missing"
    local opts, why = args.parse({ arguments = { { name = "id" } } }, { "a", "b" })
    assert.is_nil(opts)
    assert.equal("unexpected argument 'b'", why)
  end)

  it("are refused without their value", function()
    refused("option '--tag' needs a value (T)", "h", "--tag")
    refused("option '--tag' needs a value (T)", "h", "--tag", "--json")
    refused("option '--json' takes no value", "h", "--json=yes")
  end)

  it("are refused together when one excludes the other", function()
    refused("--delay and --run-at cannot be given together", "h", "--run-at", "5m", "--delay", "5")
  end)

  it("are refused when they are not among the choices", function()
    refused("--instances must be one of failed, all, none, not 'al'; did you mean 'all'?", "h", "--instances", "al")
  end)

  it("do not let control characters through to the terminal", function()
    refused("unknown option '--?[31m'", "h", "--\27[31m")
  end)

  it("say what a value should have been", function()
    refused("--priority must be an integer, not '1.5'", "h", "--priority", "1.5")
    refused("--priority must be an integer, not '99999999999999999999'", "h", "--priority", "99999999999999999999")
    refused("--priority must be from -10 to 10, not '11'", "h", "--priority", "11")
    refused("--factor must be a number, not 'inf'", "h", "--factor", "inf")
    refused("--factor must be a number, not '1e999'", "h", "--factor", "1e999")
    refused("--factor must be at least 0, not '-1'", "h", "--factor", "-1")
    refused("--delay must be a duration like 90, 90s, 5m, 2h or 7d, not '5 m'", "h", "--delay", "5 m")
    refused("--run-at must be a time like 2026-01-31T09:00:00Z, epoch seconds, or a duration like 5m, not 'noon'",
      "h", "--run-at", "noon")
  end)
end)

describe("durations", function()
  for text, seconds in pairs { ["90"] = 90, ["90s"] = 90, ["5m"] = 300, ["2h"] = 7200, ["7d"] = 604800, ["1.5m"] = 90.0,
    ["0"] = 0 } do
    it(("%s is %s seconds"):format(text, seconds), function()
      assert.equal(seconds, args.parse_duration(text))
    end)
  end
  for _, text in ipairs { "", "s", "-5", "+5", "5w", "5ms", "1e3", "0x10", " 5", "5 ", "1.2.3", "1234567890123" } do
    it(("'%s' is none"):format(text), function()
      assert.is_nil(args.parse_duration(text))
    end)
  end
end)

describe("times", function()
  local NOW = 1000000000

  it("of up to six digits are durations, ago or ahead", function()
    assert.equal(NOW - 999999, args.parse_time("999999", "ago", NOW))
    assert.equal(NOW + 90, args.parse_time("90", "ahead", NOW))
    assert.equal(NOW - 7200, args.parse_time("2h", "ago", NOW))
  end)

  it("of more digits are epoch seconds", function()
    assert.equal(1000000, args.parse_time("1000000", "ago", NOW))
    assert.equal(1700000000.25, args.parse_time("1700000000.25", "ahead", NOW))
  end)

  for text, seconds in pairs {
    ["1970-01-01T00:00:00Z"] = 0, ["1969-12-31T23:59:59Z"] = -1, ["2000-02-29T12:00:00Z"] = 951825600,
    ["2026-01-31T09:00:00+02:00"] = 1769842800, ["2026-01-31t09:00:00-00:30"] = 1769851800,
    ["1970-01-01T00:00:00.5Z"] = 0.5, ["9999-12-31T23:59:59Z"] = 253402300799,
    ["0000-03-01T00:00:00Z"] = -62162035200,
  } do
    it(text .. " is understood", function()
      assert.equal(seconds, args.parse_time(text, "ago", NOW))
    end)
  end

  for _, text in ipairs { "2026-01-31", "2026-01-31T09:00:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
    "2026-01-31T24:00:00Z", "2026-01-31T09:60:00Z", "2026-01-31T09:00:61Z", "2026-01-31T09:00:00.Z",
    "2026-01-31T09:00:00+25:00", "2026-01-31T09:00:00+2", "2026-00-10T00:00:00Z", "2026-01-00T00:00:00Z", "",
    "1700000000x", "now" } do
    it(("'%s' is none"):format(text), function()
      assert.is_nil(args.parse_time(text, "ago", NOW))
    end)
  end
end)

describe("suggestions", function()
  local words = { "task", "tasks", "submit", "stats", "worker", "help", "priority" }
  for word, expected in pairs { taks = "tasks", tsaks = "tasks", submti = "submit", sub = "submit", hepl = "help",
    wroker = "worker", prio = "priority" } do
    it(("%s means %s"):format(word, expected), function()
      assert.equal(("; did you mean '%s'?"):format(expected), args.hint(word, words))
    end)
  end
  for _, word in ipairs { "x", "frobnicate", "", ("a"):rep(10000) } do
    it(("'%s' means nothing"):format(word:sub(1, 20)), function()
      assert.equal("", args.hint(word, words))
    end)
  end
end)

describe("JSON arguments", function()
  local program = process.program()

  local function submit_like(text, stdin)
    return process.run { program, "-e", [[
      local args = require "tasker.cli.args"
      local opts, why = args.parse({ arguments = { { name = "context", type = "json" } } }, { arg[1] })
      print(opts and require("tasker.core").json.encode(opts.context) or why)]], "/dev/null", text, stdin = stdin }.stdout
  end

  it("are a text, a file or stdin", function()
    local dir = process.temp_dir()
    finally(function() process.remove_dir(dir) end)
    local path = process.write_file(dir .. "/c.json", '{"b":2}')
    assert.equal('{"a":1}\n', submit_like '{"a":1}')
    assert.equal('{"b":2}\n', submit_like("@" .. path))
    assert.equal("[1,null]\n", submit_like("-", "[1,null]"))
    assert.equal("null\n", submit_like "null")
  end)

  it("say where they are broken", function()
    assert.truthy(submit_like("{'a':1}"):find("^CONTEXT: JSON: "))
    assert.truthy(submit_like("-", "[1,"):find("^CONTEXT: stdin: "))
    assert.equal("CONTEXT: /no/such/file: No such file or directory\n", submit_like "@/no/such/file")
    assert.truthy(submit_like("@/tmp"):find("^CONTEXT: /tmp: "))
  end)
end)
