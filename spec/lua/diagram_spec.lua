-- Diagrams of handlers and tasks. The drawings that are kept in spec/lua/diagram/ and docs/diagrams/ are written anew by
--   TASKER_WRITE_DIAGRAMS=yes busted --lua=build/tasker-lua spec/lua/diagram_spec.lua
local core = require "tasker.core"
local diagram = require "tasker.diagram"
local geometry = require "spec.lua.diagram.geometry"
local graphs = require "spec.lua.diagram.graphs"
local harness = require "spec.support.harness"
local process = require "spec.support.process"
local tasker = require "tasker"
local xml = require "spec.lua.diagram.xml"

local ENDINGS = { svg = "svg", mermaid = "mmd", dot = "dot", text = "txt", json = "json" }

local CASES = {
  { name = "order", subject = graphs.order },
  { name = "kinds", subject = graphs.kinds },
  { name = "finished", subject = graphs.finished, options = { events = graphs.finished_events } },
  { name = "running", subject = graphs.running },
  { name = "compared", subject = graphs.order, options = { compare = graphs.older } },
  { name = "hostile", subject = graphs.hostile },
  { name = "machine", subject = graphs.machine },
}

local function draw(subject, format, more)
  local options = { format = format }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return assert(tasker.diagram(subject, options))
end

local function assert_kept(path, text)
  if os.getenv "TASKER_WRITE_DIAGRAMS" then
    process.write_file(path, text)
  end
  assert.equal(process.read_file(path), text, path)
end

local function contains(text, ...)
  for _, fragment in ipairs { ... } do
    assert.is_truthy(text:find(fragment, 1, true), ("%q is not in:\n%s"):format(fragment, text))
  end
end

-- A definition of steps, each with a list of indexes that it depends on.
local function definition(dependencies)
  local steps = {}
  for i, list in ipairs(dependencies) do
    local names = {}
    for k, index in ipairs(list) do
      names[k] = "step_" .. index
    end
    steps[i] = { name = "step_" .. i, depends_on = names }
  end
  return { name = "generated", steps = steps }
end

local function decoded(subject, more)
  local graph = core.json.decode(draw(subject, "json", more))
  local by_name, edges = {}, {}
  for _, node in ipairs(graph.nodes) do
    by_name[node.name] = node
  end
  for _, edge in ipairs(graph.edges) do
    edges[edge.from .. " " .. edge.to] = edge
  end
  return by_name, edges, graph
end

describe("a diagram", function()
  for _, case in ipairs(CASES) do
    for format, ending in pairs(ENDINGS) do
      it(("of '%s' as %s is as it was"):format(case.name, format), function()
        assert_kept(("spec/lua/diagram/%s.%s"):format(case.name, ending), draw(case.subject, format, case.options))
      end)
    end
  end

  for _, case in ipairs { CASES[3], CASES[4] } do
    for _, format in ipairs { "svg", "mermaid", "text" } do
      it(("of '%s' over time as %s is as it was"):format(case.name, format), function()
        local options = { gantt = true, events = (case.options or {}).events }
        assert_kept(("spec/lua/diagram/%s_gantt.%s"):format(case.name, ENDINGS[format]), draw(case.subject, format, options))
      end)
    end
  end

  it("is in the documentation as it is drawn", function()
    local loaded = assert(require("tasker.loader").load_files { "examples/order.lua" })
    assert_kept("docs/diagrams/order.svg", draw(loaded[1], "svg"))
    assert_kept("docs/diagrams/finished.svg", draw(graphs.finished, "svg"))
    assert_kept("docs/diagrams/finished_gantt.svg", draw(graphs.finished, "gantt", { events = graphs.finished_events }))
    assert_kept("docs/diagrams/running.svg", draw(graphs.running, "svg"))
    assert_kept("docs/diagrams/compared.svg", draw(graphs.order, "svg", { compare = graphs.older }))
    contains(process.read_file "docs/diagrams/README.md", draw(loaded[1], "text"))
  end)

  it("is the same bytes in every process", function()
    local script = [[
      local graphs, tasker = require "spec.lua.diagram.graphs", require "tasker"
      for _, format in ipairs { "svg", "mermaid", "dot", "text", "json" } do
        io.write(assert(tasker.diagram(graphs.running, { format = format })))
        io.write(assert(tasker.diagram(graphs.order, { format = format, compare = graphs.older })))
      end
      io.write(assert(tasker.diagram(graphs.finished, { format = "gantt", events = graphs.finished_events })))]]
    local first = process.run { process.program(), "-e", script }
    local second = process.run { process.program(), "-e", script }
    assert.equal(0, first.status, first.stderr)
    assert.is_true(#first.stdout > 10000)
    assert.equal(first.stdout, second.stdout)
  end)

  it("is well-formed whatever the names are", function()
    for _, case in ipairs(CASES) do
      for _, direction in ipairs { "down", "right" } do
        local options = { direction = direction, compare = (case.options or {}).compare }
        local counts = xml.check(draw(case.subject, "svg", options))
        assert.equal(1, counts.svg)
        assert.is_true(counts.title > 1)
      end
    end
    xml.check(draw(graphs.running, "gantt", { fold = false }))
    assert.is_nil(draw(graphs.hostile, "svg"):find("<script", 1, true))
  end)

  it("as Mermaid has no quote, bracket or newline of a name outside of its labels", function()
    for _, case in ipairs(CASES) do
      local text = draw(case.subject, "mermaid", case.options):gsub("^%-%-%-\ntitle: \"[^\n]*\"\n%-%-%-\n", "")
      for line in text:gmatch "[^\n]+" do
        if not line:find("^flowchart T?D?$") and not line:find("accDescr", 1, true) then
          local bare, quotes = line:gsub('"[^"]*"', "LABEL")
          assert.is_true(quotes <= 1, line)
          assert.is_nil(bare:find '"', line)
          assert.is_truthy(bare:find "^  s%d+[%[{(>/]+LABEL[%]})/]+$" or bare:find "^  s%d+ [-=.]+>|?L?A?B?E?L?|? s%d+$"
            or bare:find "^  classDef %a[%w_]* [%w:#,%- ]+$" or bare:find "^  class [s%d,]+ [%w_]+$"
            or bare:find "^  linkStyle [%d,]+ stroke:#%x+$", line)
        end
      end
    end
  end)

  it("as DOT has every name in quotes that end where they should", function()
    for _, case in ipairs(CASES) do
      for line in draw(case.subject, "dot", case.options):gmatch "[^\n]+" do
        local bare = line:gsub("\\.", "."):gsub('"[^"]*"', "TEXT")
        assert.is_nil(bare:find '"', line)
        assert.is_truthy(bare:find "^%s*[%w_]+ .*[{;]$" or bare == "}", line)
      end
    end
  end)

  it("as text is ASCII where that is asked for, and keeps to its columns", function()
    for _, case in ipairs(CASES) do
      local text = draw(case.subject, "text", { ascii = true, compare = (case.options or {}).compare })
      assert.is_nil(text:find "[\128-\255]", text)
      assert.is_nil(text:find "[%z\1-\9\11-\31]", text)
    end
    local narrow = draw(graphs.order, "text", { columns = 40 })
    for line in narrow:gmatch "[^\n]+" do
      assert.is_true(utf8.len(line) <= 84, line)
    end
    contains(narrow, "├─ reserve", "← pack, invoice, reserve")
    contains(draw(graphs.running, "text", { gantt = true, ascii = true, fold = false }), "part_40", "ready")
  end)
end)

describe("a drawing", function()
  -- Small graphs of all sorts, the same at every run.
  local seed

  local function random(least, most)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return least + (seed >> 8) % (most - least + 1)
  end

  local function random_definition()
    local count, dependencies = random(2, 30), {}
    for i = 1, count do
      local list, seen = {}, {}
      for _ = 1, random(0, 3) do
        local k = i > 1 and random(1, i - 1)
        if k and not seen[k] then
          seen[k] = true
          list[#list + 1] = k
        end
      end
      dependencies[i] = list
    end
    local made = definition(dependencies)
    for i, step in ipairs(made.steps) do
      step.handler = i % 3 == 0 and "rest" or nil
    end
    return made
  end

  it("has no box over another and no edge through a box", function()
    seed = 42
    for _ = 1, 40 do
      local made = random_definition()
      for _, direction in ipairs { "down", "right" } do
        local svg = draw(made, "svg", { fold = false, direction = direction })
        local boxes = geometry.boxes(svg)
        assert.equal(#made.steps, #boxes)
        assert.is_nil(geometry.overlap(boxes))
        assert.is_nil(geometry.crossed(boxes, geometry.points(svg)))
      end
    end
  end)

  it("has a cycle's edges too, and those from a node to itself", function()
    local function node(name, kind)
      return { name = name, kind = kind or "state", kind_notes = {}, details = {}, fields = {} }
    end
    local graph = {
      title = "machine", nodes = { node "draft", node "review", node "rework", node("done", "final") },
      edges = { { from = 1, to = 2, label = "submit" }, { from = 2, to = 3, label = "changes" },
        { from = 3, to = 2, label = "again" }, { from = 2, to = 4, label = "ok" }, { from = 1, to = 1, label = "edit" } },
    }
    for _, module in ipairs { "svg", "mermaid", "dot", "text", "json" } do
      local text = require("tasker.diagram." .. module).draw(graph, {})
      contains(text, "draft", "review", "rework", "done", "submit", "changes", "again", "ok")
    end
    local svg = require("tasker.diagram.svg").draw(graph, {})
    xml.check(svg)
    local boxes = geometry.boxes(svg)
    assert.is_nil(geometry.crossed(boxes, geometry.points(svg)))
    contains(require("tasker.diagram.text").draw(graph, { columns = 20 }), "→ again: re")
  end)

  it("has as few crossings as there need be where that is none", function()
    local order, layers = require "tasker.diagram.order", require "tasker.diagram.layout"
    -- Two trees whose steps are defined in turn.
    local edges, width = {}, {}
    for i = 3, 30 do
      edges[#edges + 1] = { from = i % 2 == 1 and (i - 1) // 4 * 2 + 1 or (i - 2) // 4 * 2 + 2, to = i }
    end
    for i = 1, 30 do
      width[i] = 10
    end
    local placed = layers.arrange(30, edges, { width = width, label_width = {}, node_gap = 2, edge_gap = 2 })
    local position = {}
    for _, layer in ipairs(placed.layers) do
      for at, v in ipairs(layer) do
        position[v] = at
      end
    end
    assert.equal(0, order.crossings(placed, placed.layers, position))
  end)

  local SHAPES = {
    chain = function(i) return i > 1 and { i - 1 } or {} end,
    ["chain with shortcuts from its first step"] = function(i) return i > 2 and { i - 1, 1 } or i == 2 and { 1 } or {} end,
    ["fan-out"] = function(i) return i > 1 and { 1 } or {} end,
    tree = function(i) return i > 1 and { i // 2 } or {} end,
    ["graph with edges over half of it"] = function(i) return i > 5000 and { i - 1, i - 5000 } or i > 1 and { i - 1 } or {} end,
    tangle = function(i) return i > 200 and { i - 1 - i * 7 % 199, i - 1 - i * 13 % 197 } or {} end,
  }
  for name, dependencies_of in pairs(SHAPES) do
    it(("of ten thousand steps is there in seconds: a %s #slow"):format(name), function()
      local dependencies = {}
      for i = 1, 10000 do
        dependencies[i] = dependencies_of(i)
      end
      local made = definition(dependencies)
      for _, format in ipairs(name == "tangle" and { "svg", "text", "mermaid", "dot", "json" } or { "svg" }) do
        local started = os.clock()
        local text = draw(made, format, { fold = false })
        -- A sanitizer makes it some times slower.
        assert.is_true(os.clock() - started < 60, ("%s took %.1f s"):format(format, os.clock() - started))
        contains(text, "step_10000")
      end
    end)
  end
end)

describe("a task's diagram", function()
  it("has states, attempts, durations, errors and what a step waits for", function()
    local text = draw(graphs.running, "text", { columns = 60, fold = false })
    contains(text, "✓ split", "✗ part_7", "in error", "3 attempts", 'no "image" <here> (bad_data)', "retry at 06:00:20Z",
      "● watch", "running", "⊘ dropped", "resolved manually", "500 ms")
    assert.is_nil(text:find("second line", 1, true))
  end)

  it("has running steps as they are at a time that is given, and nothing of the clock otherwise", function()
    contains(draw(graphs.running, "text", { columns = 60, now = "2026-03-29T06:00:10.5Z" }), "running for 10 s")
    assert.is_nil(draw(graphs.running, "text", { columns = 60 }):find("running for", 1, true))
  end)

  it("has what was never taken dashed", function()
    local nodes, edges = decoded(graphs.finished)
    assert.equal("skipped", nodes.watermark.status)
    assert.is_false(edges["fetch watermark"].taken)
    assert.is_false(edges["sign publish"].taken)
    assert.is_true(edges["large publish"].taken)
    contains(draw(graphs.finished, "mermaid"), "s1 -.-> s4", "s1 --> s2", "s5 -.-> s6")
    contains(draw(graphs.finished, "dot"), "s1 -> s4 [style=dashed]")
    contains(draw(graphs.finished, "svg"), 'class="e x"', "not taken")
  end)

  it("has the critical path: backwards from what ended last, through what ended last before it", function()
    local nodes, edges = decoded(graphs.finished)
    local critical = {}
    for name, node in pairs(nodes) do
      critical[name] = node.critical
    end
    assert.same({ fetch = true, large = true, publish = true }, critical)
    assert.is_true(edges["fetch large"].critical)
    assert.is_true(edges["large publish"].critical)
    assert.is_nil(edges["small publish"].critical)
    contains(draw(graphs.finished, "mermaid"), "s1 ==> s3", "s3 ==> s6")
    contains(draw(graphs.finished, "svg"), 'class="e k"', "critical path")
  end)

  it("has the critical path lead through a step that was skipped, without it", function()
    local task = { task_id = "t", name = "x", status = "complete", started_at = "2026-03-29T06:00:00Z", steps = {
      { name = "a", status = "complete", depends_on = {}, started_at = "2026-03-29T06:00:00Z", completed_at = "2026-03-29T06:00:05Z" },
      { name = "b", status = "skipped", depends_on = { "a" }, completed_at = "2026-03-29T06:00:05Z" },
      { name = "c", status = "complete", depends_on = { "b" }, started_at = "2026-03-29T06:00:05Z",
        completed_at = "2026-03-29T06:00:06Z" },
    } }
    local nodes, edges = decoded(task)
    assert.is_true(nodes.a.critical)
    assert.is_nil(nodes.b.critical)
    assert.is_true(nodes.c.critical)
    assert.is_nil(edges["a b"].critical)
  end)

  it("has the times of each attempt where the events are there", function()
    local nodes = decoded(graphs.finished, { events = graphs.finished_events })
    assert.same({
      { started_at = "2026-03-29T06:00:02.000000Z", ended_at = "2026-03-29T06:00:04.000000Z", outcome = "error" },
      { started_at = "2026-03-29T06:00:05.000000Z", ended_at = "2026-03-29T06:00:09.000000Z", outcome = "complete" },
    }, nodes.large.runs)
    assert.is_nil(nodes.small.runs)
  end)

  it("is drawn of a task that was run, whatever became of it", function()
    local app = harness.open "memory"
    local handler = harness.handler { namespace = "spec", name = "diagrammed", steps = {
      { name = "first", run = function() return 1 end },
      { name = "flaky", depends_on = "first", retry = harness.quick_retry(3), run = function(_, step)
        if step.attempt < 2 then
          error "not yet"
        end
        return 2
      end },
      { name = "bypassed", depends_on = "first", skippable = true, run = function() return 3 end },
      { name = "broken", depends_on = "bypassed", retry = harness.quick_retry(1), run = function()
        error(tasker.permanent("card <declined>", { code = "declined" }))
      end },
      { name = "never", depends_on = { "broken", "flaky" }, run = function() return 4 end },
    } }
    local pending = app:task((assert(app:submit(handler, {}))))
    local id = assert(app:submit(handler, {}, { bypass_steps = { "bypassed" } }))
    assert(app:work { until_idle = true })
    local task, events = app:task(id), app:events { task_id = id }
    local nodes = decoded(task, { events = events })
    assert.equal("complete", nodes.flaky.status)
    assert.equal(2, nodes.flaky.attempts)
    assert.equal(2, #nodes.flaky.runs)
    assert.equal("skipped", nodes.bypassed.status)
    assert.equal("card <declined> (declined)", nodes.broken.error)
    assert.equal("pending", nodes.never.status)
    for format in pairs(ENDINGS) do
      contains(draw(task, format, { events = events }), "spec/diagrammed@0.1.0", "flaky")
      contains(draw(pending, format), "never")
      assert.equal(draw(task, format), draw(id, format))
    end
    xml.check(draw(task, "gantt", { events = events }))
    contains(draw(pending, "gantt"), "pending")
    harness.clean()
  end)
end)

describe("steps that decide and wait", function()
  local function run()
    return 1
  end

  local function deciding(version, sleep)
    return tasker.handler { namespace = "spec", name = "deciding", version = version, steps = {
      { name = "check", run = run },
      { name = "big", depends_on = "check", when = function() return false end, run = run },
      { name = "route", depends_on = "check", switch = function() return "express" end, default = "standard",
        cases = { express = { "fast" }, standard = { "slow", "wrap" } } },
      { name = "fast", run = run },
      { name = "slow", run = run },
      { name = "wrap", run = run },
      { name = "later", sleep = sleep, depends_on = "fast" },
      { name = "paid", signal = "payment", depends_on = "check" },
      { name = "clean", depends_on = { "big", "later", "paid" }, join = "any", run = run },
    } }
  end

  it("have shapes of their own, and branches have their names", function()
    local text = draw(deciding("1.0.0", 60), "mermaid")
    contains(text, 's3{"route<br/>switch"}', 's7(["later<br/>sleep 1 m 00 s"])', 's8>"paid<br/>signal payment"]',
      's2["big<br/>when"]', 's9["clean<br/>join any"]', 's3 -->|"express"| s4', 's3 -->|"standard (default)"| s5')
    xml.check(draw(deciding("1.0.0", 60), "svg"))
  end)

  it("are told apart in a task: what was chosen, what was not, what waits", function()
    local app = harness.open "memory"
    local id = assert(app:submit(deciding("1.0.0", 3600), {}))
    assert(app:work { until_idle = 0.1 })
    local task, events = app:task(id), app:events { task_id = id }
    local nodes, edges = decoded(task, { events = events })
    assert.equal("switch", nodes.route.kind)
    assert.is_true(edges["route fast"].taken)
    assert.equal("express", edges["route fast"].label)
    assert.is_false(edges["route slow"].taken)
    assert.is_false(edges["check big"].taken)
    assert.equal("timer", nodes.later.waiting_for)
    assert.is_true(nodes.later.critical)
    contains(draw(task, "text", { columns = 60 }), "sleeps until", "waits for signal")
    contains(draw(task, "text", { gantt = true }), "┄")
    xml.check(draw(task, "gantt", { events = events }))
    harness.clean()
  end)

  it("may differ in what they wait for", function()
    local nodes = decoded(deciding("2.0.0", 120), { compare = deciding("1.0.0", 60) })
    assert.same({ "sleep: 60 -> 120" }, nodes.later.changes)
    assert.is_nil(nodes.route.change)
  end)
end)

describe("machines", function()
  it("are drawn as states, and arrows with the outcomes that lead along them", function()
    local nodes, edges = decoded(graphs.machine)
    assert.same({ "initial" }, nodes.draft.notes)
    assert.same({ "ends in error" }, nodes.refused.notes)
    assert.equal("final", nodes.paid.kind)
    assert.equal("state", nodes.draft.kind)
    assert.is_nil(nodes["ask.after"])
    assert.is_nil(nodes["ask.on.reject"])
    assert.equal("again [guard]", edges["draft draft"].label)
    assert.equal("again", edges["draft refused"].label)
    assert.equal("reject", edges["ask draft"].label)
    assert.equal("after 1 d 0 h", edges["ask refused"].label)
    assert.equal("noted, timeout", edges["both.note.wait both.note.seen"].label)
    contains(draw(graphs.machine, "mermaid"), '-->|"reject"| s1', 's1 -->|"again [guard]"| s1')
    contains(draw(graphs.machine, "text"), "again on again [guard]", "reject", "approval, 2 of 2")
  end)

  it("show of a task the visits, what was taken and what was not, and each visit over time", function()
    local app = harness.open "memory"
    local round = 0
    local handler = harness.machine { initial = "work", states = {
      work = { run = function() round = round + 1 return round < 3 and "more" or "ok" end,
        on = { more = "rest", ok = "done", bad = "lost" } },
      rest = { sleep = 0.001, on = { done = { target = "work", action = function() end } }, after = { [3600] = "lost" } },
      lost = { final = "error" }, done = { final = true },
    } }
    local task = assert(app:run(handler))
    local nodes, edges = decoded(task)
    assert.equal(3, nodes.work.visits)
    assert.equal(2, nodes.rest.visits)
    assert.equal("complete", nodes.rest.status)
    assert.equal("skipped", nodes.lost.status)
    assert.is_true(edges["work rest"].taken)
    assert.is_true(edges["rest work"].taken)
    assert.is_true(edges["work done"].taken)
    assert.is_false(edges["work lost"].taken)
    assert.is_false(edges["rest lost"].taken)
    contains(draw(task, "text"), "3 visits")
    contains(draw(task, "text", { gantt = true }), "work[3]")
    xml.check(draw(task, "svg"))
    xml.check(draw(task, "gantt"))
    harness.clean()
  end)
end)

describe("many alike steps", function()
  it("are drawn as one, those in trouble alone", function()
    local nodes, edges = decoded(graphs.running, { fold = true })
    local stack = nodes["part_1 … part_35"]
    assert.equal(32, stack.count)
    assert.equal(32, #stack.members)
    assert.equal("complete", stack.status)
    assert.equal(2, stack.attempts)
    assert.equal(5, nodes["part_36 … part_40"].count)
    assert.equal("error", nodes.part_7.status)
    assert.equal("error", nodes.part_23.status)
    assert.equal("waiting", nodes.part_12.status)
    assert.is_not_nil(edges["split part_1 … part_35"])
    assert.is_not_nil(edges["part_1 … part_35 join"])
    contains(draw(graphs.running, "svg"), "×32", "part_1 … part_35")
  end)

  it("are drawn one by one up to a number, or always", function()
    assert.is_nil(decoded(graphs.running)["part_1 … part_35"])
    contains(draw(graphs.running, "mermaid", { fold = false }), "part_19")
    contains(draw(graphs.running, "mermaid", { fold = 40 }), "part_19")
    assert.is_nil(draw(graphs.running, "mermaid", { fold = 39 }):find("part_19", 1, true))
  end)

  it("are those with the same neighbours, not those that only look alike", function()
    local dependencies = {}
    for i = 1, 30 do
      dependencies[i] = i > 2 and { i % 2 + 1 } or {}
    end
    local graph = select(3, decoded(definition(dependencies), { fold = 12 }))
    assert.equal(4, #graph.nodes)
    dependencies[30] = { 1, 29 }
    assert.equal(6, #select(3, decoded(definition(dependencies), { fold = 12 })).nodes)
  end)
end)

describe("a comparison", function()
  it("marks what was added, removed and changed, steps and edges", function()
    local nodes, edges = decoded(graphs.order, { compare = graphs.older })
    assert.equal("added", nodes.check_fraud.change)
    assert.equal("removed", nodes.fax.change)
    assert.equal("changed", nodes.ship.change)
    assert.same({ "queue: none -> warehouse" }, nodes.ship.changes)
    assert.equal("changed", nodes.charge.change)
    assert.is_nil(nodes.pack.change)
    assert.equal("added", edges["check_fraud charge"].change)
    assert.equal("removed", edges["ship fax"].change)
    assert.is_nil(edges["pack ship"].change)
  end)

  it("of two handlers knows their retries and timeouts", function()
    local function order(version, fields)
      fields.name, fields.run = "charge", function() return 1 end
      return tasker.handler { namespace = "spec", name = "compared", version = version, steps = { fields } }
    end
    local old = order("1.0.0", { timeout = 30 })
    local new = order("2.0.0", { timeout = 60, retry = { limit = 5 } })
    local nodes = decoded(new, { compare = "spec/compared@1.0.0" })
    assert.equal("changed", nodes.charge.change)
    assert.same({
      "timeout: 30 s -> 60 s",
      "retry: 3 attempts, exponential, base 1 s, factor 2, cap 300 s, jitter full -> "
        .. "5 attempts, exponential, base 1 s, factor 2, cap 300 s, jitter full",
    }, nodes.charge.changes)
    assert.is_nil(decoded(old, { compare = old }).charge.change)
  end)

  it("of two runs marks what came out differently", function()
    local other = core.json.decode(core.json.encode(graphs.finished))
    other.steps[3].status = "error"
    local nodes = decoded(graphs.finished, { compare = other })
    assert.equal("changed", nodes.large.change)
    contains(table.concat(nodes.large.changes, "\n"), "status: in error -> complete", "before: 7.00 s, now: 7.00 s")
    assert.is_nil(nodes.small.change)
  end)
end)

describe("tasker.diagram", function()
  it("takes a handler, its name, a definition, a task and its id", function()
    local handler = harness.one_step(function() return 1 end)
    local name = tostring(handler)
    local expected = draw(handler, "mermaid")
    contains(expected, "flowchart TD", 's1["only"]', name)
    assert.equal(expected, tasker.diagram(handler))
    assert.equal(expected, tasker.diagram(name))
    assert.equal(expected, tasker.diagram { namespace = handler.namespace, name = handler.name, version = handler.version,
      json = handler.json })
    local app = harness.open "memory"
    local task = assert(app:run(handler))
    assert.equal(draw(task, "svg"), draw(task.task_id, "svg"))
    harness.clean()
  end)

  it("answers what cannot be with nil and invalid", function()
    local function invalid(fragment, subject, options)
      local text, err = diagram.draw(subject, options)
      assert.is_nil(text)
      assert.equal("invalid", err.code)
      contains(err.message, fragment)
    end
    invalid("format", graphs.order, { format = "png" })
    invalid("direction", graphs.order, { direction = "up" })
    invalid("fold", graphs.order, { fold = 0 })
    invalid("over time", graphs.order, { format = "gantt" })
    invalid("not dot", graphs.finished, { format = "dot", gantt = true })
    invalid("has no steps", { name = "x" })
    invalid("step 2", { name = "x", steps = { { name = "a" }, {} } })
    invalid("step 2 is 'a'", { name = "x", steps = { { name = "a" }, { name = "a" } } })
    invalid("'depends_on' names no step: 'fist'; did you mean 'first'?",
      { name = "x", steps = { { name = "first" }, { name = "b", depends_on = "fist" } } })
  end)

  it("says which handler it does not know", function()
    local text, err = diagram.draw "spec/nobody_defined_this"
    assert.is_nil(text)
    assert.equal("not_found", err.code)
    contains(err.message, "spec/nobody_defined_this")
  end)

  it("raises where it is called wrongly", function()
    harness.raises("what to draw", diagram.draw, 5)
    harness.raises("'formt' is unknown; did you mean 'format'?", diagram.draw, graphs.order, { formt = "svg" })
    harness.raises("'compare'", diagram.draw, graphs.order, { compare = 5 })
  end)

  it("leaves what it is given as it was", function()
    local before = core.json.encode(graphs.running)
    draw(graphs.running, "svg", { compare = graphs.finished })
    assert.equal(before, core.json.encode(graphs.running))
  end)
end)

describe("tasker-lua diagram", function()
  local dir

  before_each(function()
    dir = process.temp_dir()
    process.write_file(dir .. "/flow.lua", [[
local tasker = require "tasker"
print "loading"
local function run() return 1 end
tasker.handler { namespace = "spec", name = "flow", version = "1.0.0", steps = {
  { name = "one", run = run }, { name = "two", depends_on = "one", run = run } } }
]])
    process.write_file(dir .. "/flow2.lua", [[
local tasker = require "tasker"
local function run() return 1 end
tasker.handler { namespace = "spec", name = "flow", version = "2.0.0", steps = {
  { name = "one", run = run }, { name = "two", depends_on = "one", run = run }, { name = "three", run = run } } }
]])
  end)

  after_each(function()
    process.remove_dir(dir)
  end)

  local function cli(...)
    return process.run { process.program(), "diagram", cwd = dir, env = { LC_ALL = "C.UTF-8", TASKER_STORE = "" }, ... }
  end

  local function ok(...)
    local result = cli(...)
    assert.equal(0, result.status, result.stderr)
    return result.stdout
  end

  local function submit()
    local result = process.run { process.program(), "submit", "spec/flow", "--file", "flow.lua", cwd = dir, env = { TASKER_STORE = "" } }
    assert.equal(0, result.status, result.stderr)
    process.run { process.program(), "worker", "flow.lua", "--until-idle", cwd = dir, env = { TASKER_STORE = "" } }
    return result.stdout:match "%S+"
  end

  it("draws the handler of a file, without a store", function()
    local text = ok("--file", "flow.lua")
    contains(text, "spec/flow@1.0.0", "│ one", "▼")
    assert.is_nil(text:find("loading", 1, true))
    contains(ok("--file", "flow.lua", "spec/flow", "--format", "mermaid", "--direction", "right"), "flowchart LR")
    assert.is_nil(process.read_file(dir .. "/tasker-data/data.mdb"))
  end)

  it("draws a handler and a task of the store, into a file as its name says", function()
    local id = submit()
    contains(ok("spec/flow"), "spec/flow@1.0.0", "one")
    contains(ok(id), "✓ one", "complete after")
    contains(ok("@last", "--gantt"), "✓ two", "█")
    contains(ok(id:sub(-8), "--format", "json"), id)
    assert.equal("", ok("@last", "-o", "task.svg"))
    xml.check(process.read_file(dir .. "/task.svg"))
    ok("@last", "-o", "time.svg", "--format", "gantt")
    contains(process.read_file(dir .. "/time.svg"), "<svg", "two")
  end)

  it("compares versions", function()
    local text = ok("spec/flow@2.0.0", "--file", "flow.lua", "--file", "flow2.lua", "--compare", "spec/flow@1.0.0")
    contains(text, "+ three", "compared with spec/flow@1.0.0")
  end)

  it("is plain ASCII where the locale is", function()
    local result = process.run { process.program(), "diagram", "--file", "flow.lua", cwd = dir, env = { LC_ALL = "C" } }
    contains(result.stdout, "| one |", "+-----+")
    assert.is_nil(result.stdout:find "[\128-\255]")
  end)

  it("says what is wrong in a line", function()
    local function refused(status, fragment, ...)
      local result = cli(...)
      assert.equal(status, result.status, result.stderr)
      contains(result.stderr, fragment)
    end
    submit()
    refused(2, "HANDLER|ID is missing")
    refused(2, "name one: spec/flow@1.0.0, spec/flow@2.0.0", "--file", "flow.lua", "--file", "flow2.lua")
    refused(2, "says no format", "@last", "-o", "task.png")
    refused(2, "--format", "@last", "--format", "png")
    refused(1, "did you mean 'spec/flow'?", "spec/flwo")
    refused(1, "no task abcdef123456", "abcdef123456")
    refused(1, "spec/flow@1.0.0", "spec/other", "--file", "flow.lua")
    refused(1, "over time", "spec/flow", "--gantt")
    refused(1, "no/such/folder", "@last", "-o", "no/such/folder/task.svg")
  end)
end)
