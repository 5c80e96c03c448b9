--- A line of progress on stderr: only on a terminal, only for what takes longer than a second.
-- @module tasker.cli.support.progress

local format = require "tasker.cli.support.format"
local term = require "tasker.cli.support.term"

local progress = {}
progress.__index = progress

local FIRST_AFTER = 1     -- seconds
local EVERY = 0.1         -- seconds
local BAR = 16            -- columns
local LEAST_RATE = 10     -- per second; what comes slower tells nothing about when it ends

--- @tab ctx the command's context
-- @string label what goes on: `checking`
-- @string unit of what is counted: `records`
function progress.new(ctx, label, unit)
  local now = require("tasker.core").now
  local started = now()
  return setmetatable({
    screen = term.err(ctx), write = ctx.err, now = now, label = label, unit = unit,
    started = started, next_at = started + FIRST_AFTER, shown = false,
  }, progress)
end

local function bar(screen, done, total)
  local full = math.floor(BAR * done / total)
  return screen.signs.full:rep(full) .. screen.signs.empty:rep(BAR - full)
end

--- The line as it is drawn.
-- @number done
-- @tparam number|nil total 0 or nil: not known
-- @number elapsed seconds
function progress:text(done, total, elapsed)
  local rate = elapsed > 0 and done / elapsed or 0
  local parts = { self.label }
  if total and total > 0 then
    done = math.min(done, total)
    parts[#parts + 1] = bar(self.screen, done, total)
    parts[#parts + 1] = ("%d %%"):format(100 * done // total)
    parts[#parts + 1] = ("%s of %s %s"):format(format.count(done), format.count(total), self.unit)
  else
    parts[#parts + 1] = ("%s %s"):format(format.count(done), self.unit)
  end
  if rate >= LEAST_RATE then
    parts[#parts + 1] = ("%s/s"):format(format.count(math.floor(rate)))
    if total and done < total and elapsed > 2 then
      parts[#parts + 1] = format.age(math.max((total - done) / rate, 1)) .. " left"
    end
  end
  return self.screen:fit(table.concat(parts, "  "), self.screen.columns - 1)
end

--- Whether it is time to draw: for callers that would have to work for the numbers.
function progress:is_due()
  return self.screen.cursor and self.now() >= self.next_at
end

--- Tells how far it is; draws at most ten times a second.
function progress:update(done, total)
  if not self:is_due() then
    return
  end
  local now = self.now()
  self.next_at = now + EVERY
  self.shown = true
  self.write("\r\27[K" .. self:text(done, total, now - self.started))
end

--- Takes the line away, before other text or at the end.
function progress:clear()
  if self.shown then
    self.write("\r\27[K")
    self.shown = false
  end
end

return progress
