-- What the commands draw with: tasks laid out as trees, columns, durations, and JSON taken apart without decoding.
local columns = require "tasker.cli.support.columns"
local format = require "tasker.cli.support.format"
local json_lines = require "tasker.cli.support.json_lines"
local layout = require "tasker.cli.support.layout"
local term = require "tasker.cli.support.term"

local SIGNS = term.plain.signs

-- "a b(a) c(a,b)": names with what they depend on.
local function steps_of(text)
  local steps = {}
  for name, dependencies in text:gmatch "(%w+)(%(?[%w,]*%)?)" do
    local step = { name = name, status = "complete", depends_on = {} }
    for dependency in dependencies:gmatch "%w+" do
      table.insert(step.depends_on, dependency)
    end
    steps[#steps + 1] = step
  end
  return steps
end

local function drawn(text)
  local lines = {}
  for i, row in ipairs(layout.rows(steps_of(text), SIGNS)) do
    lines[i] = row.prefix .. row.step.name
  end
  return lines
end

describe("a task's steps", function()
  it("stand below each other where one follows the other", function()
    assert.same({ "a", "b", "c" }, drawn "a b(a) c(b)")
  end)

  it("branch off where they run side by side, and come back where they are joined", function()
    assert.same({ "a", "|- b", "|- c", "d", "e" }, drawn "a b(a) c(a) d(b,c) e(d)")
    assert.same({ "|- a", "|- b", "c" }, drawn "a b c(a,b)")
    assert.same({ "|- a", "|- b", "`- c" }, drawn "a b c")
  end)

  it("may branch within a branch", function()
    assert.same({ "a", "|- b", "|  |- x", "|  |- y", "|  z", "|- c", "d" }, drawn "a b(a) x(b) y(b) c(a) z(x,y) d(z,c)")
  end)

  it("are drawn dependencies first, however they were defined", function()
    assert.same({ "a", "b", "c" }, drawn "c(b) b(a) a")
  end)

  it("are all drawn once", function()
    local text = { "s0" }
    for i = 1, 300 do
      local first, second = (i * 7) % i, (i * 13) % i
      text[#text + 1] = first == second and ("s%d(s%d)"):format(i, first) or ("s%d(s%d,s%d)"):format(i, first, second)
    end
    local seen = {}
    for _, row in ipairs(layout.rows(steps_of(table.concat(text, " ")), SIGNS)) do
      assert.is_nil(seen[row.step.name])
      for _, dependency in ipairs(row.step.depends_on) do
        assert.is_true(seen[dependency])
      end
      seen[row.step.name] = true
    end
    for i = 0, 300 do
      assert.is_true(seen["s" .. i])
    end
  end)

  it("are cut down where many are alike, but never those in error", function()
    local text = { "a" }
    for i = 1, 50 do
      text[#text + 1] = ("s%d(a)"):format(i)
    end
    local steps = steps_of(table.concat(text, " "))
    steps[20].status, steps[20].error = "error", {}
    local rows = layout.collapse(layout.rows(steps, SIGNS))
    local omitted, errors = 0, 0
    for _, row in ipairs(rows) do
      omitted = omitted + (row.omitted or 0)
      errors = errors + (row.step.error and not row.omitted and 1 or 0)
    end
    assert.equal(1, errors)
    assert.is_true(#rows < 12)
    local marks = 0
    for _, row in ipairs(rows) do
      marks = marks + (row.omitted and 1 or 0)
    end
    assert.equal(#steps, #rows - marks + omitted)
  end)

  it("may be ten thousand in a chain or side by side", function()
    local chain, fan = { { name = "s1", depends_on = {} } }, { { name = "s1", depends_on = {} } }
    for i = 2, 10000 do
      chain[i] = { name = "s" .. i, depends_on = { "s" .. i - 1 } }
      fan[i] = { name = "s" .. i, depends_on = { "s1" } }
    end
    assert.equal(10000, #layout.rows(chain, SIGNS))
    assert.equal(10000, #layout.rows(fan, SIGNS))
  end)
end)

describe("what people read", function()
  it("has durations in the unit that fits", function()
    for seconds, text in pairs {
      [0] = "0 ms", [0.0124] = "12 ms", [0.9996] = "1.00 s", [1.239] = "1.24 s", [9.996] = "10 s", [42.4] = "42 s", [59.6] = "1 m 00 s",
      [123] = "2 m 03 s", [3599.6] = "1 h 00 m", [11520] = "3 h 12 m", [187200] = "2 d 4 h",
    } do
      assert.equal(text, format.duration(seconds))
    end
  end)

  it("has times as seen from now", function()
    assert.equal("in 12 s", format.relative(112, 100))
    assert.equal("3 s ago", format.relative(97, 100))
    assert.equal("now", format.relative(100.2, 100))
  end)

  it("has counts and sizes grouped", function()
    assert.equal("1", format.count(1))
    assert.equal("123", format.count(123))
    assert.equal("1,234,567", format.count(1234567))
    assert.equal("-123", format.count(-123))
    assert.equal("1 step", format.plural(1, "step"))
    assert.equal("1,000 steps", format.plural(1000, "step"))
    assert.equal("1 byte", format.bytes(1))
    assert.equal("1.5 KiB", format.bytes(1536))
    assert.equal("1.0 MiB", format.bytes(1024 * 1024))
  end)

  it("takes sizes as people write them", function()
    assert.equal(1000000, format.parse_bytes "1000000")
    assert.equal(64 * 1024 * 1024, format.parse_bytes "64M")
    assert.equal(64 * 1024 * 1024, format.parse_bytes "64MiB")
    assert.equal(1 << 30, format.parse_bytes "1g")
    for _, text in ipairs { "", "M", "-1", "1.5M", "64X", "1e3", ("9"):rep(20) } do
      assert.is_nil(format.parse_bytes(text))
    end
  end)
end)

describe("a terminal", function()
  local screen = setmetatable({ columns = 20, is_tty = true, color = false, unicode = true, signs = SIGNS }, { __index = term })

  it("is measured in columns, not bytes", function()
    assert.equal(5, term.width "hello")
    assert.equal(5, term.width "gr\u{FC}\u{DF}e")
    assert.equal(4, term.width "\u{4F60}\u{597D}")
    assert.equal(1, term.width "e\u{301}")
    assert.equal(3, term.width "\xff\xfe\xfd")
  end)

  it("gets no control characters from what a store holds", function()
    assert.equal(" [31m red  ", term.clean "\27[31m red\n\0")
    assert.equal("a 31m", term.clean "a\u{9B}31m")
  end)

  it("gets no line longer than it is wide", function()
    assert.equal("12345678901234567890", screen:fit("12345678901234567890", 20))
    assert.equal("12345678901234567...", screen:fit("123456789012345678901", 20))
    assert.is_true(term.width(screen:fit(("\u{4F60}"):rep(20), 20)) <= 20)
    local text = columns.draw(screen, { { title = "A" }, { title = "B", shrink = 4 } }, { { "short", ("x"):rep(50) } })
    for line in text:gmatch "[^\n]+" do
      assert.is_true(#line <= 20, line)
    end
  end)

  it("is the only thing that tables are cut for", function()
    local text = columns.draw(term.plain, { { title = "A" }, { title = "B", shrink = 4 } }, { { "short", ("x"):rep(500) } })
    assert.equal("A      B\nshort  " .. ("x"):rep(500) .. "\n", text)
  end)
end)

describe("an array of JSON objects", function()
  local function objects(text)
    local list = {}
    for object in json_lines.objects(text) do
      list[#list + 1] = object
    end
    return list
  end

  it("is taken apart without touching a byte of them", function()
    assert.same({}, objects "[]")
    assert.same({ "{}" }, objects "[{}]")
    assert.same({ '{"a":1.0}', '{"b":[{"c":[]}]}' }, objects '[ {"a":1.0} , {"b":[{"c":[]}]} ] ')
  end)

  it("is not confused by brackets, quotes and backslashes in strings", function()
    local tricky = { [[{"a":"]}{["}]], [[{"b\"}":"\\"}]], [[{"c":"\\\""}]] }
    assert.same(tricky, objects("[" .. table.concat(tricky, ",") .. "]"))
  end)
end)
