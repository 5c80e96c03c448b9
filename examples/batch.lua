-- Ten thousand tasks in one commit, worked off by four threads.
--   tasker-lua examples/batch.lua
local tasker = require "tasker"

local folder = os.tmpname()
os.remove(folder)
local app = assert(tasker.open(folder))
local handlers = "examples/handlers/thumbnails.lua"

-- The store has to know the handler before it takes submissions; a worker that loads the file makes it known.
assert(app:work { threads = 4, files = { handlers }, until_idle = true })

local entries = {}
for i = 1, 10000 do entries[i] = { "media/thumbnail", { width = i * 4 } } end
local ids = assert(app:submit_many(entries))
print("submitted", #ids)
assert(app:work { threads = 4, files = { handlers }, until_idle = true })
print("complete", app:count { status = "complete" })
print("the last one", app:task(ids[#ids]).results.resize.width)
app:close()
os.execute("rm -rf '" .. folder .. "'")
