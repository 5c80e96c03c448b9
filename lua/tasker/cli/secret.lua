--- `tasker-lua secret`: what the store keeps sealed.
local columns = require "tasker.cli.support.columns"
local term = require "tasker.cli.support.term"

-- The text of a file, or of stdin, without the line end behind it.
local function read_text(ctx, path)
  local file, why = io.stdin, nil
  if path then
    file, why = io.open(path, "rb")
  end
  local text = file and file:read("a")
  if file and path then
    file:close()
  end
  if not text then
    return nil, ctx.fail(ctx.name, why or ("%s cannot be read"):format(path or "stdin"))
  end
  return (text:gsub("\r?\n$", ""))
end

local actions = {}

function actions.set(opts, ctx)
  local value, code = opts.value
  if not value then
    value, code = read_text(ctx)
    if not value then
      return code
    end
  end
  local ok, err = ctx.open { create = true, announce = true }:set_secret(opts.name, value)
  return ok and 0 or ctx.fail("cannot set the secret", err)
end

function actions.list(opts, ctx)
  local found, err = ctx.open { options = { read_only = true } }:secrets()
  if not found then
    return ctx.fail(ctx.name, err)
  end
  local rows = {}
  for i, one in ipairs(found) do
    rows[i] = { one.name, one.created_at, one.changed_at }
    if opts.json then
      ctx.out(require("tasker.core").json.encode(one) .. "\n")
    end
  end
  if opts.json then
    return 0
  elseif #rows == 0 then
    ctx.err("the store keeps no secrets\n")
    return 0
  end
  ctx.out(columns.draw(term.out(ctx), { { title = "SECRET" }, { title = "CREATED" }, { title = "CHANGED" } }, rows))
  return 0
end

function actions.delete(opts, ctx)
  local ok, err = ctx.open():delete_secret(opts.name)
  return ok and 0 or ctx.fail("cannot delete the secret", err)
end

function actions.rotate(opts, ctx)
  local key, code = read_text(ctx, opts.new_key_file)
  if not key then
    return code
  end
  local ok, err = ctx.open():rotate_secret(key)
  return ok and 0 or ctx.fail("cannot rotate", err)
end

function actions.key(_, ctx)
  local file = io.open("/dev/urandom", "rb")
  local bytes = file and file:read(32)
  if not bytes or #bytes ~= 32 then
    return ctx.fail(ctx.name, "the system gives no random bytes")
  end
  file:close()
  ctx.out(require("tasker.base64").encode(bytes) .. "\n")
  return 0
end

local NAMED = { set = true, delete = true }

return {
  summary = "keep secrets sealed in the store",
  group = "store",
  description = [[
secret set NAME [VALUE] keeps one (the value from stdin where it is not given: what stands on a command line, others can
see); list names them, never what they hold; delete forgets one. They are sealed under a key (base64 of 32 bytes) in
$TASKER_KEY, in the file that $TASKER_KEY_FILE names, or printed by $TASKER_KEY_COMMAND; secret key prints a new one. secret
rotate seals all of them by a new key, read from stdin or --new-key-file. Programs that run meanwhile need both keys, apart
by white space, the new one first, in the file or from the command: they look again when they meet a key they do not know.]],
  arguments = {
    { name = "action", display = "set|list|delete|rotate|key", choices = { "set", "list", "delete", "rotate", "key" },
      help = "what to do" },
    { name = "name", optional = true, help = "of the secret, as tasker.secret(NAME) takes it" },
    { name = "value", optional = true, help = "of set" },
  },
  options = {
    { name = "new-key-file", value = "FILE", type = "file", help = "of rotate: the file that holds the new key" },
    { name = "json", help = "of list: one secret a line as JSON on stdout" },
  },
  examples = {
    { "tasker-lua secret key > key; chmod 600 key; export TASKER_KEY_FILE=key", "a key" },
    { "tasker-lua secret set github-token < token.txt", "keep a token" },
    { "tasker-lua secret rotate --new-key-file new-key", "seal all by another key" },
  },
  run = function(opts, ctx)
    if NAMED[opts.action] and not opts.name then
      return ctx.usage(("%s needs the NAME of a secret"):format(opts.action))
    elseif not NAMED[opts.action] and opts.name or opts.action ~= "set" and opts.value then
      return ctx.usage(("%s takes no %s"):format(opts.action, opts.action == "delete" and "VALUE" or "NAME"))
    end
    return actions[opts.action](opts, ctx)
  end,
}
