# tasker: `make help` lists the targets. Everything built goes to $(BUILD).
CC = gcc
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
LUA_VERSION = 5.4
BINDIR ?= $(PREFIX)/bin
LUADIR ?= $(PREFIX)/share/lua/$(LUA_VERSION)
LIBDIR ?= $(PREFIX)/lib/lua/$(LUA_VERSION)
MANDIR ?= $(PREFIX)/share/man
SANITIZE ?=
OPTIMIZE ?= -O2
FUZZ_SECONDS ?= 60
SIM_FIRST ?= 1
SIM_SEEDS ?= 1000000
JOBS ?= 2
CLANG ?= clang

# Lazily expanded: `make test` may install pkg-config before the first of these is needed.
LUA_CFLAGS = $(shell pkg-config --cflags lua$(LUA_VERSION) 2>/dev/null || pkg-config --cflags lua-$(LUA_VERSION))
LUA_LIBS = $(shell pkg-config --libs lua$(LUA_VERSION) 2>/dev/null || pkg-config --libs lua-$(LUA_VERSION))
DEPS_CFLAGS = $(shell pkg-config --cflags lmdb libuv libcurl)
DEPS_LIBS = $(shell pkg-config --libs lmdb libuv) -ldl -lpthread -lm

WARNINGS ?= -Wall -Wextra -Werror
# Message chains are walked through pointers to their first member.
CFLAGS = -std=gnu11 -fno-strict-aliasing $(OPTIMIZE) -g -fPIC -fvisibility=hidden $(WARNINGS) $(SANITIZE)
CPPFLAGS = -iquote core -D_GNU_SOURCE $(LUA_CFLAGS) $(DEPS_CFLAGS)
LDFLAGS = $(SANITIZE)

# core/main.c and core/cli are the program's; the rest is the library, in tasker-lua and in core.so alike.
LIB_SOURCES = $(filter-out core/cli/%,$(wildcard core/*/*.c))
CLI_SOURCES = core/main.c $(wildcard core/cli/*.c)
LIB_OBJECTS = $(LIB_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/embed.o
CLI_OBJECTS = $(CLI_SOURCES:%.c=$(BUILD)/%.o)
ARCHIVE = $(BUILD)/libtasker.a

EMBEDDED = $(sort $(wildcard lua/*.lua lua/*/*.lua lua/*/*/*.lua lua/*/*/*/*.lua handlers/*.lua))
UNIT_TESTS = $(patsubst spec/c/%.c,$(BUILD)/spec/%,$(wildcard spec/c/test_*.c))
FUZZERS = $(patsubst spec/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard spec/fuzz/fuzz_*.c))
BENCHES = $(patsubst bench/%.c,$(BUILD)/bench/%,$(wildcard bench/*.c))
# An allocation that cannot be is to fail as it does without a sanitizer.
export ASAN_OPTIONS ?= allocator_may_return_null=1
export TSAN_OPTIONS ?= allocator_may_return_null=1
export UBSAN_OPTIONS ?= print_stacktrace=1

# The commands in `name: ## text` comments below are what `make help` prints.

.PHONY: all demo test check bench install asan tsan sim fuzz clean help lint setup units shims run-tests FORCE
.DELETE_ON_ERROR:

all: $(BUILD)/tasker-lua $(BUILD)/tasker/core.so ## build/tasker-lua and build/tasker/core.so (default)

$(BUILD)/tasker-lua: $(CLI_OBJECTS) $(ARCHIVE)
	$(CC) $(LDFLAGS) -Wl,-E -o $@ $(CLI_OBJECTS) $(ARCHIVE) $(LUA_LIBS) $(DEPS_LIBS)

# Lua itself is not linked: its functions come from the interpreter that loads the module.
$(BUILD)/tasker/core.so: $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) -shared $(LDFLAGS) -Wl,-Bsymbolic -u luaopen_tasker_core -o $@ $(ARCHIVE) $(DEPS_LIBS)

$(ARCHIVE): $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $(LIB_OBJECTS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/embed.S: tools/embed FORCE
	@mkdir -p $(@D)
	@tools/embed $(BUILD)/compiled $(EMBEDDED) > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/compile: tools/compile.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LUA_LIBS)

$(BUILD)/compiled/ident: $(BUILD)/compile $(EMBEDDED)
	@$(BUILD)/compile $(BUILD)/compiled $(EMBEDDED)

$(BUILD)/embed.o: $(BUILD)/embed.S $(BUILD)/compiled/ident
	$(CC) -c -o $@ $<

$(BUILD)/spec/%: spec/c/%.c $(ARCHIVE) Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -iquote spec/c $(CFLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(ARCHIVE) $(LUA_LIBS) $(DEPS_LIBS)

$(BUILD)/bench/%: bench/%.c $(ARCHIVE) Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(ARCHIVE) $(LUA_LIBS) $(DEPS_LIBS)

$(BUILD)/fuzz/%: spec/fuzz/%.c $(ARCHIVE)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $< $(ARCHIVE) $(LUA_LIBS) $(DEPS_LIBS)

# Libraries that tests preload: spec/shim/name.c becomes build/shim/name.so.
SHIMS = $(patsubst spec/shim/%.c,$(BUILD)/shim/%.so,$(wildcard spec/shim/*.c))
$(BUILD)/shim/%.so: spec/shim/%.c Makefile
	@mkdir -p $(@D)
	$(CC) -iquote core -D_GNU_SOURCE -std=gnu11 -O2 -g -fPIC -Wall -Wextra -Werror -shared -o $@ $< -ldl -lpthread

SIMULATIONS = $(patsubst spec/sim/%.c,$(BUILD)/sim/%,$(wildcard spec/sim/*.c))
$(BUILD)/sim/%: spec/sim/%.c $(ARCHIVE) Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -MF $@.d -o $@ $< $(ARCHIVE) $(LUA_LIBS) $(DEPS_LIBS)

units: $(UNIT_TESTS) $(SIMULATIONS)
shims: $(SHIMS)

setup: ## install what is missing to build and test (Debian, Ubuntu)
	@tools/setup.sh build test

demo: ## install what is missing, build, run a real workflow, show its result
	@tools/setup.sh build
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@tools/demo $(BUILD)/tasker-lua

test: ## install what is missing, build, run every test
	@tools/setup.sh build test
	@tools/peers
	@$(MAKE) --no-print-directory run-tests

run-tests:
	@$(MAKE) --no-print-directory -s -j$(JOBS) all units shims
	@tools/run-tests --build $(BUILD) --jobs $(JOBS) $(TEST_FLAGS)

check: ## build, lint and test without the slow tests
	@$(MAKE) --no-print-directory -s -j$(JOBS) all units shims
	@$(MAKE) --no-print-directory -s lint
	@tools/run-tests --build $(BUILD) --jobs $(JOBS) --exclude-tags slow

lint: $(BUILD)/tasker-lua ## style rules (tools/tidy.lua) and luacheck
	@$(BUILD)/tasker-lua tools/tidy.lua
	@luacheck -q .

bench: all $(BENCHES) ## measure, beside a floor program of the same run
	@TASKER_BUILD=$(BUILD) $(BUILD)/tasker-lua bench/run.lua

asan: ## the whole suite under AddressSanitizer and UndefinedBehaviorSanitizer, in build/asan
	@$(MAKE) --no-print-directory BUILD=build/asan OPTIMIZE=-O1 \
	  SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer" run-tests

tsan: ## the whole suite under ThreadSanitizer, in build/tsan
	@$(MAKE) --no-print-directory BUILD=build/tsan OPTIMIZE=-O1 SANITIZE="-fsanitize=thread -fno-omit-frame-pointer" run-tests

sim: $(SIMULATIONS) ## SIM_SEEDS (1,000,000) seeded histories of the engine, from SIM_FIRST (1) on
	@$(BUILD)/sim/sim $(SIM_FIRST) $(SIM_SEEDS)

fuzz: all ## every fuzz target for FUZZ_SECONDS (60) each, in build/fuzzing
	@$(MAKE) --no-print-directory BUILD=build/fuzzing CC=$(CLANG) OPTIMIZE=-O1 WARNINGS=-Wall \
	  SANITIZE="-fsanitize=address,fuzzer-no-link -fno-omit-frame-pointer" fuzzers
	@for target in $(patsubst spec/fuzz/%.c,build/fuzzing/fuzz/%,$(wildcard spec/fuzz/fuzz_*.c)); do \
	  echo "$$target"; mkdir -p $$target.corpus; $$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $$target.corpus || exit 1; done
	$(BUILD)/tasker-lua spec/fuzz/lua.lua all $(FUZZ_SECONDS)

.PHONY: fuzzers
fuzzers: $(FUZZERS)

install: all ## install under DESTDIR and PREFIX (/usr/local)
	install -D -m 755 $(BUILD)/tasker-lua $(DESTDIR)$(BINDIR)/tasker-lua
	install -D -m 644 $(BUILD)/tasker/core.so $(DESTDIR)$(LIBDIR)/tasker/core.so
	for file in $(patsubst lua/%,%,$(filter lua/%,$(EMBEDDED))); do \
	  install -D -m 644 lua/$$file $(DESTDIR)$(LUADIR)/$$file || exit 1; done
	for file in $(filter handlers/%,$(EMBEDDED)); do \
	  install -D -m 644 $$file $(DESTDIR)$(LUADIR)/tasker/$$file || exit 1; done
	if [ -f docs/tasker-lua.1 ]; then install -D -m 644 docs/tasker-lua.1 $(DESTDIR)$(MANDIR)/man1/tasker-lua.1; fi

clean: ## remove everything built
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

-include $(LIB_OBJECTS:.o=.d) $(CLI_OBJECTS:.o=.d) $(UNIT_TESTS:=.d) $(SIMULATIONS:=.d) $(BENCHES:=.d)
