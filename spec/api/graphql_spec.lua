local harness = require "spec.support.harness"
local peer = require "spec.support.peer"
local tasker = require "tasker"

describe("tasker.graphql", function()
  if not peer.has "graphql-yoga" then
    pending("skipped: graphql-yoga is not installed (tools/peers)")
    return
  end

  local base, client
  setup(function()
    base = ("http://127.0.0.1:%d"):format(peer.start("graphql").http)
    client = tasker.graphql { url = base .. "/graphql", headers = { ["X-Own"] = "yes" } }
  end)
  teardown(harness.clean)

  it("asks, with variables, one of several operations, and headers", function()
    assert.same({ hello = "hello ann" }, client:query("query($n: String) { hello(name: $n) }", { n = "ann" }))
    local document = "query A { hello } query B { header(name: \"x-own\") }"
    assert.same({ header = "yes" }, client:query(document, nil, { operation = "B" }))
    assert.same({ change = 3 }, client:mutate("mutation { change(by: 3) }"))
  end)

  it("keeps what came in part beside the errors", function()
    local data, err = client:query "{ partly { good bad } }"
    assert.is_nil(data)
    assert.same({ "graphql", "the shop is closed", true }, { err.code, err.message, err.retryable })
    assert.equal("yes", err.data.partly.good)
    assert.same({ "partly", "bad" }, err.errors[1].path)
  end)

  it("does not retry what is wrong with the document or not allowed", function()
    for _, document in ipairs { "{ nowhere }", "{ hello", "{ refused }" } do
      local data, err = client:query(document)
      assert.is_nil(data)
      assert.same({ "graphql", false }, { err.code, err.retryable }, document)
    end
  end)

  it("tells an answer that is no GraphQL response by its status", function()
    local _, err = tasker.graphql({ url = base .. "/broken" }):query "{ hello }"
    assert.same({ "http_502", true, "no gateway" }, { err.code, err.retryable, err.body })
  end)

  it("sends the document of a persisted query once", function()
    local function asked() return assert(tasker.http.get(base .. "/asked")):json() end
    local before = asked()
    for _ = 1, 3 do
      assert.same({ hello = "hello world" }, client:query("{ hello }", nil, { persisted = true }))
    end
    local after = asked()
    assert.same({ 4, 1 }, { after.hashes - before.hashes, after.documents - before.documents })
  end)

  it("walks Relay connections", function()
    for _, fields in ipairs { "edges { node { id } }", "nodes { id }" } do
      local ids, cursors = {}, {}
      local document = ("query($after: String) { shop { items(first: 3, after: $after) { %s pageInfo { hasNextPage endCursor } } } }")
        :format(fields)
      for node, cursor in client:paginate(document, {}, "shop.items") do
        ids[#ids + 1], cursors[node.id] = node.id, cursor or "none"
      end
      assert.same({ "1", "2", "3", "4", "5", "6", "7" }, ids)
      assert.same({ "none", "3", "6" }, { cursors["1"], cursors["4"], cursors["7"] })
      local rest = {}
      for node in client:paginate(document, { after = "6" }, "shop.items") do
        rest[#rest + 1] = node.id
      end
      assert.same({ "7" }, rest)
    end
    local ok, err = pcall(function() for _ in client:paginate("{ hello }", {}, "shop.items") do error "a node" end end)
    assert.same({ false, "protocol" }, { ok, err.code })
  end)

  it("gives a mutation of a step its key, and takes none for a query", function()
    local app = harness.open "memory"
    local document = "{ header(name: \"idempotency-key\") }"
    local task = assert(app:run(harness.one_step(function()
      local query = assert(client:query(document))
      local mutation = assert(client:mutate("query " .. document))
      return { query = query.header, mutation = mutation.header }
    end)))
    assert.same({ query = tasker.null, mutation = task.task_id .. ":only" }, task.results.only)
  end)

  it("is a step from data alone", function()
    local app = harness.open "memory"
    local task = assert(app:run(harness.handler { steps = { { name = "ask", handler = "graphql", config = { url = base .. "/graphql",
      query = "query($n: String) { hello(name: $n) }", variables = { n = "{{context.who}}" } } } } }, { who = "eve" }))
    assert.same({ hello = "hello eve" }, task.results.ask)
  end)
end)
