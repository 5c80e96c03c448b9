--- What the tests of diagrams draw: definitions and tasks as tables, the same at every run.
local tasker = require "tasker"

local graphs = {}

local DAY = "2026-03-29T"

-- "06:00:01.5": a time of that day.
local function at(clock)
  return clock and DAY .. clock .. "Z" or nil
end

-- A step of a task: name, what it depends on, status, attempts, when it started and ended, and what else there is.
local function step(name, depends_on, status, attempts, started, ended, more)
  local one = {
    name = name, depends_on = depends_on, status = status, attempts = attempts, retry_limit = 3, retryable = true,
    skippable = false, started_at = at(started), completed_at = at(ended), last_attempted_at = at(started),
  }
  for key, value in pairs(more or {}) do
    one[key] = value
  end
  return one
end

local function task(fields)
  fields.task_id = "019d3783-1a00-7000-8000-00000000000" .. fields.number
  fields.number = nil
  fields.created_at = at "06:00:00"
  return fields
end

graphs.order = {
  namespace = "shop", name = "order", version = "1.0.0", description = "charge and ship an order",
  steps = {
    { name = "reserve" },
    { name = "check_fraud", description = "asks the bureau" },
    { name = "charge", depends_on = { "reserve", "check_fraud" } },
    { name = "pack", depends_on = "charge" },
    { name = "invoice", depends_on = "charge", skippable = true },
    { name = "notify_the_customer_by_mail_and_by_message_to_the_phone", depends_on = "invoice" },
    { name = "ship", depends_on = { "pack", "invoice", "reserve" }, queue = "warehouse" },
    { name = "close", depends_on = { "ship", "notify_the_customer_by_mail_and_by_message_to_the_phone" } },
  },
}

graphs.kinds = {
  name = "kinds", version = "0.1.0",
  steps = {
    { name = "fetch", handler = "rest", config = { url = "https://example.com/orders" } },
    { name = "route", depends_on = "fetch", switch = true, default = "standard",
      cases = { express = { "pack_fast" }, standard = { "pack_slow" }, other = "later" } },
    { name = "pack_fast" },
    { name = "pack_slow" },
    { name = "later", sleep = 60 },
    { name = "paid", depends_on = "fetch", signal = "payment" },
    { name = "accept", depends_on = "paid", approval = { approvers = { "ann", "bob", "eve" }, required = 2 } },
    { name = "ship", child = "shop/ship", depends_on = { "pack_fast", "pack_slow", "later", "accept" }, join = "any" },
    { name = "each", map = true, when = true, depends_on = "ship" },
  },
}

graphs.finished = task {
  number = 1, namespace = "media", name = "thumbnails", version = "2.1.0", status = "complete",
  started_at = at "06:00:00", completed_at = at "06:00:09.5",
  steps = {
    step("fetch", {}, "complete", 1, "06:00:00", "06:00:02"),
    step("small", { "fetch" }, "complete", 1, "06:00:02", "06:00:02.25"),
    step("large", { "fetch" }, "complete", 2, "06:00:02", "06:00:09", { last_attempted_at = at "06:00:05" }),
    step("watermark", { "fetch" }, "skipped", 0, nil, "06:00:02", { skippable = true }),
    step("sign", { "watermark" }, "skipped", 0, nil, "06:00:02", { skippable = true }),
    step("publish", { "small", "large", "sign" }, "complete", 1, "06:00:09", "06:00:09.5"),
  },
}

graphs.finished_events = {
  { seq = 1, event = "step.started", step = "fetch", attempt = 1, at = at "06:00:00" },
  { seq = 2, event = "step.completed", step = "fetch", attempt = 1, at = at "06:00:02" },
  { seq = 3, event = "step.started", step = "large", attempt = 1, at = at "06:00:02" },
  { seq = 4, event = "step.failed", step = "large", attempt = 1, at = at "06:00:04" },
  { seq = 5, event = "step.started", step = "large", attempt = 2, at = at "06:00:05" },
  { seq = 6, event = "step.completed", step = "large", attempt = 2, at = at "06:00:09" },
}

local function running_steps()
  local steps = { step("split", {}, "complete", 1, "06:00:00", "06:00:00.5") }
  local parts = {}
  for i = 1, 40 do
    local name = "part_" .. i
    parts[i] = name
    if i == 7 or i == 23 then
      steps[#steps + 1] = step(name, { "split" }, "error", 3, "06:00:00.5", "06:00:0" .. i % 5,
        { error = { message = 'no "image" <here>\nsecond line', code = "bad_data" } })
    elseif i == 12 then
      steps[#steps + 1] = step(name, { "split" }, "waiting", 1, "06:00:00.5", nil,
        { waiting_for = "retry", next_attempt_at = at "06:00:20" })
    elseif i > 35 then
      steps[#steps + 1] = step(name, { "split" }, "ready", 0)
    else
      steps[#steps + 1] = step(name, { "split" }, "complete", i % 9 == 0 and 2 or 1, "06:00:00.5", ("06:00:%02d"):format(1 + i % 6))
    end
  end
  steps[#steps + 1] = step("watch", { "split" }, "in_progress", 1, "06:00:00.5")
  steps[#steps + 1] = step("join", parts, "pending", 0)
  steps[#steps + 1] = step("settled", { "split" }, "resolved_manually", 1, "06:00:00.5", "06:00:03")
  steps[#steps + 1] = step("dropped", { "settled" }, "cancelled", 0, nil, "06:00:04")
  return steps
end

graphs.running = task {
  number = 2, namespace = "default", name = "fan", version = "0.1.0", status = "in_progress", started_at = at "06:00:00",
  steps = running_steps(),
}

graphs.older = {
  namespace = "shop", name = "order", version = "0.9.0",
  steps = {
    { name = "reserve" },
    { name = "charge", depends_on = "reserve" },
    { name = "pack", depends_on = "charge" },
    { name = "invoice", depends_on = "charge", skippable = true },
    { name = "ship", depends_on = { "pack", "invoice", "reserve" } },
    { name = "fax", depends_on = "ship" },
    { name = "close", depends_on = "fax" },
  },
}

-- Names that mean something in each of the languages; the store would not take them, a table does.
graphs.hostile = {
  namespace = 'a"b', name = "<c>&'d'", version = "1.0.0", description = "]]> --> \\ \27[31m % ; # {x}",
  steps = {
    { name = '"quoted"', description = "a <b> & 'c'" },
    { name = "<script>alert(1)</script>", depends_on = '"quoted"' },
    { name = "back\\slash\\", depends_on = '"quoted"' },
    { name = "semi;colon:hash#entity&amp;", depends_on = { "<script>alert(1)</script>", "back\\slash\\" } },
    { name = "line\nbreak\ttab\0nul\27", depends_on = '"quoted"' },
    { name = "\u{4F60}\u{597D} gr\u{FC}\u{DF}e \u{1F600}", depends_on = "line\nbreak\ttab\0nul\27" },
    { name = "bad \xff\xfe utf8 \u{FFFF}", depends_on = '"quoted"' },
    { name = "`code` {brace} [bracket] (paren) | pipe %% end", depends_on = '"quoted"',
      switch = true, cases = { ['x"|<y>'] = "bad \xff\xfe utf8 \u{FFFF}" } },
    { name = "end" },
  },
}

local function never() end

graphs.machine = tasker.machine {
  namespace = "office", name = "claim", initial = "draft", description = "what machines have",
  states = {
    draft = { run = never, on = { ok = "ask", again = { { target = "draft", guard = never }, { target = "refused" } } } },
    ask = { approval = { approvers = { "ann", "bob" }, required = 2 }, after = { [86400] = "refused" },
      on = { approve = "both", reject = { target = "draft", action = never } } },
    both = { parallel = true, on = { done = "paid" }, states = {
      pay = { initial = "send", states = { send = { run = never, on = { done = "sent" } }, sent = { final = true } } },
      note = { initial = "wait", states = { wait = { signal = "noted", timeout = 60, on = { noted = "seen", timeout = "seen" } },
        seen = { final = true } } },
    } },
    paid = { final = true }, refused = { final = "error" },
  },
}

return graphs
