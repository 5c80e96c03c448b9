--- Approvals: steps that wait for people. The check of a definition, what its code answers before the approval opens, and what
-- people do.
-- @module tasker.approval

local core = require "tasker.core"
local check = require "tasker.check"
local errors = require "tasker.errors"
local schema = require "tasker.schema"
local suggest = require "tasker.suggest"
local task_view = require "tasker.task_view"
local vetoes = require "tasker.vetoes"

local approval = {}

local json = core.json
local CANONICAL = { canonical = true }

local MOST_APPROVERS = core.bounds.approvers

local FIELDS = {
  approvers = "string|table|function", required = "number|string", form = "table|boolean", escalate = "table",
  no_self_approval = "boolean", veto = "boolean|string|table",
}
local ESCALATION_FIELDS = { after = "number", approvers = "string|table|function" }
local ON_TIMEOUT = { approve = true, reject = true, fail = true }
local ON_REJECT = { fail = true, complete = true }

-- ---- Definitions ----

local function check_fields(given, declared, path, fail)
  for name, value in next, given do
    if not declared[name] then
      fail(path, "has an unknown field %s%s", check.show(name), suggest.hint(name, declared))
    end
    local wrong = check.wrong_type(value, declared[name])
    if wrong then
      fail(path .. "." .. name, "%s", wrong)
    end
  end
end

-- The names without those that come twice.
local function distinct(names)
  local seen, list = {}, {}
  for _, name in ipairs(names) do
    if not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  return list
end

-- What a list of people cannot be, or nil.
local function not_people(value)
  local wanted = check.not_list_of(check.not_key, MOST_APPROVERS)(value)
  if not wanted and #value == 0 then
    wanted = "a list of at least one name"
  end
  return wanted
end

-- A list of names, or the function that gives it.
local function people(value, path, fail)
  if type(value) == "function" then
    return value
  elseif value == nil then
    fail(path, "is missing: it is a list of names or a function of the task")
  end
  local list = type(value) == "string" and { value } or value
  local wanted = not_people(list)
  if wanted then
    fail(path, "must be %s", wanted)
  end
  return distinct(list)
end

local function check_required(required, approvers, fail)
  if required == nil then
    return 1
  elseif required == "all" or required == "any" then
    return required == "any" and 1 or "all"
  end
  local count = math.tointeger(required)
  if not count or count < 1 then
    fail("approval.required", "must be \"any\", \"all\" or a number of approvers, not %s", check.show(required))
  elseif type(approvers) == "table" and count > #approvers then
    fail("approval.required", "is %d, but there are %d approvers", count, #approvers)
  end
  return count
end

local function check_escalations(given, timeout, fail)
  local list = {}
  if given ~= nil and not check.is_list(given) then
    fail("approval.escalate", "must be a list")
  end
  for i, one in ipairs(given or {}) do
    local path = ("approval.escalate[%d]"):format(i)
    if type(one) ~= "table" then
      fail(path, "must be a table {after, approvers}, not %s", check.show(one))
    end
    check_fields(one, ESCALATION_FIELDS, path, fail)
    local wanted = one.after == nil and "a number of seconds" or check.not_duration(one.after)
    if wanted then
      fail(path .. ".after", "must be %s, not %s", wanted, check.show(one.after))
    elseif timeout and one.after >= timeout then
      fail(path .. ".after", "is %g s, but the approval ends after %g s ('timeout')", one.after, timeout)
    end
    list[i] = { after = one.after, approvers = people(one.approvers, path .. ".approvers", fail) }
  end
  table.sort(list, function(a, b) return a.after < b.after end)
  return list
end

-- Names with a veto as a set, or true: everybody.
local function check_veto(veto, spec, fail)
  if veto == nil or type(veto) == "boolean" then
    return veto or nil
  end
  local names = people(veto, "approval.veto", fail)
  local known, open = {}, type(spec.approvers) == "function"
  local function add(list)
    for _, name in ipairs(type(list) == "table" and list or {}) do
      known[name] = true
    end
  end
  add(spec.approvers)
  for _, escalation in ipairs(spec.escalate) do
    open = open or type(escalation.approvers) == "function"
    add(escalation.approvers)
  end
  local set = {}
  for _, name in ipairs(names) do
    if not open and not known[name] then
      fail("approval.veto", "names no approver: %s%s", check.show(name), suggest.hint(name, known))
    end
    set[name] = true
  end
  return set
end

local function check_choice(given, field, choices, fail)
  if given[field] ~= nil and not choices[given[field]] then
    local names = {}
    for name in pairs(choices) do
      names[#names + 1] = ("%q"):format(name)
    end
    table.sort(names)
    fail(field, "must be %s, not %s%s", table.concat(names, " or "), check.show(given[field]), suggest.hint(given[field], choices))
  end
end

--- Checks the field `approval` of a step and what belongs to it.
-- @tab step gets `approval timeout_completes timeout_rejects reject_completes notify`
-- @tab given the definition of the step
-- @func fail gets a field, a format and its arguments
function approval.read(step, given, fail)
  local spec = given.approval
  check_fields(spec, FIELDS, "approval", fail)
  check_choice(given, "on_timeout", ON_TIMEOUT, fail)
  check_choice(given, "on_reject", ON_REJECT, fail)
  if given.on_timeout ~= nil and not given.timeout then
    fail("on_timeout", "needs a 'timeout'")
  end
  local made = { approvers = people(spec.approvers, "approval.approvers", fail), no_self = spec.no_self_approval or nil }
  made.required = check_required(spec.required, made.approvers, fail)
  made.escalate = check_escalations(spec.escalate, given.timeout or nil, fail)
  made.veto = check_veto(spec.veto, made, fail)
  if spec.form ~= nil then
    local validator, err = schema.compile(spec.form)
    if not validator then
      fail("approval.form", "cannot be used: %s", err.message)
    end
    made.form = spec.form
  end
  step.approval = made
  step.timeout_completes, step.timeout_rejects = given.on_timeout == "approve", given.on_timeout == "reject"
  step.reject_completes = given.on_reject == "complete"
  step.notify = given.notify
  if given.retry ~= nil and not given.notify then
    fail("retry", "is about 'notify', which the step does not have: an approval is not retried by itself")
  end
end

local function list_of(set)
  if type(set) ~= "table" then
    return set
  end
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- A function is told as true.
local function described(list)
  return type(list) == "table" and list or true
end

--- What the store keeps of a step's approval.
-- @tab step
-- @treturn table|nil
function approval.describe(step)
  local made = step.approval
  if not made then
    return nil
  end
  local escalate = {}
  for i, one in ipairs(made.escalate) do
    escalate[i] = { after = one.after, approvers = described(one.approvers) }
  end
  return {
    approvers = described(made.approvers), required = made.required, form = made.form, no_self_approval = made.no_self,
    escalate = #escalate > 0 and escalate or nil, veto = list_of(made.veto),
    on_timeout = step.timeout_completes and "approve" or step.timeout_rejects and "reject" or nil,
    on_reject = step.reject_completes and "complete" or nil, notify = step.notify and true or nil,
  }
end

-- ---- The answer: who is asked, and what they are shown ----

local function varint(n)
  local bytes = {}
  while n >= 0x80 do
    bytes[#bytes + 1] = string.char(n & 0x7F | 0x80)
    n = n >> 7
  end
  bytes[#bytes + 1] = string.char(n)
  return table.concat(bytes)
end

local function sized(text)
  return varint(#text) .. text
end

-- The people of a list or function, without `excluded`.
local function resolve(given, task, what, excluded)
  local list = given
  if type(given) == "function" then
    list = given(task)
    list = type(list) == "string" and { list } or list
    local wanted = type(list) ~= "table" and "a list of names" or not_people(list)
    if wanted then
      error({ code = "invalid", message = ("%s: the function must return %s"):format(what, wanted) }, 0)
    end
    list = distinct(list)
  end
  local kept = {}
  for _, name in ipairs(list) do
    if name ~= excluded then
      kept[#kept + 1] = name
    end
  end
  return kept
end

local function pack_group(names, veto)
  local parts = { varint(#names) }
  for _, name in ipairs(names) do
    parts[#parts + 1] = (veto == true or veto and veto[name]) and "\1" or "\0"
    parts[#parts + 1] = sized(name)
  end
  return table.concat(parts)
end

-- SHA-256 of what there is to decide about: the context, the inputs, the results of what the step depends on.
local function shown_hash(definition, task, steps, inputs)
  local results = {}
  for _, index in ipairs(definition.deps) do
    local name = steps[index].name
    results[name] = task.results[name]
  end
  local shown = { context = task.context, results = results }
  if inputs then
    shown.inputs = json.decode(inputs)
  end
  local text = assert(core.encode(shown, CANONICAL))
  return (core.sha256(text):gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

--- Who is asked, as core/model/approval.c reads it. Raises where nobody could ever approve.
-- @tab definition the step
-- @tab task as the step's code sees it
-- @tparam {table,...} steps of the plan
-- @string[opt] inputs JSON
-- @treturn string
function approval.plan(definition, task, steps, inputs)
  local made = definition.approval
  local excluded = made.no_self and task.initiator or nil
  local approvers = resolve(made.approvers, task, "approvers", excluded)
  local required = made.required == "all" and math.max(1, #approvers) or made.required
  if required > #approvers then
    error({ code = "rejected", message = ("the approval needs %d approvers, and %d may decide%s"):format(required, #approvers,
      excluded and (" (%s started the task)"):format(excluded) or "") }, 0)
  end
  local parts = { varint(required), sized(shown_hash(definition, task, steps, inputs)), sized(excluded or ""),
    pack_group(approvers, made.veto), varint(#made.escalate) }
  for i, one in ipairs(made.escalate) do
    parts[#parts + 1] = varint(math.floor(one.after * 1000000))
    parts[#parts + 1] = pack_group(resolve(one.approvers, task, ("escalate[%d].approvers"):format(i), excluded), made.veto)
  end
  return table.concat(parts)
end

-- ---- What people do ----

local DECISIONS = { approve = true, reject = true, changes = true, delegate = true }

local function not_decision(value)
  return not DECISIONS[value] and "\"approve\", \"reject\", \"changes\" or \"delegate\"" or nil
end

local function not_hash(value)
  return not value:match("^%x+$") and "the hash of what was shown" or #value ~= 64 and "64 hexadecimal digits" or nil
end

local LONGEST_COMMENT = 65536

local function not_comment(value)
  if #value > LONGEST_COMMENT then
    return ("at most %d bytes"):format(LONGEST_COMMENT)
  end
  return not utf8.len(value) and "valid UTF-8" or nil
end

local VOTE = {
  by = { "string", check.not_key }, decision = { "string", not_decision }, comment = { "string", not_comment },
  form = { "nil|boolean|number|string|table|userdata" }, to = { "string", check.not_key }, shown_hash = { "string", not_hash },
}

-- engine -> definition number -> step name -> what the definition says of its approval; `validator` of its form once needed.
local known = setmetatable({}, { __mode = "k" })

local function approvals_of(engine, number)
  local numbers = known[engine]
  if not numbers then
    numbers = {}
    known[engine] = numbers
  end
  if not numbers[number] then
    local stored, err = engine:definition(number)
    if not stored then
      return nil, err
    end
    local by_name = {}
    for _, step in ipairs(assert(json.decode(stored.json)).steps or {}) do
      by_name[step.name] = step.approval and { form = step.approval.form, description = step.description }
    end
    numbers[number] = by_name
  end
  return numbers[number]
end

-- A visit of a machine's state has the state's approval.
local function template_of(name)
  return name:match("^(.*)%[%d+%]$") or name
end

-- The form as JSON, as the definition wants it; or nil and an err. A rejection needs no form.
local function conform(engine, id, step, vote)
  local text, err = core.encode(vote.form)
  if not text then
    return errors.invalid("app:%s: the form: %s", vote.decision, err.message)
  end
  local number
  number, err = engine:task_definition(id)
  local approvals = number
  if number then
    approvals, err = approvals_of(engine, number)
  end
  if not approvals then
    return nil, err
  end
  local found = approvals[template_of(step)]
  if not found or found.form == nil or (vote.form == nil and vote.decision ~= "approve") then
    return text
  elseif not found.validator then
    found.validator, err = schema.compile(found.form)
    if not found.validator then
      return nil, errors.new("unsupported", ("the form of '%s' cannot be used here: %s"):format(step, err.message))
    end
  end
  local kept
  kept, err = found.validator:conform(vote.form == nil and "{}" or text)
  if not kept then
    return nil, errors.new("invalid", ("the form of '%s': %s"):format(step, err.message), err.details)
  end
  return vote.form == nil and text or kept
end

local function check_vote(id, step, options, what)
  check.type(id, "string", what .. ": the id", 3)
  check.type(step, "string", what .. ": the step", 3)
  check.type(options, "table", what .. ": the decision", 3)
  check.type(options.by, "string", what .. ": option 'by'", 3)
  local ok, err = check.options(options, VOTE, what .. ": option", 3)
  if not ok then
    return nil, err
  elseif (options.to ~= nil) ~= (options.decision == "delegate") then
    return errors.invalid("%s: %s", what, options.to and "option 'to' is for the decision \"delegate\""
      or "the decision \"delegate\" needs 'to'")
  end
  return true
end

local function decide(app, id, step, options, what, default)
  local ok, err = check_vote(id, step, options, what)
  if not ok then
    return nil, err
  elseif not app.engine then
    return errors.closed(app)
  end
  local decision = options.decision or default
  local form
  form, err = conform(app.engine, id, step, { decision = decision, form = options.form })
  if not form then
    return nil, err
  end
  local refused = vetoes.operation(app, { type = decision == "approve" and "approve" or "reject", id = id, step = step })
  if refused then
    return nil, refused
  end
  ok, err = app.engine:vote {
    id = id, step = step, by = options.by, decision = decision, to = options.to,
    shown = options.shown_hash and options.shown_hash:lower(),
    details = ('{"comment":%s,"form":%s}'):format(json.encode(options.comment or ""), form),
  }
  if not ok then
    return nil, err
  end
  return app:task(id)
end

--- Decides about a step that waits for approval.
-- @string id
-- @string step
-- @tab options `by` (who decides), `decision` ("approve" unless given, "reject", "changes": asks for changes, "delegate": passes
-- it on), `comment`, `form`, `to` (of a delegation), `shown_hash` (what `by` saw: `conflict` when that is not what is asked now)
-- @treturn table|nil the task
-- @return err `refused`: not an approver, decided already; `invalid`: the form
local function approve(self, id, step, options)
  return decide(self, id, step, options, "app:approve", "approve")
end

--- Says no to a step that waits for approval.
-- @string id
-- @string step
-- @tab options as of approve; `decision` is "reject" unless given
-- @treturn table|nil the task
-- @return err
local function reject(self, id, step, options)
  return decide(self, id, step, options, "app:reject", "reject")
end

local FILTER = {
  by = { "string", check.not_key }, task_id = { "string" }, namespace = { "string", check.not_name },
  name = { "string", check.not_name }, limit = { "number", check.not_integer(1, 100000) },
}

--- What waits for people, oldest tasks first.
-- @tab[opt] filter `by` (it is this person's turn), `task_id`, `namespace`, `name` (of the handler), `limit`
-- @treturn {table,...}|nil each `{task_id, namespace, name, version, step, description, approvers, required, approvals,
-- rejections, round, decisions, opened_at, deadline, next_escalation_at, shown_hash, form}`
-- @return err
local function approvals(self, filter)
  check.type(filter, "table|nil", "app:approvals: the filter", 2)
  filter = filter or {}
  local ok, err = check.options(filter, FILTER, "app:approvals: filter", 2)
  if not ok then
    return nil, err
  elseif not self.engine then
    return errors.closed(self)
  end
  local text
  text, err = self.engine:approvals {
    by = filter.by, id = filter.task_id, namespace = filter.namespace, name = filter.name, limit = math.tointeger(filter.limit),
  }
  if not text then
    return nil, err
  end
  local list = task_view.records(text)
  for _, item in ipairs(list) do
    local stored = approvals_of(self.engine, item.definition)
    local found = stored and stored[template_of(item.step)]
    item.definition = nil
    if found then
      item.form, item.description = found.form, found.description
    end
  end
  return list
end

--- Adds what people do to the app's methods.
-- @tab App
function approval.install(App)
  App.approve, App.reject, App.approvals = approve, reject, approvals
end

return approval
