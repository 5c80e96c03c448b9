-- What is no store, a damaged one, a newer one, one that may not be written: refused in one sentence, and left as it is.
local crc = require "spec.faults.crc"
local process = require "spec.support.process"
local tasker = require "tasker"

local DAMAGES = 80

describe("what cannot be opened", function()
  local dir, store, whole

  local function cli(...)
    local result = process.run { process.program(), ... }
    assert.is_true(result.status < 124, ("status %d: %s"):format(result.status, result.stderr))
    assert.is_nil(result.stderr:find "traceback", result.stderr)
    return result
  end

  -- One line on stderr that names the place, and exit status 1.
  local function refused(...)
    local result = cli(...)
    assert.equal(1, result.status, result.stdout .. result.stderr)
    assert.equal("", result.stdout)
    assert.truthy(result.stderr:find "^tasker%-lua: [^\n]+\n$", result.stderr)
    return result.stderr
  end

  local function write_data(bytes)
    process.run { "rm", "-rf", store }
    process.run { "mkdir", store }
    process.write_file(store .. "/data.mdb", bytes)
  end

  setup(function()
    dir = process.temp_dir()
    store = dir .. "/store"
    local app = assert(tasker.open(store))
    local handler = tasker.handler {
      name = "pair", chain = true,
      steps = {
        { name = "a", run = function() return ("a"):rep(500) end },
        { name = "b", retry = { limit = 1 }, run = function() error "no" end },
      },
    }
    for i = 1, 60 do
      assert(app:submit(handler, { number = i, text = ("t"):rep(i * 20) }, { tags = { "t" .. i }, identity_key = "k" .. i }))
    end
    assert(app:work { until_idle = true })
    for _ = 1, 20 do
      assert(app:submit(handler))
    end
    app:close()
    whole = assert(process.read_file(store .. "/data.mdb"))
  end)
  teardown(function() process.remove_dir(dir) end)

  it("is no store: text, noise, a cut file, a file where the directory should be", function()
    local contents = {
      ("this is a letter to my aunt\n"):rep(500), ("\0"):rep(32768), whole:sub(1, 100), whole:sub(1, 5000),
      whole:sub(1, #whole // 2 // 4096 * 4096),
    }
    for i, bytes in ipairs(contents) do
      write_data(bytes)
      local said = refused("tasks", "--store", store)
      assert.truthy(said:find(store, 1, true), i .. ": " .. said)
      local app, err = tasker.open(store)
      assert.is_nil(app, i)
      assert.truthy(({ corrupt = true, invalid = true, unsupported = true, io = true })[err.code], err.code)
      assert.equal(bytes, process.read_file(store .. "/data.mdb"))
    end
    process.run { "rm", "-rf", store }
    process.write_file(store, "a file")
    assert.truthy(refused("tasks", "--store", store):find(store, 1, true))
    os.remove(store)
  end)

  -- The meta record's place in the file: a leaf's node with the key "\0" whose record has a right checksum. Pages that are not in use
  -- any more hold old ones.
  local function each_meta_record(bytes, visit)
    local key = "\0"
    for at in bytes:gmatch "()\1\0\0" do
      local node = at - 6
      local size = node > 0 and (string.unpack("<I2", bytes, node)) or 0
      local record = bytes:sub(at + 3, at + 2 + size)
      if size > 20 and size < 400 and #record == size then
        local stored, version = string.unpack("<I4", record, 2), record:sub(1, 1)
        if stored == crc(crc(version:byte(), key), record:sub(6)) then
          visit(at + 3, record, key)
        end
      end
    end
  end

  it("is a store of a newer format: says so, and changes nothing", function()
    local newer, found = whole, 0
    each_meta_record(whole, function(place, record, key)
      local body = string.char(record:byte(6) + 1) .. record:sub(7)
      local changed = record:sub(1, 1) .. string.pack("<I4", crc(crc(record:byte(), key), body)) .. body
      newer = newer:sub(1, place - 1) .. changed .. newer:sub(place + #changed)
      found = found + 1
    end)
    assert.is_true(found > 0, "there is no meta record")
    write_data(newer)
    local said = refused("tasks", "--store", store)
    assert.truthy(said:find "newer", said)
    local app, err = tasker.open(store)
    assert.is_nil(app)
    assert.equal("unsupported", err.code)
    assert.equal(newer, process.read_file(store .. "/data.mdb"))
  end)

  it("may not be read or written: says which and why", function()
    write_data(whole)
    process.run { "chmod", "-R", "a-w", store }
    local is_root = process.run({ "id", "-u" }).stdout == "0\n"
    local words = { process.program(), "submit", "pair", "--store", store }
    if is_root then
      if process.run({ "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", process.program(), "version" }).status ~= 0 then
        pending "root ignores permissions, and this program cannot be run as somebody else"
        return
      end
      process.run { "chmod", "a+rx", dir, store }
      table.move({ "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups" }, 1, 4, 1, table.move(words, 1, #words, 5))
    end
    local result = process.run(words)
    assert.equal(1, result.status, result.stderr)
    assert.truthy(result.stderr:find "^tasker%-lua: [^\n]+\n$", result.stderr)
    assert.truthy(result.stderr:find(store, 1, true), result.stderr)
    assert.truthy(result.stderr:lower():find "permi" or result.stderr:lower():find "read%-only", result.stderr)
    assert.equal(whole, process.read_file(store .. "/data.mdb"))
    process.run { "chmod", "-R", "u+w", store }
  end)

  local function content()
    return cli("events", "--json", "--store", store).stdout .. cli("tasks", "--json", "--limit", "1000", "--store", store).stdout
  end

  it("is damaged: check tells, or the damage is where nothing is kept #slow", function()
    math.randomseed(tonumber(os.getenv "TASKER_SEED") or 1)
    write_data(whole)
    local right = content()
    local pages, told = #whole // 4096, 0
    for _ = 1, DAMAGES do
      local page = math.random(2, pages - 1)
      local from = page * 4096 + (math.random(2) == 1 and 0 or math.random(0, 3500))
      local size = math.min(4096 - from % 4096, math.random(600))
      local kinds = {
        ("\0"):rep(size), ("\255"):rep(size), whole:sub(#whole - size, #whole - 1),
        (whole:sub(from + 1, from + size):gsub(".", function(c) return string.char(c:byte() ~ 1 << math.random(0, 7)) end, 1)),
      }
      local bytes = kinds[math.random(#kinds)]
      write_data(whole:sub(1, from) .. bytes .. whole:sub(from + #bytes + 1))
      local result = cli("check", "--store", store)
      assert.is_true(result.status < 2, result.stderr)
      if result.status == 1 then
        told = told + 1
        assert.is_true(#result.stdout + #result.stderr > 20)
      else
        assert.is_true(content() == right, ("page %d at %d: check finds nothing, and what is read is different"):format(page, from % 4096))
      end
    end
    assert.is_true(told > DAMAGES / 4, "hardly any damage was told: " .. told)
  end)
end)
