local assert = require "luassert"
local harness = require "spec.support.harness"
local http = require "tasker.http"
local peer = require "spec.support.peer"

-- Ways to write one address of four bytes.
local function spellings_of(a, b, c, d)
  local whole = ((a << 8 | b) << 8 | c) << 8 | d
  return {
    ("%d.%d.%d.%d"):format(a, b, c, d), ("%d"):format(whole), ("0x%x"):format(whole), ("0X%08X"):format(whole), ("0%o"):format(whole),
    ("%d.%d"):format(a, whole & 0xFFFFFF), ("%d.%d.%d"):format(a, b, whole & 0xFFFF), ("0x%x.%d"):format(a, whole & 0xFFFFFF),
    ("0x%x.0x%x.0x%x.0x%x"):format(a, b, c, d), ("0%o.0%o.0%o.0%o"):format(a, b, c, d), ("0%o.0x%x.%d.%d"):format(a, b, c, d),
    ("000000%o.%d.%d.%d"):format(a, b, c, d), ("%d.%d.%d.%d."):format(a, b, c, d),
    ("%%3%s%s.%d.%d.%d"):format(tostring(a):sub(1, 1), tostring(a):sub(2), b, c, d),
    ("[::ffff:%d.%d.%d.%d]"):format(a, b, c, d), ("[::ffff:%x:%x]"):format(a << 8 | b, c << 8 | d),
    ("[0:0:0:0:0:ffff:%x:%x]"):format(a << 8 | b, c << 8 | d),
    ("[0000:0000:0000:0000:0000:FFFF:%04X:%04X]"):format(a << 8 | b, c << 8 | d),
    ("[::%d.%d.%d.%d]"):format(a, b, c, d), ("[::%x:%x]"):format(a << 8 | b, c << 8 | d),
    ("[64:ff9b::%d.%d.%d.%d]"):format(a, b, c, d), ("[64:ff9b::%x:%x]"):format(a << 8 | b, c << 8 | d),
    ("[64:ff9b:1::%x:%x]"):format(a << 8 | b, c << 8 | d), ("[2002:%x:%x::]"):format(a << 8 | b, c << 8 | d),
    ("[2002:%x:%x::1]"):format(a << 8 | b, c << 8 | d), ("[2001:0:%x:%x::]"):format(a << 8 | b, c << 8 | d),
    ("１２７.%d.%d.%d"):format(b, c, d), ("%d。%d。%d。%d"):format(a, b, c, d),
  }
end

-- What may come of one that is not reached: blocked, or no address at all.
local NOT_REACHED = { blocked = true, dns = true, invalid = true, protocol = true }

describe("a request that may not reach private addresses", function()
  if not peer.has_node then
    pending("skipped: node is not installed")
    return
  end

  local port, answers

  setup(function() port = peer.start("rest").http end)
  teardown(harness.clean)
  before_each(function()
    answers = {}
    -- What lies beyond is made up: hosts of example.com, and the network for all others.
    http.set_double(function(request)
      return request.url:find "^https?://[%w.]*example%.com" ~= nil and (answers[request.url] or { status = 200 })
    end)
  end)
  after_each(function() http.set_double(nil) end)

  local function requests()
    return assert(assert(http.get(("http://127.0.0.1:%d/stats"):format(port))):json()).requests
  end

  local function not_reached(address)
    local response, err = http.request { url = address, allow_private = false, timeout = 2, connect_timeout = 1 }
    assert.is_nil(response, address)
    assert.is_true(NOT_REACHED[err.code] == true, ("%s: %s: %s"):format(address, err.code, err.message))
    return err
  end

  local hosts = { "localhost", "LOCALHOST", "localhost.", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "0.0.0.0", "0", "0x0", "00", "127.1",
    "127.0.1", "[fe80::1]", "[fc00::1]", "[ff02::1]", "169.254.169.254" }
  for _, address in ipairs { { 127, 0, 0, 1 }, { 127, 255, 1, 2 }, { 10, 0, 0, 1 }, { 192, 168, 0, 1 }, { 169, 254, 169, 254 } } do
    table.move(spellings_of(table.unpack(address)), 1, 100, #hosts + 1, hosts)
  end

  it(("reaches none of %d spellings of them"):format(#hosts), function()
    assert.is_true(#hosts >= 100)
    local before = requests()
    for _, host in ipairs(hosts) do
      not_reached(("http://%s:%d/echo"):format(host, port))
    end
    assert.equal(before + 1, requests())
  end)

  it("reaches none through redirects from outside, whatever their status, length and form", function()
    local before, tried = requests(), 0
    for length = 1, 4 do
      for _, status in ipairs { 301, 302, 303, 307, 308 } do
        for _, target in ipairs { "http://127.0.0.1:%d/echo", "//127.0.0.1:%d/echo", "http://2130706433:%d/", "http://[::1]:%d/echo",
          "http://user@127.1:%d/", "HTTP://LocalHost:%d/echo", "http://[::ffff:7f00:1]:%d/x" } do
          for hop = 1, length do
            local to = hop == length and target:format(port) or ("http://h%d.example.com/"):format(hop + 1)
            answers[("http://h%d.example.com/"):format(hop)] = { status = status, headers = { Location = to } }
          end
          not_reached "http://h1.example.com/"
          tried = tried + 1
        end
      end
    end
    assert.is_true(tried >= 100)
    assert.equal(before + 1, requests())
  end)

  it("goes to no other kind of address when it is redirected", function()
    for _, target in ipairs { "file:///etc/passwd", "gopher://127.0.0.1:70/", "ftp://127.0.0.1/", "dict://127.0.0.1:11211/",
      "javascript:1" } do
      answers["https://api.example.com/"] = { status = 302, headers = { Location = target } }
      assert.equal("protocol", not_reached("https://api.example.com/").code)
    end
  end)
end)
