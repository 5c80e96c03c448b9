local core = require "tasker.core"

-- Of each special-purpose range its first and last address, and what lies just outside of it where that is public.
local PRIVATE = {
  "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255",
  "169.254.0.0", "169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.255", "192.0.2.1", "192.88.99.1",
  "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.7", "224.0.0.1", "239.255.255.255",
  "240.0.0.0", "255.255.255.255",
  "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1",
  "64:ff9b:1::1", "64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:0:808:808::1", "2001:2::1", "2001:10::1", "2001:1ff:ffff::1",
  "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::", "3fff::1", "5f00::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
}
local PUBLIC = {
  "1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
  "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255",
  "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
  "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2001:200::1", "2001:4860:4860::8888", "2002:808:808::1", "2606:4700::1111", "2a00:1450::1",
}

describe("the guard against private addresses", function()
  it("knows the special-purpose ranges and what carries one of them", function()
    for _, address in ipairs(PRIVATE) do
      assert.is_false(core.http.is_public(address), address)
    end
  end)

  it("lets pass what lies beside them", function()
    for _, address in ipairs(PUBLIC) do
      assert.is_true(core.http.is_public(address), address)
    end
  end)

  it("knows what is no address", function()
    assert.is_nil(core.http.is_public "example.org")
    assert.is_nil(core.http.is_public "127.1")
  end)
end)
