local url = require "tasker.url"

describe("URLs", function()
  it("are resolved as in RFC 3986 section 5.4", function()
    local base = "http://a/b/c/d;p?q"
    for reference, expected in pairs {
      ["g"] = "http://a/b/c/g", ["./g"] = "http://a/b/c/g", ["g/"] = "http://a/b/c/g/", ["/g"] = "http://a/g",
      ["//g"] = "http://g", ["?y"] = "http://a/b/c/d;p?y", ["g?y"] = "http://a/b/c/g?y", ["#s"] = "http://a/b/c/d;p?q#s",
      ["g#s"] = "http://a/b/c/g#s", [";x"] = "http://a/b/c/;x", [""] = "http://a/b/c/d;p?q", ["."] = "http://a/b/c/",
      ["./"] = "http://a/b/c/", [".."] = "http://a/b/", ["../"] = "http://a/b/", ["../g"] = "http://a/b/g",
      ["../.."] = "http://a/", ["../../g"] = "http://a/g", ["../../../g"] = "http://a/g", ["/./g"] = "http://a/g",
      ["/../g"] = "http://a/g", ["g."] = "http://a/b/c/g.", ["..g"] = "http://a/b/c/..g", ["./g/."] = "http://a/b/c/g/",
      ["g/./h"] = "http://a/b/c/g/h", ["g/../h"] = "http://a/b/c/h", ["https://x/y"] = "https://x/y",
    } do
      assert.equal(expected, url.resolve(base, reference), reference)
    end
  end)

  it("are taken apart", function()
    assert.same({ scheme = "http", host = "h.example", port = 80, path = "/p", query = "q=1" }, url.parse "HTTP://H.example/p?q=1#f")
    assert.same({ scheme = "https", userinfo = "u:p", host = "[::1]", port = 8443, path = "" }, url.parse "https://u:p@[::1]:8443")
    assert.equal(443, url.parse("https://x/").port)
    for _, wrong in ipairs { "x", "http:/x", "ftp://x", "http://", "http://x:0/", "http://x:70000", "http://a b", "http://u@/" } do
      assert.is_nil(url.parse(wrong), wrong)
    end
  end)

  it("get queries before their fragment", function()
    assert.equal("http://x/?a=1#f", url.with_query("http://x/#f", "a=1"))
    assert.equal("http://x/?b=2&a=1", url.with_query("http://x/?b=2", "a=1"))
    assert.equal("http://x/?a=1", url.with_query("http://x/?", "a=1"))
  end)
end)
