--- Secrets: texts that the store keeps sealed (AES-256-GCM), under a key that it never sees.
--
-- The key is base64 of 32 bytes, in $TASKER_KEY, in the file $TASKER_KEY_FILE names, or printed by $TASKER_KEY_COMMAND. Each
-- may give several keys, apart by white space: the first seals, all open; so a key is changed while programs run. What is
-- sealed cannot be taken for another secret: name and key go into the seal.
-- @module tasker.secrets

local core = require "tasker.core"
local base64 = require "tasker.base64"
local check = require "tasker.check"
local errors = require "tasker.errors"
local redaction = require "tasker.redaction"

local secrets = {}

local KEY_BYTES = 32
local MOST_VALUE = 64 * 1024

local NO_KEY = "secrets need a key: $TASKER_KEY (base64 of 32 bytes), $TASKER_KEY_FILE or $TASKER_KEY_COMMAND; " ..
  "`tasker-lua secret key` prints a new one"

-- ---- Keys ----

-- The 32 bytes of a key's text, or nil.
local function decode_key(text)
  local bytes = base64.decode(text)
  return bytes and #bytes == KEY_BYTES and bytes or nil
end

local function id_of(key)
  local hex = core.sha256("tasker key " .. key):sub(1, 16)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- The text that holds keys, and where it is from; nil, err.
local function read_source()
  local text, path, command = os.getenv "TASKER_KEY", os.getenv "TASKER_KEY_FILE", os.getenv "TASKER_KEY_COMMAND"
  if text and text ~= "" then
    return text, "$TASKER_KEY"
  elseif path and path ~= "" then
    local found, err = core.key_file(path)
    return found, found and "the key file" or err
  elseif command and command ~= "" then
    local pipe, why = io.popen(command)
    if not pipe then
      return nil, errors.new("io", ("$TASKER_KEY_COMMAND cannot be run: %s"):format(why))
    end
    local found = pipe:read("a")
    if not pipe:close() then
      return nil, errors.new("io", "$TASKER_KEY_COMMAND failed")
    end
    return found, "what $TASKER_KEY_COMMAND prints"
  end
  return nil, errors.new("refused", NO_KEY)
end

-- Keys by their id, and the id of the one that seals.
local ring

local function add_key(to, key)
  local id = id_of(key)
  to.by_id[id], to.first = key, to.first or id
end

local function read_ring()
  local text, where = read_source()
  if not text then
    return nil, where
  end
  core.no_dumps()
  local made = { by_id = {} }
  for word in text:gmatch("[^%s,]+") do
    local key = decode_key(word)
    if not key then
      return nil, errors.new("invalid", ("%s must be base64 of %d bytes"):format(where, KEY_BYTES))
    end
    add_key(made, key)
  end
  if not made.first then
    return nil, errors.new("refused", NO_KEY)
  end
  return made
end

-- The keys; read again when `id` is none of them, since they may have been changed.
local function keys(id)
  if ring and (id == nil or ring.by_id[id]) then
    return ring
  end
  local found, err = read_ring()
  if not found then
    return nil, err
  end
  -- What a rotation in this program brought stays.
  for known, key in pairs(ring and ring.by_id or {}) do
    found.by_id[known] = found.by_id[known] or key
  end
  if ring and ring.is_rotated then
    found.first, found.is_rotated = ring.first, true
  end
  ring = found
  return ring
end

--- Is there a key, so that secrets can be kept?
-- @treturn bool
-- @return err why not
function secrets.has_key()
  local found, err = keys()
  return found ~= nil, err
end

-- ---- Sealing ----

local function associated(id, name)
  return "tasker.secret\0" .. id .. name
end

local function seal(keyring, name, text, id)
  id = id or keyring.first
  local sealed, err = core.seal(keyring.by_id[id], associated(id, name), text)
  return sealed and { name = name, sealed = sealed, key = id }, err
end

local function open(name, sealed, id)
  local keyring, err = keys(id)
  if not keyring then
    return nil, err
  elseif not keyring.by_id[id] then
    return nil, errors.new("refused", ("secret '%s' is sealed by another key than the one given"):format(name))
  end
  local text
  text, err = core.unseal(keyring.by_id[id], associated(id, name), sealed)
  if not text then
    return nil, errors.new(err.code, ("secret '%s': %s"):format(name, err.message))
  end
  return text
end

local function all(engine)
  local text, err = engine:secrets()
  return text and core.json.decode(text), err
end

-- The key that seals this store's secrets, where it is one of ours but not the first: a rotation is about to be.
local function other_key(engine, keyring)
  local found = all(engine)
  local id = found and found[1] and found[1].key:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)
  return id and keyring.by_id[id] and id ~= keyring.first and id or nil
end

--- Is a key said, be it a good one or not?
-- @treturn bool
function secrets.wants_key()
  for _, name in ipairs { "TASKER_KEY", "TASKER_KEY_FILE", "TASKER_KEY_COMMAND" } do
    if (os.getenv(name) or "") ~= "" then
      return true
    end
  end
  return false
end

--- Keeps a text sealed.
-- @param engine
-- @string name `kind:name`, or a secret's name
-- @string text
-- @param[opt] before what it is sealed as now, false: it is not there; else `conflict`
-- @string[opt] note what the log says of it, JSON
-- @return true, or nil, err
function secrets.put(engine, name, text, before, note)
  local keyring, err = keys()
  if not keyring then
    return nil, err
  end
  local entry, ok
  entry, err = seal(keyring, name, text, other_key(engine, keyring))
  if not entry then
    return nil, err
  end
  entry.previous, entry.fresh = before or nil, before == false
  ok, err = engine:set_secrets({ entry }, false, note)
  return ok, err
end

--- Opens a sealed text.
-- @param engine
-- @string name
-- @string[opt] known what it was sealed as
-- @treturn string|nil; true: it is as known
-- @return what it is sealed as, or err
function secrets.get(engine, name, known)
  local sealed, id = engine:secret(name)
  if not sealed then
    return nil, id
  elseif sealed == known then
    return true, sealed
  end
  local text, err = open(name, sealed, id)
  return text, text and sealed or err
end

--- Forgets a sealed text.
-- @param engine
-- @string name
-- @param[opt] before as in put
-- @return true, or nil, err
function secrets.drop(engine, name, before)
  return engine:set_secrets { { name = name, previous = before } }
end

--- Names of what is sealed for a kind, and when it was made.
-- @param engine
-- @string kind
-- @treturn {table,...}|nil `{name, created_at, changed_at}`
-- @return err
function secrets.of_kind(engine, kind)
  local found, err = all(engine)
  if not found then
    return nil, err
  end
  local list = {}
  for _, one in ipairs(found) do
    if one.name:sub(1, #kind + 1) == kind .. ":" then
      list[#list + 1] = one
    end
  end
  return list
end

-- ---- The app's methods ----

local function not_secret_name(value)
  return check.not_name(value)
end

local function check_name(name, what)
  check.type(name, "string", what .. ": the name", 3)
  local wanted = not_secret_name(name)
  if wanted then
    return errors.invalid("%s: the name must be %s, not %s", what, wanted, check.show(name))
  end
  return true
end

local methods = {}

--- Keeps a secret, or changes it.
-- @string name
-- @string value
-- @return true, or nil
-- @return err `refused` without a key, or with another than that which sealed the store's secrets
function methods:set_secret(name, value)
  if not self.engine then
    return errors.closed(self)
  end
  local ok, err = check_name(name, "app:set_secret")
  if not ok then
    return nil, err
  end
  check.type(value, "string", "app:set_secret: the value", 2)
  if value == "" or #value > MOST_VALUE then
    return errors.invalid("app:set_secret: the value must have 1 to %d bytes, not %d", MOST_VALUE, #value)
  end
  redaction.add(name, value)
  return secrets.put(self.engine, name, value)
end

--- Reads a secret.
-- @string name
-- @treturn string|nil
-- @return err `not_found`; `refused` without the key
function methods:get_secret(name)
  if not self.engine then
    return errors.closed(self)
  end
  local ok, err = check_name(name, "app:get_secret")
  if not ok then
    return nil, err
  end
  local text
  text, err = secrets.get(self.engine, name)
  if not text then
    return nil, err
  end
  redaction.add(name, text)
  return text
end

--- Forgets a secret.
-- @string name
-- @return true, or nil
-- @return err `not_found`
function methods:delete_secret(name)
  if not self.engine then
    return errors.closed(self)
  end
  local ok, err = check_name(name, "app:delete_secret")
  if not ok then
    return nil, err
  end
  return self.engine:set_secrets { { name = name } }
end

--- The secrets that there are: never what they hold.
-- @treturn {table,...}|nil `{name, created_at, changed_at}`
-- @return err
function methods:secrets()
  if not self.engine then
    return errors.closed(self)
  end
  local found, err = all(self.engine)
  if not found then
    return nil, err
  end
  local list = {}
  for _, one in ipairs(found) do
    if not one.name:find(":", 1, true) then
      list[#list + 1] = { name = one.name, created_at = one.created_at, changed_at = one.changed_at }
    end
  end
  return list
end

-- All that is sealed, sealed anew by a ring's first key.
local function seal_all(engine, keyring)
  local found, err = all(engine)
  if not found then
    return nil, err
  end
  local entries = {}
  for i, one in ipairs(found) do
    local sealed, id = engine:secret(one.name)
    local text = sealed
    if sealed then
      text, err = open(one.name, sealed, id)
    else
      err = id
    end
    if text then
      entries[i], err = seal(keyring, one.name, text)
    end
    if not entries[i] then
      return nil, err
    end
    entries[i].previous = sealed
  end
  return entries
end

-- How often a rotation begins anew because secrets were changed meanwhile.
local MOST_ROTATIONS = 10

--- Seals all secrets by a new key, in one commit. The programs that run need it as their first key, or beside the old one.
-- @string new_key base64 of 32 bytes
-- @return true, or nil
-- @return err
function methods:rotate_secret(new_key)
  if not self.engine then
    return errors.closed(self)
  end
  check.type(new_key, "string", "app:rotate_secret: the new key", 2)
  local key = decode_key((new_key:gsub("%s+$", "")))
  if not key then
    return errors.invalid("app:rotate_secret: the new key must be base64 of %d bytes", KEY_BYTES)
  end
  local old, err = keys()
  if not old then
    return nil, err
  end
  local new = { by_id = {}, is_rotated = true }
  add_key(new, key)
  for id, known in pairs(old.by_id) do
    new.by_id[id] = known
  end
  for _ = 1, MOST_ROTATIONS do
    local entries, ok
    entries, err = seal_all(self.engine, new)
    if not entries then
      return nil, err
    end
    ok, err = true, nil
    if #entries > 0 then
      ok, err = self.engine:set_secrets(entries, true)
    end
    if ok then
      ring = new
      return true
    elseif err.code ~= "conflict" and err.code ~= "not_found" then
      return nil, err
    end
  end
  return nil, err
end

--- Adds the methods to a class of apps.
function secrets.install(App)
  for name, method in pairs(methods) do
    App[name] = method
  end
end

-- ---- Placeholders ----

local Placeholder = { __name = "tasker.secret" }
Placeholder.__index = Placeholder

-- The field that names the secret, so that a placeholder is the same after it was kept as JSON.
local FIELD = "$secret"

function Placeholder:__tostring()
  return ("tasker.secret (%s)"):format(self[FIELD])
end

--- The secret's text, now, of the app that works here.
-- @treturn string|nil
-- @return err
function Placeholder:read()
  local app, err = require("tasker.client").current()
  if not app then
    return nil, err or errors.new("closed", "no store is open to read secrets from")
  end
  return app:get_secret(self[FIELD])
end

--- A placeholder for a secret, accepted wherever a secret, token or key is, and read at each use.
-- @string name
-- @return the placeholder
function secrets.placeholder(name)
  check.type(name, "string", "tasker.secret: the name", 2)
  local wanted = not_secret_name(name)
  if wanted then
    error(("tasker.secret: the name must be %s, not %s"):format(wanted, check.show(name)), 2)
  end
  return setmetatable({ [FIELD] = name }, Placeholder)
end

--- Makes placeholders of what was one before it was kept as JSON; changes the value.
-- @param value
-- @return the value
function secrets.revive(value)
  if type(value) ~= "table" then
    return value
  end
  local name = value[FIELD]
  if type(name) == "string" and next(value) == FIELD and next(value, FIELD) == nil then
    return setmetatable(value, Placeholder)
  end
  for _, element in next, value do
    secrets.revive(element)
  end
  return value
end

return secrets
