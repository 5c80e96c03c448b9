--- What a power cut can leave of a file: rebuilt from the writes and syncs that spec/shim/power.c recorded.
--
-- The model of a file: what was synced is there. Of what was written since, any subset of 512-byte sectors is there, whatever the
-- order of the writes; of a sector written more than once, any version; a sector is whole or not there. The file is as long as it
-- was at the last sync, or as it is, or as what is there of it needs. A file that got its name by a rename has it for certain once
-- the directory was synced; until then the one that had the name before may be there, or none. The same goes for the directory.
-- @module spec.power.states

local states = {}

states.SECTOR = 512

local SECTOR = states.SECTOR
local HEAD = "<I8I8I8I8I8I8"
local HEAD_SIZE = string.packsize(HEAD)
local MAGIC = 0x7265776f70
local KINDS = { "write", "sync", "write_synced", "truncate", "directory_sync", "ack", "map_sync", "create", "rename" }
local ACK, SYNCED, NEW = 6, 2, 4

--- Bytes to append to the log: what a test promises from here on.
-- @tparam string text
-- @treturn string
function states.acknowledgement(text)
  return HEAD:pack(MAGIC, ACK, 0, 0, 0, #text) .. text
end

--- The records of a log.
-- @tparam string bytes
-- @treturn table list of `{kind, offset, size, synced, new, data}`
function states.parse(bytes)
  local records, at = {}, 1
  while at <= #bytes do
    local magic, kind, offset, size, what, data_size = HEAD:unpack(bytes, at)
    assert(magic == MAGIC, "the log is damaged")
    at = at + HEAD_SIZE
    records[#records + 1] = {
      kind = assert(KINDS[kind]), offset = offset, size = size, synced = what & SYNCED ~= 0, new = what & NEW ~= 0,
      data = bytes:sub(at, at + data_size - 1),
    }
    at = at + data_size
  end
  return records
end

-- A file on the disk and the page cache above it. Sectors are numbered from 0.
local File = {}
File.__index = File

local function new_file()
  return setmetatable({
    durable = {}, durable_size = 0, -- what is certainly on the disk
    cache = {}, cache_size = 0, -- what the system would read
    pending = {}, -- writes of sectors since the last sync, in order: { sector, bytes }
    last_synced = nil, -- sectors of the write that is under way through the O_DSYNC descriptor
  }, File)
end

local EMPTY = ("\0"):rep(SECTOR)

function File:write(record)
  local first, last = record.offset // SECTOR, (record.offset + record.size - 1) // SECTOR
  for sector = first, last do
    local start = sector * SECTOR
    local from, to = math.max(record.offset, start), math.min(record.offset + record.size, start + SECTOR)
    local bytes = record.data:sub(from - record.offset + 1, to - record.offset)
    if #bytes < SECTOR then
      local old = self.cache[sector] or EMPTY
      bytes = old:sub(1, from - start) .. bytes .. old:sub(to - start + 1)
    end
    self.cache[sector] = bytes
    self.pending[#self.pending + 1] = { sector, bytes }
  end
  self.cache_size = math.max(self.cache_size, record.offset + record.size)
  self.last_synced = record.synced and { first, last } or self.last_synced
end

function File:sync()
  for _, write in ipairs(self.pending) do
    self.durable[write[1]] = write[2]
  end
  self.pending = {}
  self.durable_size = self.cache_size
end

-- Only the sectors of that one write become durable, not what was written before it.
function File:sync_write()
  local first, last = self.last_synced[1], self.last_synced[2]
  local left = {}
  for _, write in ipairs(self.pending) do
    if write[1] >= first and write[1] <= last then
      self.durable[write[1]] = write[2]
    else
      left[#left + 1] = write
    end
  end
  self.pending = left
  self.durable_size = math.max(self.durable_size, math.min(self.cache_size, (last + 1) * SECTOR))
end

-- Ways to choose among the pending writes: each returns whether write i of n survives.
local CHOICES = {
  none = function() return function() return false end end,
  all = function() return function() return true end end,
  first_ones = function(n)
    local cut = math.random(0, n)
    return function(i) return i <= cut end
  end,
  last_ones = function(n)
    local cut = math.random(0, n)
    return function(i) return i > cut end
  end,
  all_but_one = function(n)
    local missing = math.random(n)
    return function(i) return i ~= missing end
  end,
  only_one = function(n)
    local kept = math.random(n)
    return function(i) return i == kept end
  end,
  few = function() return function() return math.random() < 0.1 end end,
  half = function() return function() return math.random() < 0.5 end end,
  most = function() return function() return math.random() < 0.9 end end,
}
local CHOICE_NAMES = { "none", "all", "first_ones", "last_ones", "all_but_one", "only_one", "few", "half", "most" }

-- What is left of it after a power cut now: its bytes, how they were chosen, and a key that tells them from others.
function File:crash()
  local name = #self.pending == 0 and "all" or CHOICE_NAMES[math.random(#CHOICE_NAMES)]
  local survives = CHOICES[name](#self.pending)
  local changed, kept, needed = {}, {}, self.durable_size
  for i, write in ipairs(self.pending) do
    if survives(i) then
      changed[write[1]] = write[2]
      kept[#kept + 1] = i
      needed = math.max(needed, (write[1] + 1) * SECTOR)
    end
  end
  local sizes = { self.durable_size, math.min(needed, self.cache_size), self.cache_size }
  local size = sizes[math.random(3)]
  local parts = {}
  for sector = 0, (size + SECTOR - 1) // SECTOR - 1 do
    parts[sector + 1] = changed[sector] or self.durable[sector] or EMPTY
  end
  return table.concat(parts):sub(1, size), name, ("%d %s"):format(size, table.concat(kept, ","))
end

function File:truncate(record)
  self.cache_size = record.size
  for sector in pairs(self.cache) do
    self.cache[sector] = sector * SECTOR < record.size and self.cache[sector] or nil
  end
end

-- The store's directory: the file that has the name, one that is being made beside it, and the one that had the name before.
local Directory = {}
Directory.__index = Directory

local function new_directory()
  return setmetatable({ named = nil, beside = nil, before = nil, renamed = false, durable = false }, Directory)
end

function Directory:create(record)
  assert(record.new, "a store is not made under a name of its own first")
  self.beside = new_file()
end

function Directory:rename()
  self.before, self.named, self.beside, self.renamed = self.named, self.beside, nil, true
end

function Directory:sync(record)
  if record.new then
    self.durable = true
  else
    self.before, self.renamed = nil, false
  end
end

local TO_FILE = { write = File.write, sync = File.sync, write_synced = File.sync_write, truncate = File.truncate }
local TO_DIRECTORY = { create = Directory.create, rename = Directory.rename, directory_sync = Directory.sync, ack = function() end }

function Directory:apply(record)
  local method = TO_FILE[record.kind]
  if method then
    return method(record.new and self.beside or self.named, record)
  end
  return assert(TO_DIRECTORY[record.kind], "the file was written through its map")(self, record)
end

-- One state after a power cut now: the bytes of both files (nil: not there), how they were chosen, a key that tells it from others.
function Directory:crash()
  if not self.durable and math.random(2) == 1 then
    return { how = "no directory", key = "none" }
  end
  local named, beside = self.named, self.beside
  if self.renamed and math.random(2) == 1 then
    named, beside = self.before, self.named
  end
  local state = { how = "no file", key = "" }
  if named then
    state.bytes, state.how, state.key = named:crash()
  end
  if beside then
    local bytes, how, key = beside:crash()
    state.beside, state.how, state.key = bytes, state.how .. ", beside " .. how, state.key .. " beside " .. key
  end
  return state
end

-- Planted faults, to see that the checks find them: which records a faulty disk or engine leaves out.
local FAULTS = {
  -- Pages are not synced before the meta page that tells of them.
  unsynced_pages = function(record) return record.kind == "sync" end,
  -- A commit is acknowledged before its meta page is on the disk.
  unsynced_meta = function(record) return record.kind == "write_synced" end,
  -- A file gets its name, and the directory is not synced.
  unsynced_name = function(record) return record.kind == "directory_sync" and not record.new end,
  -- A directory is made, and the one above it is not synced.
  unsynced_directory = function(record) return record.kind == "directory_sync" and record.new end,
}

--- Calls visit for states that power cuts can leave, spread evenly over the log.
-- @tparam table records of `states.parse`
-- @tparam table options `seed`, `count`, `fault` (a name in FAULTS)
-- @tparam function visit gets `{bytes, beside, how, point, acknowledged}`, without `bytes`: no such file; false ends it
-- @treturn number of different states visited
function states.each(records, options, visit)
  math.randomseed(options.seed)
  local left_out = options.fault and assert(FAULTS[options.fault]) or function() return false end
  local points = 0
  for _, record in ipairs(records) do
    points = points + (record.kind == "write" and 1 or 0)
  end
  local directory, acknowledged, owed, different = new_directory(), {}, 0.0, 0
  local per_point = options.count / points
  for point, record in ipairs(records) do
    if record.kind == "ack" then
      acknowledged[#acknowledged + 1] = record.data
    end
    if not left_out(record) then
      directory:apply(record)
    end
    owed = owed + (record.kind == "write" and per_point or 0)
    local seen, tries = {}, 0
    -- A point with few writes pending has few states; what it could not use goes to the next.
    while owed >= 1 and tries < 4 * owed + 8 do
      tries = tries + 1
      local state = directory:crash()
      if not seen[state.key] then
        seen[state.key] = true
        owed, different = owed - 1, different + 1
        state.point, state.acknowledged = point, acknowledged
        if visit(state) == false then
          return different
        end
      end
    end
  end
  return different
end

return states
