local time = require "tasker.time"

describe("time", function()
  it("parses RFC 3339 and formats it back in UTC", function()
    assert.equal(0, time.parse("1970-01-01T00:00:00Z"))
    assert.equal(1769853600.25, time.parse("2026-01-31T11:00:00.25+01:00"))
    assert.equal("2026-01-31T10:00:00.250000Z", time.format(1769853600.25))
    assert.equal("1969-12-31T23:59:59.000000Z", time.format(-1))
  end)

  it("refuses what is no time", function()
    for _, text in ipairs { "", "yesterday", "2026-02-30T00:00:00Z", "2026-01-31", "2026-01-31T25:00:00Z" } do
      local seconds, err = time.parse(text)
      assert.is_nil(seconds, text)
      assert.equal("invalid", err.code)
    end
    assert.equal("invalid", select(2, time.format(1e18)).code)
    assert.equal("invalid", select(2, time.format(0 / 0)).code)
    assert.has_error(function() time.parse(5) end)
    assert.has_error(function() time.format("x") end)
  end)
end)
