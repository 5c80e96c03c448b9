--- `tasker-lua schema`: JSON Schemas and files.
local args = require "tasker.cli.args"

-- The value of a file, `-` for stdin; ends in `nil, code` when there is none.
local function read(ctx, path)
  local value, why = args.read_json(path == "-" and "-" or "@" .. path)
  if value == nil then
    return nil, ctx.fail(ctx.name, why)
  end
  return value
end

-- A loader of the documents named by --add, by their `$id`.
local function loader_of(opts, ctx)
  local by_id = {}
  for _, path in ipairs(opts.add) do
    local document, code = read(ctx, path)
    if document == nil then
      return nil, code
    end
    local id = type(document) == "table" and document["$id"]
    if type(id) ~= "string" then
      return nil, ctx.fail(ctx.name, ("--add %s: the document has no $id"):format(path))
    end
    by_id[(id:gsub("#$", ""))] = document
  end
  return function(uri) return by_id[uri] end
end

local function options_of(opts, ctx)
  local loader, code = loader_of(opts, ctx)
  return loader and { draft = opts.draft, formats = opts.formats or false, strict = opts.strict, loader = loader }, code
end

local function show(ctx, opts, path, ok, err)
  if opts.json then
    ctx.out(require("tasker.core").json.encode({ file = path, valid = ok == true, errors = not ok and err.errors or nil }) .. "\n")
  elseif ok then
    ctx.out(path .. ": valid\n")
  else
    for _, one in ipairs(err.errors) do
      ctx.out(("%s: %s %s (%s)\n"):format(path, one.instance == "" and "(the whole)" or one.instance, one.message, one.schema))
    end
  end
end

local function validate(opts, ctx)
  local path = table.remove(opts.files, 1)
  if #opts.files == 0 then
    ctx.usage "validate takes a SCHEMA and at least one FILE"
  end
  local options, code = options_of(opts, ctx)
  local definition
  if options then
    definition, code = read(ctx, path)
  end
  if definition == nil then
    return code
  end
  local schema = require "tasker.schema"
  local compiled, err = schema.compile(definition, options)
  if not compiled then
    return ctx.fail(path, err)
  end
  local status = 0
  for _, file in ipairs(opts.files) do
    local value
    value, code = read(ctx, file)
    if value == nil then
      return code
    end
    local ok, found = compiled:validate(value)
    show(ctx, opts, file, ok, found)
    status = ok and status or 1
  end
  return status
end

-- The samples of the files: each a value, or with --lines a value a line.
local function read_samples(opts, ctx)
  local samples = {}
  for _, path in ipairs(opts.files) do
    if opts.lines then
      local file, why = io.stdin, nil
      if path ~= "-" then
        file, why = io.open(path, "rb")
      end
      if not file then
        return nil, ctx.fail(ctx.name, why)
      end
      for line in file:lines() do
        local value, err = require("tasker.core").json.decode(line)
        if value == nil then
          return nil, ctx.fail(path, err)
        end
        samples[#samples + 1] = value
      end
    else
      local value, code = read(ctx, path)
      if value == nil then
        return nil, code
      end
      samples[#samples + 1] = value
    end
  end
  return samples
end

local function infer(opts, ctx)
  if #opts.files == 0 then
    ctx.usage "infer takes at least one FILE"
  end
  local samples, code = read_samples(opts, ctx)
  if not samples then
    return code
  end
  local definition, err = require("tasker.schema").infer(samples)
  if not definition then
    return ctx.fail(ctx.name, err)
  end
  ctx.out(require("tasker.core").json.encode(definition, { indent = opts.json and 0 or 2 }) .. "\n")
  return 0
end

local function compatible(opts, ctx)
  if #opts.files ~= 2 then
    ctx.usage "compatible takes OLD and NEW, two schemas"
  end
  local options, code = options_of(opts, ctx)
  local old, new
  if options then
    old, code = read(ctx, opts.files[1])
  end
  if old ~= nil then
    new, code = read(ctx, opts.files[2])
  end
  if new == nil then
    return code
  end
  local ok, err = require("tasker.schema").compatible(old, new, opts.mode, options)
  if not ok and not err.reasons then
    return ctx.fail(ctx.name, err)
  elseif opts.json then
    ctx.out(require("tasker.core").json.encode({ compatible = ok == true, reasons = err and err.reasons }) .. "\n")
  elseif ok then
    ctx.out("compatible\n")
  else
    ctx.out(table.concat(err.reasons, "\n") .. "\n")
  end
  return ok and 0 or 1
end

local actions = { validate = validate, infer = infer, compatible = compatible }

return {
  summary = "validate files by a JSON Schema, infer one, compare two",
  group = "program",
  description = [[
schema validate SCHEMA FILE... says of each file whether it is valid; what is not is listed with the place in the file and in
the schema. schema infer FILE... prints a schema that accepts all of them. schema compatible OLD NEW says whether the new
schema accepts all that the old one did, and why not. FILE may be - for stdin. Nothing is ever fetched: other documents that
a schema refers to are given with --add. The exit code is 1 when a file is invalid or the schemas are not compatible.]],
  arguments = {
    { name = "action", display = "validate|infer|compatible", choices = { "validate", "infer", "compatible" }, help = "what to do" },
    { name = "files", display = "FILE", type = "file", many = true, help = "JSON files; with validate the schema first" },
  },
  options = {
    { name = "draft", value = "D", choices = { "2020-12", "draft-07" }, help = "of schemas without $schema (default 2020-12)" },
    { name = "formats", help = "assert formats" },
    { name = "strict", help = "refuse unknown keywords" },
    { name = "add", value = "FILE", many = true, type = "file", help = "another schema document, found by its $id" },
    { name = "mode", value = "MODE", choices = { "backward", "forward", "full" }, default = "backward",
      help = "of compatible: who has to accept what the other does (default backward: the new schema)" },
    { name = "lines", help = "of infer: the files hold one sample a line" },
    { name = "json", help = "one JSON value a line on stdout" },
  },
  examples = {
    { "tasker-lua schema validate order.schema.json a.json b.json", "which of them are valid, and what is wrong with the others" },
    { "tasker-lua events --json | tasker-lua schema infer --lines -", "what events look like" },
    { "tasker-lua schema compatible old.json new.json --mode full", "may both versions be used side by side?" },
  },
  run = function(opts, ctx)
    return actions[opts.action](opts, ctx)
  end,
}
