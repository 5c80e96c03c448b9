-- Writes docs/CLI.md on stdout: what stands between the marks comes from the commands themselves.
-- Usage: build/tasker-lua tools/cli-docs.lua > docs/CLI.md

local INTRODUCTION = [[
# The command line

`tasker-lua` is a Lua 5.4 interpreter with `tasker` built in; with one of the words below as its first it is a command.
This page is printed by `build/tasker-lua tools/cli-docs.lua`; a test compares the two.

**The store** is named by `--store URL`, before or after the command, else by `$TASKER_STORE`, else it is `./tasker-data`.
`run` keeps its task in memory unless one is named. Only `run`, `worker` and `submit --file` make a store that is not there.

**Output**: what a program reads stands on stdout, what is for people on stderr where both are printed. `--json` prints one
JSON value a line on stdout and nothing else. On a terminal, tasks are drawn, tables fitted to its width, and what takes
longer than a second shows its progress; elsewhere the text is plain and stable. `NO_COLOR` and `TERM=dumb` are honoured,
and signs beyond ASCII are used in UTF-8 locales only.

**Exit codes**: 0 done; 1 it failed, with one line `tasker-lua: what: why` on stderr; 2 it was called wrongly; 130
interrupted; 141 the reader of stdout went away. For a task that is waited for (`run`, `submit --wait`): 0 complete or
resolved, 3 in error, 4 cancelled, 5 not final within `--timeout`.

**Durations** are `90 90s 5m 2h 7d`. **Times** are RFC 3339, epoch seconds (a bare number of up to 6 digits is a duration),
or a duration: ago for `--since` and `--until`, ahead for `--run-at`. **A task's id** may be cut to a beginning or an end of
6 or more characters as long as it is unique; `@last` is the task that was submitted last.

`TASKER_LOG=debug` shows where an unexpected error was raised.
]]

local program = arg[-1]

local function help(command)
  local pipe = assert(io.popen(("COLUMNS=100 '%s' help %s"):format(program, command)))
  local text = pipe:read "a"
  assert(pipe:close(), "help " .. command .. " failed")
  return text
end

local list = help ""
io.write(INTRODUCTION, "\n```\n", list, "```\n")
for name in list:gmatch "\n  (%l+)  " do
  io.write(("\n## %s\n\n```\n%s```\n"):format(name, help(name)))
end
