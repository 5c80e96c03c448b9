local backoff = require "tasker.backoff"
local errors = require "tasker.errors"

describe("what is kept of an error", function()
  it("is the text with the code 'error', retryable", function()
    assert.same({ message = "boom", code = "error", retryable = true, traceback = "tb" }, (errors.kept("boom", "tb")))
    assert.equal("nil", errors.kept(nil).message)
    assert.equal("42", errors.kept(42).message)
  end)

  it("is message and code of a table, and the rest as details", function()
    local kept, after = errors.kept { message = "no", code = "http_404", status = 404, body = "x", retry_after = 3 }
    assert.same({ message = "no", code = "http_404", retryable = true, details = { status = 404, body = "x", retry_after = 3 } },
      kept)
    assert.equal(3, after)
  end)

  it("is what an err says", function()
    local kept = errors.kept(errors.new("conflict", "twice", { task_id = "t" }))
    assert.same({ message = "twice", code = "conflict", retryable = true, details = { task_id = "t" } }, kept)
  end)

  it("is never retried when permanent", function()
    local kept = errors.kept(errors.permanent("card declined", { code = "declined", bank = "b" }))
    assert.same({ message = "card declined", code = "declined", retryable = false, details = { bank = "b" } }, kept)
    assert.is_false(errors.kept(errors.permanent(errors.new("io", "disk"))).retryable)
    assert.equal("io", errors.kept(errors.permanent(errors.new("io", "disk"))).code)
  end)

  it("has the delay that it asks for", function()
    local _, after = errors.kept(errors.retry_after(30, "busy"))
    assert.equal(30, after)
    assert.is_nil(select(2, errors.kept { message = "x", retry_after = -1 }))
    assert.is_nil(select(2, errors.kept { message = "x", retry_after = 0 / 0 }))
  end)

  it("prints as its message", function()
    assert.equal("busy", tostring(errors.retry_after(30, "busy")))
    assert.equal("twice", tostring(errors.new("conflict", "twice")))
  end)
end)

describe("misuse raises:", function()
  it("retry_after and snooze without seconds", function()
    assert.has_error(function() errors.retry_after("soon") end)
    assert.has_error(function() errors.snooze(-1) end)
    assert.has_error(function() errors.snooze(0 / 0) end)
    assert.equal(0, errors.snoozed(errors.snooze(0)))
  end)

  it("a backoff strategy of a built-in name, or none", function()
    assert.has_error(function() backoff.register("linear", print) end)
    assert.has_error(function() backoff.register("mine", 5) end)
    assert.has_error(function() backoff.register(5, print) end)
  end)
end)

describe("a backoff strategy", function()
  it("is asked with the attempt, the error and the step", function()
    local seconds = backoff.ask(function(attempt, err, step) return attempt + #err.message + step.n end, 2, { message = "abc" }, { n = 5 })
    assert.equal(10, seconds)
  end)

  it("that raises or returns no delay leaves it to the default, and says why", function()
    for _, strategy in ipairs { function() error("boom") end, function() return "x" end, function() return -1 end,
      function() return 0 / 0 end, function() return math.huge end, function() end } do
      local seconds, why = backoff.ask(strategy, 1, {}, {})
      assert.is_nil(seconds)
      assert.is_string(why)
    end
  end)
end)
