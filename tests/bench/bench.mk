# make bench              all rows, pinned to one CPU and unpinned: less than 8 minutes
# make bench ROWS=PATTERN rows whose name has, or matches, PATTERN (several: commas)
# make bench-python       only the rows in Python, py_hit. Their results are in build/bench-python.json.
# make bench KEYS=N       the number of keys for the rows of 3,100 bytes in memory
BENCH := $(B)/bench
BENCH_SRC := $(wildcard tests/bench/*.c)
PEERS := $(BUILD)/peers

# The package of lmdb.h. Only one apt-get may run at a time.
ifneq ($(DEPS),skip)
$(call obj,$(BENCH_SRC)): | $(BUILD)/.deps-bench
$(PEERS)/.unpacked: | $(BUILD)/.deps-bench
$(BUILD)/.deps-bench: | $(BUILD)/.deps-build
endif

$(BENCH): $(call obj,$(BENCH_SRC)) $(LIBA)
	@echo '  LD   $@'
	@$(CC) $(FC_LDFLAGS) -pie -o $@ $^ -ljansson -llmdb -lxxhash

# memcached and redis-server are unpacked from their packages and not installed.
$(PEERS)/.unpacked: tests/bench/fetch-peers.sh
	@echo '  GET  memcached and redis-server'
	@tests/bench/fetch-peers.sh $(PEERS)
	@touch $@

# The rows in Python are a script in a virtual environment, which is made for the first of them.
PY_ROWS := $(addprefix py_hit/,fcached fcached_instrumentation inprocess diskcache redis pymemcache)
BENCH_VENV := $(BUILD)/bench-venv
BENCH_PYTHON := $(BENCH_VENV)/bin/python
# Not empty if ROWS selects one of them, by the rule of the rows in C; `only`, if it selects no others.
py_rows_wanted = $(shell set -f; for p in '$(subst $(comma),' ',$(or $(ROWS),py))'; do \
  for r in $(PY_ROWS); do case $$r in ($$p | *"$$p"*) echo $$r ;; esac; done; done)
py_rows_only = $(if $(ROWS),$(if $(filter-out py_%,$(subst $(comma), ,$(ROWS))),,only))

ifneq ($(DEPS),skip)
BENCH_PYTHON_DEPS_OK := $(BUILD)/.deps-bench-python
$(BUILD)/.deps-bench-python: | $(BUILD)/.deps-bench
endif

# Only the in-process cache of dlm-sway is used, so torch and its other dependencies are not installed.
$(eval $(call python_venv,$(BENCH_VENV),tests/bench/requirements.txt,$(BENCH_PYTHON_DEPS_OK),\
  --no-deps dlm-sway==0.1.0))

.PHONY: bench bench-c bench-python
bench: $(if $(py_rows_only),,bench-c) $(if $(py_rows_wanted),bench-python)
bench-c: $(BENCH) $(DAEMON) $(PEERS)/.unpacked
	@$(BENCH) --fcached=$(DAEMON) --peers=$(PEERS) --json=$(BUILD)/bench.json --rows='$(ROWS)' \
	  $(if $(KEYS),--keys=$(KEYS))
# After the others, also with -j, because they would disturb each other.
bench-python: $(DAEMON) $(PEERS)/.unpacked $(BENCH_VENV)/.fcached \
    | $(if $(filter bench,$(MAKECMDGOALS)),$(if $(py_rows_only),,bench-c))
	@$(VENV_ENV) $(BENCH_PYTHON) tests/bench/py_hit.py --fcached=$(DAEMON) --peers=$(PEERS) \
	  --json=$(BUILD)/bench-python.json --rows='$(ROWS)'

# make bench-herd         only workers that miss together: about two minutes
.PHONY: bench-herd
bench-herd: ROWS := herd8
bench-herd: bench-c
