local core = require "tasker.core"
local semver = require "tasker.semver"

describe("a semantic version", function()
  it("is recognised", function()
    for _, text in ipairs { "0.0.0", "1.2.3", "10.20.30", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-0.3.7", "1.0.0-x-y-z.--",
      "1.0.0+20130313144700", "1.0.0-beta+exp.sha.5114f85", "1.0.0+21AF26D3----117B344092BD", "1.0.0+001" } do
      assert.is_true(semver.is_valid(text), text)
    end
  end)

  it("is told from what is none", function()
    for _, text in ipairs { "", "1", "1.2", "1.2.3.4", "01.2.3", "1.02.3", "1.2.03", "v1.2.3", "1.2.3-", "1.2.3+", "1.2.3-a..b",
      "1.2.3-01", "1.2.3-a_b", "1.2.3 ", " 1.2.3", "1.2.x", "-1.2.3", "1.2.3+a+b", "1.2.3-" .. ("a"):rep(64) } do
      assert.is_false(semver.is_valid(text), text)
    end
    assert.is_false(semver.is_valid(1))
    assert.is_false(semver.is_valid(nil))
  end)

  it("is ordered as semver.org says", function()
    local order = { "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
      "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0" }
    for i = 1, #order - 1 do
      assert.equal(-1, core.semver_compare(order[i], order[i + 1]))
      assert.equal(1, core.semver_compare(order[i + 1], order[i]))
    end
    assert.equal(0, core.semver_compare("1.0.0+a", "1.0.0+b"))
  end)
end)
