std = "lua54"
max_line_length = 140
codes = true
exclude_files = { "build", ".luarocks", "spec/peers/node_modules" }
files["spec"] = { std = "+busted" }
