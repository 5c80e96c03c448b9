--- `tasker-lua completion bash|zsh|fish`: completion scripts made from what the commands declare.
local args = require "tasker.cli.args"

-- All commands with all they take, the common options included.
local function survey(ctx)
  local list = {}
  for _, name in ipairs(ctx.commands) do
    local command = ctx.load(name)
    local entry = { name = name, summary = command.summary, arguments = command.arguments or {}, options = {} }
    for _, declarations in ipairs { command.options or {}, args.common } do
      table.move(declarations, 1, #declarations, #entry.options + 1, entry.options)
    end
    list[#list + 1] = entry
  end
  return list
end

-- The words that an argument can be, when they are known.
local function words_of(declaration, ctx)
  if declaration.name == "command" then
    return ctx.commands
  end
  return declaration.choices
end

local function is_path(declaration)
  return declaration.type == "file" or declaration.type == "directory" or declaration.type == "json"
end

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function bash_values(entry, out)
  for _, declaration in ipairs(entry.options) do
    if declaration.value then
      local reply = declaration.choices and ("compgen -W %s -- \"$word\""):format(quoted(table.concat(declaration.choices, " ")))
        or "compgen -f -- \"$word\""
      if declaration.choices or is_path(declaration) then
        out(("    %s:--%s) COMPREPLY=($(%s)); return ;;\n"):format(entry.name, declaration.name, reply))
      else
        out(("    %s:--%s) return ;;\n"):format(entry.name, declaration.name))
      end
    end
  end
end

local function bash_words(entry, ctx, out)
  local words, paths = {}, false
  for _, declaration in ipairs(entry.options) do
    words[#words + 1] = "--" .. declaration.name
  end
  for _, declaration in ipairs(entry.arguments) do
    local known = words_of(declaration, ctx) or {}
    table.move(known, 1, #known, #words + 1, words)
    paths = paths or is_path(declaration)
  end
  out(("    %s) words=%s%s ;;\n"):format(entry.name, quoted(table.concat(words, " ")), paths and "; paths=yes" or ""))
end

local function bash(list, ctx)
  local out = ctx.out
  out "# bash completion for tasker-lua: source <(tasker-lua completion bash)\n"
  out "_tasker_lua() {\n  local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]} command= words= paths= i\n"
  out "  COMPREPLY=()\n"
  out "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
  out "    case ${COMP_WORDS[i]} in --store) ((i++)) ;; -*) ;; *) command=${COMP_WORDS[i]}; break ;; esac\n  done\n"
  out "  if [ -z \"$command\" ]; then\n    COMPREPLY=($(compgen -W "
  out(quoted(table.concat(ctx.commands, " ")))
  out " -- \"$word\") $(compgen -f -X '!*.lua' -- \"$word\"))\n    return\n  fi\n"
  out "  case $command:$last in\n"
  for _, entry in ipairs(list) do
    bash_values(entry, out)
  end
  out "  esac\n  case $command in\n"
  for _, entry in ipairs(list) do
    bash_words(entry, ctx, out)
  end
  out "    *) paths=yes ;;\n  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
  out "  if [ -n \"$paths\" ]; then COMPREPLY+=($(compgen -f -- \"$word\")); fi\n}\n"
  out "complete -o filenames -F _tasker_lua tasker-lua\n"
end

-- A text inside zsh's [...] and single quotes.
local function zsh_text(text)
  return (text:gsub("[%[%]:\\]", "\\%0"):gsub("'", "'\\''"))
end

local function zsh_action(declaration, ctx)
  local words = words_of(declaration, ctx)
  if words then
    return "(" .. table.concat(words, " ") .. ")"
  end
  return is_path(declaration) and "_files" or " "
end

local function zsh(list, ctx)
  local out = ctx.out
  out "#compdef tasker-lua\n# zsh completion for tasker-lua: source <(tasker-lua completion zsh)\n"
  out "_tasker_lua() {\n  local context state line\n  typeset -A opt_args\n"
  out "  _arguments -C '--store[the store]:URL:_files' '1: :->command' '*:: :->rest'\n"
  out "  case $state in\n    command)\n      local -a commands=(\n"
  for _, entry in ipairs(list) do
    out(("        '%s:%s'\n"):format(entry.name, zsh_text(entry.summary)))
  end
  out "      )\n      _describe command commands\n      _files -g '*.lua'\n      ;;\n    rest)\n      case $words[1] in\n"
  for _, entry in ipairs(list) do
    out(("        %s)\n          _arguments"):format(entry.name))
    for _, declaration in ipairs(entry.options) do
      local value = declaration.value and (":%s:%s"):format(zsh_text(declaration.value), zsh_action(declaration, ctx)) or ""
      out((" \\\n            '%s--%s[%s]%s'"):format(declaration.many and "*" or "", declaration.name,
        zsh_text(declaration.help or ""), value))
    end
    for position, declaration in ipairs(entry.arguments) do
      local place = declaration.many and "*" or tostring(position) .. (declaration.optional and ":" or "")
      out((" \\\n            '%s:%s:%s'"):format(place, zsh_text(declaration.name), zsh_action(declaration, ctx)))
    end
    out "\n          ;;\n"
  end
  out "        *) _files ;;\n      esac\n      ;;\n  esac\n}\ncompdef _tasker_lua tasker-lua\n"
end

local function fish(list, ctx)
  local out = ctx.out
  out "# fish completion for tasker-lua: tasker-lua completion fish | source\n"
  local names = table.concat(ctx.commands, " ")
  for _, entry in ipairs(list) do
    out(("complete -c tasker-lua -n 'not __fish_seen_subcommand_from %s' -a %s -d %s\n"):format(
      names, entry.name, quoted(entry.summary)))
    local seen = ("complete -c tasker-lua -n '__fish_seen_subcommand_from %s'"):format(entry.name)
    for _, declaration in ipairs(entry.options) do
      local value = ""
      if declaration.value then
        value = is_path(declaration) and " -r" or " -x"
        if declaration.choices then
          value = value .. " -a " .. quoted(table.concat(declaration.choices, " "))
        end
      end
      out(("%s -l %s%s%s -d %s\n"):format(seen, declaration.name,
        declaration.short and " -s " .. declaration.short or "", value, quoted(declaration.help or "")))
    end
    for _, declaration in ipairs(entry.arguments) do
      local words = words_of(declaration, ctx)
      if words then
        out(("%s -a %s\n"):format(seen, quoted(table.concat(words, " "))))
      end
    end
  end
end

local shells = { bash = bash, zsh = zsh, fish = fish }

return {
  summary = "print a completion script for a shell",
  group = "program",
  arguments = { { name = "shell", choices = { "bash", "zsh", "fish" }, help = "which shell" } },
  examples = {
    { "source <(tasker-lua completion bash)", "in ~/.bashrc" },
    { "tasker-lua completion fish | source", "in ~/.config/fish/config.fish" },
  },
  run = function(opts, ctx)
    shells[opts.shell](survey(ctx), ctx)
    return 0
  end,
}
