--- What kinds of nodes and states look like, and what is said about a node: data and words for all renderers.
--
-- A new kind of step is a line in `KINDS`, and where something is to be said of it, a line in `NOTES`.
-- @module tasker.diagram.look

local core = require "tasker.core"
local format = require "tasker.cli.support.format"
local measure = require "tasker.diagram.measure"
local term = require "tasker.cli.support.term"

local look = {}

--- Shape of a node by its kind: `box`, `double` (a box with double sides), `round`, `diamond`, `slanted`, `flag`, `final`.
look.KINDS = {
  run = "box", handler = "box", child = "double", sleep = "round", signal = "flag", approval = "slanted", switch = "diamond",
  state = "round", final = "final",
}

--- In the order of legends: from what is done to what never will be.
look.STATES = {
  "complete", "resolved_manually", "in_progress", "waiting", "ready", "pending", "error", "cancelled", "skipped",
}

-- Fill, line and text in light and dark surroundings. The hues are told apart with every kind of colour vision (they are
-- those of Okabe and Ito, made lighter or darker), and each state has a mark of its own besides.
look.COLORS = {
  none = { light = { "#f6f8fa", "#57606a", "#1f2328" }, dark = { "#1c2128", "#8b949e", "#e6edf3" } },
  complete = { light = { "#d3f1e6", "#00795a", "#0b2b22" }, dark = { "#0f3d31", "#35b795", "#e0f5ee" } },
  resolved_manually = { light = { "#d3f1e6", "#8c3f74", "#0b2b22" }, dark = { "#0f3d31", "#d58abf", "#e0f5ee" } },
  in_progress = { light = { "#fff0b8", "#9a6a00", "#332400" }, dark = { "#4a3800", "#e3b341", "#fff3cf" } },
  waiting = { light = { "#dbecfb", "#0068a8", "#05263d" }, dark = { "#0c2f4d", "#56a8e8", "#dcefff" } },
  ready = { light = { "#ffffff", "#0068a8", "#05263d" }, dark = { "#161b22", "#56a8e8", "#dcefff" } },
  pending = { light = { "#ffffff", "#8a939e", "#424a53" }, dark = { "#161b22", "#6e7681", "#adbac7" } },
  error = { light = { "#ffdccb", "#b83d00", "#3d1400" }, dark = { "#55200a", "#ff8a5c", "#ffe8de" } },
  cancelled = { light = { "#f4e1ee", "#8c3f74", "#34142a" }, dark = { "#402036", "#d58abf", "#f9e6f3" } },
  skipped = { light = { "#f6f8fa", "#8a939e", "#656d76" }, dark = { "#1c2128", "#6e7681", "#8b949e" } },
  added = { light = { "#d3f1e6", "#00795a", "#0b2b22" }, dark = { "#0f3d31", "#35b795", "#e0f5ee" } },
  removed = { light = { "#ffdccb", "#b83d00", "#3d1400" }, dark = { "#55200a", "#ff8a5c", "#ffe8de" } },
  changed = { light = { "#fff0b8", "#9a6a00", "#332400" }, dark = { "#4a3800", "#e3b341", "#fff3cf" } },
}

local CHANGE_SIGNS = { added = "+", removed = "-", changed = "~" }

local UNICODE = setmetatable({ unicode = true, color = false }, { __index = term })

--- The sign of a node's change or state, one column wide; nil when it has none.
-- @tab node
-- @bool[opt] ascii
-- @treturn string|nil
function look.sign(node, ascii)
  if node.change then
    return CHANGE_SIGNS[node.change]
  end
  return node.status and (ascii and term.plain or UNICODE):mark(node.status)
end

--- Is it the name of a change, not of a state?
function look.is_change(name)
  return CHANGE_SIGNS[name] ~= nil
end

--- The shape of a node; of a kind that is not known a box.
-- @tab node
-- @treturn string
function look.shape_of(node)
  return look.KINDS[node.kind] or "box"
end

--- The key of `COLORS` for a node.
-- @tab node
-- @treturn string
function look.color_of(node)
  return node.change or node.status or "none"
end

local function seconds_text(value)
  return type(value) == "number" and format.age(value) or nil
end

local function list_length(value)
  return type(value) == "table" and #value or nil
end

-- What a kind adds to a node's name, from the step as it was defined; functions are not there to be shown.
local NOTES = {
  handler = function(step) return "handler " .. tostring(step.handler) end,
  child = function(step) return "child " .. tostring(step.child) end,
  sleep = function(step) return "sleep " .. (seconds_text(step.sleep) or type(step.sleep) == "string" and step.sleep or "") end,
  signal = function(step) return "signal " .. tostring(step.signal) end,
  approval = function(step)
    local approval = type(step.approval) == "table" and step.approval or {}
    local count = list_length(approval.approvers)
    return ("approval, %s of %s"):format(approval.required or count or "all", count or "some")
  end,
  switch = function() return "switch" end,
  state = function(step) return step.state and step.state.history and "history" or "" end,
  final = function(step) return step.state.final == "error" and "ends in error" or "" end,
}

--- What is to be said of a step's kind, in a few words each.
-- @string kind
-- @tab step as it was defined
-- @treturn {string,...}
function look.kind_notes(kind, step)
  local notes = {}
  if NOTES[kind] then
    local note = measure.clean(NOTES[kind](step)):match("^(.-)%s*$")
    notes[1] = note ~= "" and note or nil
  end
  if step.map then
    notes[#notes + 1] = "for each" .. (step.instances and (" of %d"):format(step.instances) or "")
    if (step.failed or 0) > 0 then
      notes[#notes + 1] = ("%d failed"):format(step.failed)
    end
  end
  if step.when then
    notes[#notes + 1] = "when"
  end
  if step.join and step.join ~= "all" then
    notes[#notes + 1] = "join " .. (step.join == 1 and "any" or measure.clean(step.join):gsub("_", " "))
  end
  return notes
end

-- `12:20:56`, with the date where it is another day than the one that is known from elsewhere.
local function clock_text(seconds, day)
  local text = core.time_format(seconds)
  local date, clock = text:match("^(.-)T(%d+:%d+:%d+)")
  return (date == day and clock or date .. " " .. clock) .. "Z"
end

local function waiting_note(node, day)
  local at = node.next_attempt and clock_text(node.next_attempt, day)
  if node.waiting_for == "retry" then
    return at and "retry at " .. at or "waits for its retry"
  elseif node.waiting_for == "timer" then
    return at and "sleeps until " .. at or "sleeps"
  end
  return ("waits for %s%s"):format((node.waiting_for or "something"):gsub("_", " "), at and " until " .. at or "")
end

local function state_note(node, day)
  if node.status == "waiting" and not node.count then
    return waiting_note(node, day)
  elseif node.status == "in_progress" then
    return node.seconds and "running for " .. format.age(node.seconds) or "running"
  elseif node.seconds and node.status == "complete" then
    return nil
  end
  return format.status(node.status)
end

--- What became of a step: `1.24 s`, `3 attempts`, `retry at 12:20:56Z`.
-- @tab node of a task
-- @string[opt] day `2026-01-31`: the date that need not be said
-- @treturn {string,...}
function look.execution_notes(node, day)
  local notes = { state_note(node, day) }
  if node.seconds and node.status ~= "in_progress" then
    notes[#notes + 1] = (node.count and "up to " or "") .. format.duration(node.seconds)
  end
  if node.attempts and node.attempts > 1 then
    notes[#notes + 1] = (node.count and "up to " or "") .. format.plural(node.attempts, "attempt")
  end
  if node.visits and node.visits > 1 then
    notes[#notes + 1] = format.plural(node.visits, "visit")
  end
  return notes
end

local LONGEST_NOTE = 44

--- Is its error still of interest?
-- @tab node
-- @treturn bool
function look.has_error(node)
  return node.error ~= nil and node.status ~= "complete"
end

--- What is said of a node that leads to itself.
-- @param loop the arrow's label, or true
-- @treturn string
function look.loop_note(loop)
  return type(loop) == "string" and measure.cut("again on " .. loop, LONGEST_NOTE) or "again and again"
end

--- The lines below a node's name: of its kind, of its execution, of its error, of what changed.
-- @tab node
-- @string[opt] day `2026-01-31`: the date that need not be said
-- @bool[opt] without_error
-- @treturn {string,...}
function look.notes(node, day, without_error)
  local lines = {}
  if #node.kind_notes > 0 then
    lines[1] = measure.cut(table.concat(node.kind_notes, " · "), LONGEST_NOTE)
  end
  if node.status then
    lines[#lines + 1] = table.concat(look.execution_notes(node, day), " · ")
  end
  if look.has_error(node) and not without_error then
    lines[#lines + 1] = measure.cut(node.error, LONGEST_NOTE)
  end
  if node.changes and #node.changes > 0 then
    lines[#lines + 1] = measure.cut("changed: " .. table.concat(node.changes, ", "), LONGEST_NOTE)
  end
  return lines
end

--- Everything that is known of a node, for where it is asked for: lines of text.
-- @tab node
-- @string[opt] day as in notes
-- @treturn {string,...}
function look.tooltip(node, day)
  local lines = { node.name }
  if node.count then
    lines[1] = ("%s: %s"):format(format.plural(node.count, "step"), node.name)
  end
  for _, part in ipairs { node.change or false, node.description or false, table.concat(node.kind_notes, " · ") } do
    if part and part ~= "" then
      lines[#lines + 1] = part
    end
  end
  if node.status then
    lines[#lines + 1] = table.concat(look.execution_notes(node, day), " · ")
  end
  if node.error then
    lines[#lines + 1] = node.error
  end
  for _, detail in ipairs(node.details) do
    lines[#lines + 1] = ("%s: %s"):format(detail.name, detail.text)
  end
  for _, change in ipairs(node.change_texts or {}) do
    lines[#lines + 1] = change
  end
  return lines
end

local ASCII_FORMS = { ["…"] = "...", ["·"] = "-", ["×"] = "x", ["→"] = "->", ["←"] = "<-" }

--- A text for a drawing in characters.
-- @string text clean
-- @bool[opt] ascii
-- @treturn string
function look.plain(text, ascii)
  if not ascii or not text:find("[\128-\255]") then
    return text
  end
  return (text:gsub(utf8.charpattern, function(character)
    return #character > 1 and (ASCII_FORMS[character] or "?") or nil
  end))
end

--- The label of a node that stands for several.
-- @tab node
-- @treturn string `×12`, or nothing
function look.count_label(node)
  return node.count and "×" .. format.count(node.count) or nil
end

return look
