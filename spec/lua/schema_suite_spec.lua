-- The official test suite of JSON Schema (spec/data/json-schema): the required tests of both drafts all pass, the optional ones but
-- for those listed here and in ADR 12.
local json = require("tasker.core").json
local schema = require "tasker.schema"
local process = require "spec.support.process"

local ROOT = "spec/data/json-schema/"

-- Optional tests of what is not promised: file, and how many of its tests fail.
local EXPECTED = {
  -- The document it refers to is of 2019-09 (and not part of our copy).
  ["draft2020-12/optional/cross-draft.json"] = 1,
  -- contentEncoding and contentMediaType are annotations, as in 2020-12.
  ["draft7/optional/content.json"] = 3,
}

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("a")
  return file and file:close() and json.decode(text) or nil
end

local function loader(uri)
  local path = uri:match("^http://localhost:1234/(.*)$")
  return path and read(ROOT .. "remotes/" .. path)
end

-- Runs one file; returns how many tests passed, and a line for each that did not.
local function run(path, draft)
  local passed, failed = 0, {}
  for _, group in ipairs(assert(read(ROOT .. "tests/" .. path), path)) do
    local formats = path:find("/optional/format/", 1, true) ~= nil
    local compiled, err = schema.compile(group.schema, { draft = draft, loader = loader, formats = formats })
    for _, test in ipairs(group.tests) do
      if compiled and ((compiled:validate(test.data)) == true) == test.valid then
        passed = passed + 1
      else
        failed[#failed + 1] = ("%s: %s%s"):format(group.description, test.description, err and ": " .. err.message or "")
      end
    end
  end
  return passed, failed
end

local files = process.run { "sh", "-c", "cd " .. ROOT .. "tests && find . -name '*.json' | sort" }.stdout

describe("the official suite of", function()
  local count = 0
  for path in files:gmatch("%./([^\n]+)") do
    local draft = path:match("^draft7/") and "draft-07" or "2020-12"
    it(path, function()
      local passed, failed = run(path, draft)
      count = count + passed
      assert.is_true(passed > 0 or EXPECTED[path] ~= nil)
      if EXPECTED[path] then
        assert.equal(EXPECTED[path], #failed, table.concat(failed, "\n"))
      else
        assert.same({}, failed)
      end
    end)
  end

  it("both drafts is there whole", function()
    assert.is_true(count > 2400, count)
  end)
end)
