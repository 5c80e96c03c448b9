--- CRC-32C, to make records that a store's own checks take for whole.
-- @tparam integer crc 0 at first
-- @tparam string bytes
return function(crc, bytes)
  crc = ~crc & 0xFFFFFFFF
  for i = 1, #bytes do
    crc = crc ~ bytes:byte(i)
    for _ = 1, 8 do
      crc = crc >> 1 ~ (crc & 1) * 0x82F63B78
    end
  end
  return ~crc & 0xFFFFFFFF
end
