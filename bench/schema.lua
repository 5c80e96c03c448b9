-- JSON Schema on three schemas of different size, from the JSON text to the verdict (what the engine does with results and a worker
-- with a request); beside ajv after JSON.parse where node finds it (tools/peers installs it, or NODE_PATH).
-- usage: tasker-lua bench/schema.lua [--quick]
package.path = arg[0]:match "^(.*/)" .. "?.lua;" .. package.path
local tasker = require "tasker"
local support = require "support"

local json = tasker.json
local quick = arg[1] == "--quick"

local ORDER = {
  item = { type = "object", required = { "sku", "quantity", "price" }, additionalProperties = false, properties = {
    sku = { type = "string", pattern = "^[A-Z]{3}-\\d{4}$" }, quantity = { type = "integer", minimum = 1, maximum = 1000 },
    price = { type = "number", minimum = 0 }, note = { type = "string", maxLength = 200 },
    tags = { type = "array", items = { type = "string" }, uniqueItems = true, maxItems = 8 } } },
  address = { type = "object", required = { "street", "city", "country" }, properties = { street = { type = "string" },
    city = { type = "string" }, zip = { type = "string" }, country = { enum = { "DE", "FR", "US", "GB" } } } },
  order = { type = "object", required = { "order_id", "customer", "lines" }, properties = {
    order_id = { type = "integer", minimum = 1 }, ship_to = { ["$ref"] = "#/$defs/address" }, bill_to = { ["$ref"] = "#/$defs/address" },
    customer = { type = "object", required = { "name", "email" }, properties = { name = { type = "string", minLength = 1 },
      email = { type = "string" }, phone = { type = { "string", "null" } } } },
    lines = { type = "array", minItems = 1, items = { ["$ref"] = "#/$defs/item" } },
    payment = { oneOf = { { type = "object", required = { "card" }, properties = { card = { type = "string" } } },
      { type = "object", required = { "iban" }, properties = { iban = { type = "string" } } } } } } },
}

local function order(number)
  local lines, address = {}, { street = "Main 1", city = "Berlin", zip = "10115", country = "DE" }
  for i = 1, 5 do
    lines[i] = { sku = ("ABC-%d"):format(1000 + number + i), quantity = i, price = i * 1.25, note = "line number " .. i,
      tags = { "a", "b", "c" } }
  end
  return { order_id = number, customer = { name = "Ann Example", email = "ann@example.com", phone = tasker.null }, ship_to = address,
    bill_to = address, lines = lines, payment = { iban = "DE001" } }
end

local function orders(count)
  local list = {}
  for i = 1, count do
    list[i] = order(i)
  end
  return list
end

local cases = {
  { "small", { type = "object", required = { "order_id" }, properties = { order_id = { type = "integer" },
    customer = { type = "string", minLength = 1 }, express = { type = "boolean" } } },
    { order_id = 7, customer = "ann", express = true }, 200000 },
  { "medium", { ["$ref"] = "#/$defs/order", ["$defs"] = ORDER }, order(7), 20000 },
  { "large", { type = "array", items = { ["$ref"] = "#/$defs/order" }, ["$defs"] = ORDER }, orders(100), 200 },
}

local AJV = [[
const Ajv = require("ajv/dist/2020").default, text = TEXT, runs = Number(process.argv[3]);
const validate = new Ajv({ strict: false }).compile(JSON.parse(process.argv[2])), value = JSON.parse(text);
let parsed = Infinity, alone = Infinity;
for (let round = 0; round < 7; round++) {
  let started = process.hrtime.bigint();
  for (let i = 0; i < runs; i++) if (!validate(JSON.parse(text))) throw new Error("invalid");
  parsed = Math.min(parsed, Number(process.hrtime.bigint() - started) / runs / 1000);
  started = process.hrtime.bigint();
  for (let i = 0; i < runs; i++) validate(value);
  alone = Math.min(alone, Number(process.hrtime.bigint() - started) / runs / 1000);
}
console.log(parsed, alone);
]]

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

-- Microseconds of ajv with JSON.parse before it, and without; nil where there is none.
local function ajv(schema, text, runs)
  local script, input = os.tmpname(), AJV:gsub("TEXT", function() return json.encode(text) end)
  local file = assert(io.open(script, "wb"))
  file:write(input)
  file:close()
  local pipe = assert(io.popen(("NODE_PATH=${NODE_PATH:-$PWD/spec/peers/node_modules} node %s %s %d 2>/dev/null"):format(script,
    quote(json.encode(schema)), runs)))
  local parsed, alone = pipe:read("n", "n")
  pipe:close()
  os.remove(script)
  return parsed, alone
end

-- Microseconds a call: the best of the rounds, since the machine can only make it slower.
local function time(runs, call, ...)
  local best = math.huge
  for _ = 1, quick and 2 or 7 do
    local started = os.clock()
    for _ = 1, runs do
      call(...)
    end
    best = math.min(best, (os.clock() - started) * 1e6 / runs)
  end
  return best
end

for _, case in ipairs(cases) do
  local name, schema, value, runs = table.unpack(case)
  runs = quick and math.max(runs // 100, 2) or runs
  local compiled, text = assert(tasker.schema.compile(schema)), json.encode(value)
  assert(compiled:conform(text) == text)
  local ours, of_value = time(runs, compiled.conform, compiled, text), time(runs, compiled.validate, compiled, value)
  local theirs, alone = ajv(schema, text, runs)
  support.report {
    name = ("JSON Schema: %s, %d bytes of text"):format(name, #text), value = ours, unit = "us", floor = theirs,
    ratio = theirs and ours / theirs, target = theirs and 1, better = "less",
    note = ("of a value %.2f us%s"):format(of_value, alone and ("; ajv of a value %.2f us"):format(alone) or "; no ajv here"),
  }
end
