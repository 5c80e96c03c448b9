std = "lua54"
max_line_length = 140
codes = true
exclude_files = { "build", ".luarocks" }
files["spec"] = { std = "+busted" }
