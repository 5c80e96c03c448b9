--- How strongly the edges of a graph are drawn.
-- @module tasker.diagram.edges

local edges = {}

--- Gives each edge its `strength`: 0 never taken or no more there, 1 as others, 2 on the critical path.
-- @tab graph
function edges.set_strengths(graph)
  for _, edge in ipairs(graph.edges) do
    edge.strength = edge.critical and 2 or (edge.taken == false or edge.change == "removed") and 0 or 1
  end
end

return edges
