--- What is where in an SVG drawing: for tests that look at it.
local geometry = {}

--- Rectangles of class "s": the nodes, where all are boxes.
function geometry.boxes(svg)
  local boxes = {}
  for x, y, width, height in svg:gmatch '<rect class="s" x="([%d.-]+)" y="([%d.-]+)" width="([%d.]+)" height="([%d.]+)"' do
    boxes[#boxes + 1] = { left = x + 0, top = y + 0, right = x + width, bottom = y + height }
  end
  return boxes
end

local function curve(points, x0, y0, c)
  for i = 1, 16 do
    local t = i / 16
    local u = 1 - t
    local a, b, d, e = u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t
    points[#points + 1] = { a * x0 + b * c[1] + d * c[3] + e * c[5], a * y0 + b * c[2] + d * c[4] + e * c[6] }
  end
end

--- Points along the edges.
function geometry.points(svg)
  local points = {}
  for data in svg:gmatch '<path class="e[^"]*" d="([^"]+)"' do
    local x, y = 0, 0
    for command, text in data:gmatch "(%a)([^%a]*)" do
      local numbers = {}
      for number in text:gmatch "[%d.-]+" do
        numbers[#numbers + 1] = tonumber(number)
      end
      if command == "C" then
        curve(points, x, y, numbers)
      elseif command == "L" then
        for i = 1, 16 do
          points[#points + 1] = { x + (numbers[1] - x) * i / 16, y + (numbers[2] - y) * i / 16 }
        end
      end
      x, y = numbers[#numbers - 1] or x, numbers[#numbers] or y
    end
  end
  return points
end


--- Two boxes that come closer than they may, as a text; nil when none do.
function geometry.overlap(boxes)
  for i, a in ipairs(boxes) do
    for k = i + 1, #boxes do
      local b = boxes[k]
      if a.left < b.right + 4 and b.left < a.right + 4 and a.top < b.bottom + 4 and b.top < a.bottom + 4 then
        return ("boxes %d and %d"):format(i, k)
      end
    end
  end
  return nil
end

--- A point inside a box, as a text; nil when there is none.
function geometry.crossed(boxes, points)
  for _, point in ipairs(points) do
    for i, box in ipairs(boxes) do
      if point[1] > box.left + 1 and point[1] < box.right - 1 and point[2] > box.top + 1 and point[2] < box.bottom - 1 then
        return ("box %d at %g %g"):format(i, point[1], point[2])
      end
    end
  end
  return nil
end

return geometry
