--- `tasker-lua help [COMMAND]`, also what `COMMAND --help` prints.
local args = require "tasker.cli.args"

-- The list of commands in the order in which a newcomer needs them.
local GROUPS = {
  { name = "work", title = "Work" },
  { name = "look", title = "Look" },
  { name = "steer", title = "Steer" },
  { name = "store", title = "Store" },
  { name = "program", title = "This program" },
}

local function bold(text, ctx)
  return ctx.color and "\27[1m" .. text .. "\27[0m" or text
end

-- Breaks a text into lines of at most `width`, each but the first behind `indent` spaces.
local function wrap(text, width, indent)
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if line ~= "" and utf8.len(line) + 1 + utf8.len(word) > width then
      lines[#lines + 1] = line
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

-- Rows of a term and its text, in two columns.
local function write_rows(rows, ctx)
  local widest = 0
  for _, row in ipairs(rows) do
    widest = math.max(widest, math.min(#row[1], 28))
  end
  local indent = widest + 4
  local width = math.max(30, math.min(ctx.columns(), 110) - indent)
  for _, row in ipairs(rows) do
    local gap = #row[1] > widest and "\n" .. (" "):rep(indent) or (" "):rep(widest - #row[1] + 2)
    ctx.out("  " .. row[1] .. gap .. wrap(row[2] or "", width, indent) .. "\n")
  end
end

local function write_list(ctx)
  ctx.out("usage: tasker-lua COMMAND [arguments]      one of the commands below\n")
  ctx.out("       tasker-lua [options] [script [args]]  as lua: -e -l -i -v -W -E - --\n")
  local rows = {}
  for _, name in ipairs(ctx.commands) do
    local command = ctx.load(name)
    local group = command.group or "program"
    rows[group] = rows[group] or {}
    table.insert(rows[group], { name, command.summary })
  end
  for _, group in ipairs(GROUPS) do
    if rows[group.name] then
      ctx.out("\n" .. bold(group.title, ctx) .. "\n")
      write_rows(rows[group.name], ctx)
    end
  end
  ctx.out("\n'tasker-lua help COMMAND' explains one; 'tasker-lua help states' prints the states and what changes them.\n")
end

local function describe(declaration)
  local parts = { declaration.help or "" }
  if declaration.choices then
    parts[#parts + 1] = "(" .. table.concat(declaration.choices, ", ") .. ")"
  end
  if declaration.default ~= nil then
    parts[#parts + 1] = ("(default %s)"):format(tostring(declaration.default))
  end
  if declaration.many and declaration.value then
    parts[#parts + 1] = "(may be repeated)"
  end
  return table.concat(parts, " ")
end

local function option_label(declaration)
  local flag = (declaration.negatable and "--[no-]" or "--") .. declaration.name
  local short = declaration.short and "-" .. declaration.short .. ", " or ""
  return short .. flag .. (declaration.value and " " .. declaration.value or "")
end

local function write_command(name, ctx)
  local command = ctx.load(name)
  ctx.out(("usage: %s\n\n%s\n"):format(args.usage(name, command), command.summary))
  if command.description then
    ctx.out("\n" .. wrap(command.description, math.min(ctx.columns(), 110), 0) .. "\n")
  end
  local rows = {}
  for _, declaration in ipairs(command.arguments or {}) do
    rows[#rows + 1] = { declaration.display or declaration.name:upper(), describe(declaration) }
  end
  if rows[1] then
    ctx.out("\n" .. bold("Arguments", ctx) .. "\n")
    write_rows(rows, ctx)
  end
  rows = {}
  for _, list in ipairs { command.options or {}, args.common } do
    for _, declaration in ipairs(list) do
      rows[#rows + 1] = { option_label(declaration), describe(declaration) }
    end
  end
  ctx.out("\n" .. bold("Options", ctx) .. "\n")
  write_rows(rows, ctx)
  if command.examples then
    ctx.out("\n" .. bold(#command.examples == 1 and "Example" or "Examples", ctx) .. "\n")
    for _, example in ipairs(command.examples) do
      ctx.out("  " .. example[1] .. "\n")
      if example[2] then
        ctx.out("      " .. wrap(example[2], math.min(ctx.columns(), 110) - 6, 6) .. "\n")
      end
    end
  end
end

-- The declared table of legal transitions, by what changes state.
local function write_states(ctx)
  local entity
  for _, row in ipairs(require("tasker.core").states()) do
    if row.entity ~= entity then
      ctx.out((entity and "\n" or "") .. bold(row.entity, ctx) .. "\n")
      entity = row.entity
    end
    ctx.out(("  %-12s -> %-18s %s\n"):format(row.from, row.to, row.on))
  end
end

return {
  summary = "list the commands, or explain one",
  group = "program",
  arguments = { { name = "command", optional = true, help = "a command's name, or 'states'" } },
  examples = { { "tasker-lua help submit" }, { "tasker-lua help states", "which state follows which, and why" } },
  run = function(opts, ctx)
    if not opts.command then
      write_list(ctx)
      return 0
    end
    if opts.command == "states" then
      write_states(ctx)
      return 0
    end
    local names = { "states", table.unpack(ctx.commands) }
    for _, name in ipairs(ctx.commands) do
      if name == opts.command then
        write_command(name, ctx)
        return 0
      end
    end
    return ctx.usage(("no such command '%s'%s"):format(opts.command, args.hint(opts.command, names)))
  end,
}
