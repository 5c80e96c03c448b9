-- Several processes on one store: this one submits, two others work; each sees the others' commits at once.
--   tasker-lua examples/processes.lua
local tasker = require "tasker"

local folder = os.tmpname()
os.remove(folder)
local worker = ("%s worker examples/handlers/thumbnails.lua --store %s --until-idle 2>/dev/null"):format(arg[-1], folder)

local app = assert(tasker.open(folder))
assert(io.popen(worker)):close() -- makes the handler known, finds nothing to do and ends
local ids = {}
for i = 1, 200 do ids[i] = assert(app:submit("media/thumbnail", { width = i * 4 })) end
local workers = { io.popen(worker), io.popen(worker) }
for _, id in ipairs(ids) do assert(app:wait(id, 30)) end
print("complete", app:count { status = "complete" })
for _, process in ipairs(workers) do print("a worker ended well", process:close()) end
app:close()
os.execute("rm -rf '" .. folder .. "'")
