# make bench              all rows, pinned to one CPU and unpinned: under 8 minutes
# make bench ROWS=PATTERN rows whose name has, or matches, PATTERN (several: commas)
# make bench KEYS=N       so many keys for the rows of 3,100 bytes in memory
BENCH := $(B)/bench
BENCH_SRC := $(wildcard tests/bench/*.c)
PEERS := build/peers

# lmdb.h; apt-get runs once at a time.
ifneq ($(DEPS),skip)
$(call obj,$(BENCH_SRC)): | build/.deps-bench
$(PEERS)/.unpacked: | build/.deps-bench
build/.deps-bench: | build/.deps-build
endif

$(BENCH): $(call obj,$(BENCH_SRC)) $(LIBA)
	@echo '  LD   $@'
	@$(CC) $(FC_LDFLAGS) -pie -o $@ $^ -ljansson -llmdb -lxxhash

# memcached and redis-server, unpacked from their packages; nothing is installed.
$(PEERS)/.unpacked: tests/bench/fetch-peers.sh
	@echo '  GET  memcached and redis-server'
	@tests/bench/fetch-peers.sh $(PEERS)
	@touch $@

.PHONY: bench
bench: $(BENCH) $(DAEMON) $(PEERS)/.unpacked
	@$(BENCH) --fcached=$(DAEMON) --peers=$(PEERS) --json=build/bench.json --rows='$(ROWS)' \
	  $(if $(KEYS),--keys=$(KEYS))

# make bench-herd         workers that miss together, alone: about two minutes
.PHONY: bench-herd
bench-herd: ROWS := herd8
bench-herd: bench

# make bench-arena        designs of the arena's allocator side by side; no daemon, no memory touched
ARENA_SIM := $(B)/bench-arena
$(ARENA_SIM): $(call obj,tests/bench/arena/sim.c) $(DAEMON_A)
	@echo '  LD   $@'
	@$(CC) $(FC_LDFLAGS) -pie -o $@ $^ -lm
.PHONY: bench-arena
bench-arena: $(ARENA_SIM)
	@$(ARENA_SIM)
