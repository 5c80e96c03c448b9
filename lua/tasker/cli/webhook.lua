--- `tasker-lua webhook`: endpoints that are told of events.
local columns = require "tasker.cli.support.columns"
local term = require "tasker.cli.support.term"

local function encode(value)
  return require("tasker.core").json.encode(value)
end

-- An error of app:webhook in the words of the command line.
local function in_our_words(err)
  return (err.message:gsub("^app:[%l_]+: ", ""):gsub("option '([%l_]+)'", function(name)
    return "--" .. name:gsub("_", "-")
  end):gsub("replace = true", "--replace"):gsub("allow_private = true", "--allow-private"))
end

-- What was made, with its secret, which is told once.
local function tell_made(opts, ctx, made, verb)
  if opts.json then
    ctx.out(encode(made) .. "\n")
    return 0
  end
  if made.secret then
    ctx.err(("webhook %s %s; its secret is told this once:\n"):format(made.name, verb))
    ctx.out(made.secret .. "\n")
  else
    ctx.err(("webhook %s %s\n"):format(made.name, verb))
  end
  if made.public_key then
    ctx.err(("who receives verifies with %s\n"):format(made.public_key))
  end
  return 0
end

local function secret_of(opts, ctx)
  if not opts.secret_file then
    return nil
  end
  local file, why = io.open(opts.secret_file, "rb")
  local text = file and file:read("a")
  if file then
    file:close()
  end
  return text and text:gsub("%s+$", "") or ctx.usage(("--secret-file: %s"):format(why or "it cannot be read"))
end

local function show(ctx, opts, titles, list, row, none)
  if opts.json then
    for _, one in ipairs(list) do
      ctx.out(encode(one) .. "\n")
    end
    return 0
  elseif #list == 0 then
    ctx.err(none .. "\n")
    return 0
  end
  local rows = {}
  for i, one in ipairs(list) do
    rows[i] = row(one)
  end
  ctx.out(columns.draw(term.out(ctx), titles, rows))
  return 0
end

local actions = {}

function actions.add(opts, ctx)
  local made, err = ctx.open { create = true, announce = true }:webhook {
    name = opts.name, url = opts.url, events = #opts.event > 0 and opts.event or nil, secret = secret_of(opts, ctx),
    ordered = opts.ordered, allow_private = opts.allow_private, replace = opts.replace, timeout = opts.timeout,
    retry = opts.attempts and { limit = opts.attempts } or nil,
  }
  if not made then
    return ctx.fail(ctx.name, in_our_words(err))
  end
  return tell_made(opts, ctx, made, "added")
end

function actions.list(opts, ctx)
  local list, err = ctx.open { options = { read_only = true } }:webhooks()
  if not list then
    return ctx.fail(ctx.name, err)
  end
  return show(ctx, opts, { { title = "WEBHOOK" }, { title = "STATE" }, { title = "EVENTS" }, { title = "URL" } }, list, function(hook)
    local state = hook.disabled and "disabled" or hook.ordered and "ordered" or "on"
    return { hook.name, state, table.concat(hook.events, " "), hook.url }
  end, "there is no webhook; `webhook add NAME URL` makes one")
end

function actions.rotate(opts, ctx)
  local made, err = ctx.open():rotate_webhook(opts.name, { secret = secret_of(opts, ctx), grace = opts.grace })
  if not made then
    return ctx.fail(ctx.name, in_our_words(err))
  end
  return tell_made(opts, ctx, made, "has another secret")
end

-- Actions that answer with the id of a delivery.
local function delivering(method)
  return function(opts, ctx)
    local app = ctx.open()
    local id, err = app[method](app, opts.name)
    if not id then
      return ctx.fail(ctx.name, err)
    end
    ctx.out(opts.json and ('{"id":"%s"}\n'):format(id) or id .. "\n")
    return 0
  end
end

actions.test, actions.replay = delivering "test_webhook", delivering "replay_delivery"

function actions.deliveries(opts, ctx)
  local list, err = ctx.open { options = { read_only = true } }:webhook_deliveries(opts.name, { status = opts.status, limit = opts.limit })
  if not list then
    return ctx.fail(ctx.name, err)
  end
  local titles = { { title = "DELIVERY" }, { title = "EVENT" }, { title = "SEQ" }, { title = "STATUS" }, { title = "ATTEMPTS" },
    { title = "ANSWER" }, { title = "CREATED" } }
  return show(ctx, opts, titles, list, function(one)
    return { one.id, one.type, one.event_seq and tostring(one.event_seq) or "", one.status, tostring(one.attempts),
      tostring(one.response_status or one.error and one.error.code or ""), one.created_at }
  end, ("nothing was delivered to %s yet"):format(opts.name))
end

-- Actions that answer nothing.
local function quiet(method, verb)
  return function(opts, ctx)
    local app = ctx.open()
    local ok, err = app[method](app, opts.name)
    if not ok then
      return ctx.fail(ctx.name, err)
    end
    ctx.out(opts.json and ('{"name":"%s","%s":true}\n'):format(opts.name, verb) or ("%s %s\n"):format(opts.name, verb))
    return 0
  end
end

actions.delete = quiet("delete_webhook", "deleted")
actions.enable, actions.disable = quiet("enable_webhook", "enabled"), quiet("disable_webhook", "disabled")

local ACTIONS = { "add", "list", "rotate", "test", "deliveries", "replay", "enable", "disable", "delete" }

return {
  summary = "tell endpoints of events",
  group = "store",
  description = [[
add NAME URL makes a webhook and prints its secret, once; from then on each event that it wants (--event, all unless given)
is delivered to it by whatever worker runs, signed as Standard Webhooks says. list, rotate NAME (another secret; the old one
signs too for --grace), test NAME, deliveries NAME, replay DELIVERY, enable, disable, delete NAME. Secrets are sealed: a key
is needed, see `help secret`.]],
  arguments = {
    { name = "action", display = table.concat(ACTIONS, "|"), choices = ACTIONS, help = "what to do" },
    { name = "name", optional = true, help = "of the webhook; of replay: the id of a delivery" },
    { name = "url", optional = true, help = "of add: where to send" },
  },
  options = {
    { name = "event", value = "PATTERN", many = true, help = "of add: events it wants, like task.* (all)" },
    { name = "ordered", help = "of add: one after the other" },
    { name = "allow-private", help = "of add: the URL may lead to private addresses" },
    { name = "attempts", value = "N", type = "integer", min = 1, max = 1000000,
      help = "of add: at most so many, seconds to minutes apart (10 within three days and a half)" },
    { name = "timeout", value = "S", type = "duration", help = "of add: how long an answer may take (15s)" },
    { name = "replace", help = "of add: in the place of one of that name" },
    { name = "secret-file", value = "FILE", type = "file", help = "of add and rotate: the secret, whsec_… or whsk_… (one is made)" },
    { name = "grace", value = "S", type = "duration", help = "of rotate: so long the old secret signs too (1d)" },
    { name = "status", value = "S", help = "of deliveries: only those in a status" },
    { name = "limit", value = "N", type = "integer", min = 1, max = 100000, help = "of deliveries: at most so many (100)" },
    { name = "json", help = "JSON on stdout, one value a line" },
  },
  examples = {
    { "tasker-lua webhook add billing https://example.org/hooks --event task.completed --event task.failed", "tell of ends of tasks" },
    { "tasker-lua webhook deliveries billing --status error", "what did not get there" },
  },
  run = function(opts, ctx)
    if opts.action == "list" then
      if opts.name then
        ctx.usage("list takes no NAME")
      end
    elseif not opts.name then
      ctx.usage(opts.action == "replay" and "replay needs the id of a delivery" or ("%s needs the NAME of a webhook"):format(opts.action))
    end
    if (opts.action == "add") ~= (opts.url ~= nil) then
      ctx.usage(opts.url and ("%s takes no URL"):format(opts.action) or "add needs the URL of the webhook")
    end
    return actions[opts.action](opts, ctx)
  end,
}
