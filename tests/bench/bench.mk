# make bench              all rows, pinned to one CPU and unpinned: under 4 minutes
# make bench ROWS=PATTERN rows whose name has, or matches, PATTERN (several: commas)
BENCH := $(B)/bench
BENCH_SRC := $(wildcard tests/bench/*.c)
PEERS := build/peers

$(BENCH): $(call obj,$(BENCH_SRC)) $(LIBA)
	@echo '  LD   $@'
	@$(CC) $(FC_LDFLAGS) -pie -o $@ $^ -ljansson -lxxhash

# memcached and redis-server, unpacked from their packages; nothing is installed.
$(PEERS)/.unpacked: tests/bench/fetch-peers.sh
	@echo '  GET  memcached and redis-server'
	@tests/bench/fetch-peers.sh $(PEERS)
	@touch $@

.PHONY: bench
bench: $(BENCH) $(DAEMON) $(PEERS)/.unpacked
	@$(BENCH) --fcached=$(DAEMON) --peers=$(PEERS) --json=build/bench.json --rows='$(ROWS)'
