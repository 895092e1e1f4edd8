# make bench              all rows, pinned to one CPU and unpinned: less than 10 minutes
# make bench ROWS=PATTERN rows whose name has, or matches, PATTERN (several: commas)
# make bench-python       only the rows in Python, py_hit. Their results are in build/bench-python.json.
# make bench-survive      only the rows about the end of a daemon: snapshot, restore, restart, crash. Their results are
#                         in build/bench-survive.json.
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

# What tests/unit/bench tests: names, arithmetic, and nothing that starts a server.
BENCH_TESTED := bench_judge bench_metrics bench_order bench_results bench_rows bench_spread key_text measure noise \
  requirements samples scene workload
$(filter $(TB)/unit/bench/%,$(UNIT_TESTS)): $(BENCH_TESTED:%=$(TB)/obj/bench/%.o)

# memcached and redis-server are unpacked from their packages and not installed.
$(PEERS)/.unpacked: tests/bench/fetch-peers.sh
	@echo '  GET  memcached and redis-server'
	@tests/bench/fetch-peers.sh $(PEERS)
	@touch $@

PY_ROWS := $(addprefix py_hit/,fcached fcached_instrumentation inprocess diskcache redis pymemcache)
SURVIVE_ROWS := snapshot restore/64 restore/1000000 restart/3100 crash/3100
# The rows of a list that ROWS selects, by the rule of the rows in C. $(1): the list, $(2): what selects all of it.
rows_wanted = $(shell set -f; for p in '$(subst $(comma),' ',$(or $(ROWS),$(2)))'; do \
  for r in $(1); do case $$r in ($$p | *"$$p"*) echo $$r ;; esac; done; done)
py_rows_wanted = $(call rows_wanted,$(PY_ROWS),py)
survive_rows_wanted = $(call rows_wanted,$(SURVIVE_ROWS),*)
# The patterns that are not only about rows of the other programs. A misspelled one is among them, so that the program
# in C refuses it.
patterns_in_c = $(shell set -f; for p in '$(subst $(comma),' ',$(ROWS))'; do \
  case $$p in (py_* | snapshot* | restore* | restart* | crash*) \
    for r in $(PY_ROWS) $(SURVIVE_ROWS); do case $$r in ($$p | *"$$p"*) continue 2 ;; esac; done ;; esac; echo "$$p"; done)
# `only`, if ROWS selects none of the rows in C.
other_rows_only = $(if $(ROWS),$(if $(patterns_in_c),,only))

# The rows about a cache that outlives its daemon run in a program of their own, with the tests' service manager.
BENCH_SURVIVE := $(B)/bench-survive
BENCH_SURVIVE_SRC := $(wildcard tests/bench/survive/*.c) \
  $(addprefix tests/bench/,workload.c key_text.c wire.c bench_children.c scratch.c)
$(BENCH_SURVIVE): $(BENCH_SURVIVE_SRC:tests/%.c=$(TB)/obj/%.o) $(SUPPORT_A) $(CLIENT_A) $(PROTO_A)
	$(call say,LD)
	$(test_link)
# After the rows in C, also with -j, because they would disturb each other.
.PHONY: bench-survive
bench-survive: $(BENCH_SURVIVE) $(DAEMON) $(CTL) $(PEERS)/.unpacked \
    | $(if $(filter bench,$(MAKECMDGOALS)),$(if $(other_rows_only),,bench-c))
	@$(TEST_ENV) $(BENCH_SURVIVE) --peers=$(PEERS) --json=$(BUILD)/bench-survive.json --rows='$(ROWS)'

# The rows in Python are a script in a virtual environment, which is made for the first of them.
BENCH_VENV := $(BUILD)/bench-venv
BENCH_PYTHON := $(BENCH_VENV)/bin/python
ifneq ($(DEPS),skip)
BENCH_PYTHON_DEPS_OK := $(BUILD)/.deps-bench-python
$(BUILD)/.deps-bench-python: | $(BUILD)/.deps-bench
endif

# Only the in-process cache of dlm-sway is used, so torch and its other dependencies are not installed.
$(eval $(call python_venv,$(BENCH_VENV),tests/bench/requirements.txt,$(BENCH_PYTHON_DEPS_OK),\
  --no-deps dlm-sway==0.1.0))

.PHONY: bench bench-c bench-python
bench: $(if $(other_rows_only),,bench-c) $(if $(survive_rows_wanted),bench-survive) $(if $(py_rows_wanted),bench-python)
bench-c: $(BENCH) $(DAEMON) $(PEERS)/.unpacked
	@$(BENCH) --fcached=$(DAEMON) --peers=$(PEERS) --json=$(BUILD)/bench.json --rows='$(ROWS)' \
	  --also='$(PY_ROWS) $(SURVIVE_ROWS)' $(if $(KEYS),--keys=$(KEYS))
# After the others, also with -j, because they would disturb each other.
bench-python: $(DAEMON) $(PEERS)/.unpacked $(BENCH_VENV)/.fcached \
    | $(if $(filter bench,$(MAKECMDGOALS)),$(if $(other_rows_only),,bench-c) $(if $(survive_rows_wanted),bench-survive))
	@$(VENV_ENV) $(BENCH_PYTHON) tests/bench/py_hit.py --fcached=$(DAEMON) --peers=$(PEERS) \
	  --json=$(BUILD)/bench-python.json --rows='$(ROWS)'

# make bench-herd         only workers that miss together: about two minutes
.PHONY: bench-herd
bench-herd: ROWS := herd8
bench-herd: bench-c
