# Builds, tests and installs everything. `make help` lists the targets.
#   CC=clang            the compiler
#   SAN=address,undefined | SAN=thread    a sanitizer build, in a directory of its own
#   COVERAGE=1          a build that counts which lines run, in a directory of its own; see make coverage
#   WERROR=1            turn warnings into errors, as CI does
#   BUILD=/elsewhere    the build directory (build); the sources may be read-only
#   PREFIX, DESTDIR     for install
#   V=1                 print the commands
#   DEPS=skip           do not look for missing packages (packagers, offline builds)
.DEFAULT_GOAL := all
BUILD := build
PREFIX ?= /usr/local
# Make splits words at spaces, and the shells of the recipes interpret other characters.
ifneq ($(shell printf %s "$$PWD"'$(subst ','\'',$(BUILD)$(PREFIX))' | \
  LC_ALL=C tr -d '0-9A-Za-z/._+,=@~^\200-\377-' | wc -c),0)
$(error fcached cannot be built in a path with a space or another special character: \
  the sources are in '$(CURDIR)', BUILD='$(BUILD)', PREFIX='$(PREFIX)'. Use another directory)
endif
# `make clean` removes the whole directory, so it must not contain other files.
ifneq ($(BUILD),build)
ifneq ($(shell mkdir -p $(BUILD) && { [ -e $(BUILD)/.fcached-build ] || [ -z "$$(ls -A $(BUILD))" ]; } && \
  touch $(BUILD)/.fcached-build && echo ok),ok)
$(error BUILD=$(BUILD) must be a new or empty directory, or one of an earlier build, and writable)
endif
endif
VERSION := 0.1.0
CC ?= cc
AR ?= ar
OBJCOPY ?= objcopy
SAN ?=
COVERAGE ?=
comma := ,
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $@)
B := $(BUILD)$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(COVERAGE),/coverage)$(if $(filter clang%,$(CC)),/clang)
# Evaluated once, after the packages are installed.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags inih libuv libxxhash libmicrohttpd hiredis openssl))$(PKG_CFLAGS)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
  -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla -Wconversion -Wno-sign-conversion \
  -Werror=implicit-function-declaration
# The compiler's target. Evaluated once, after the packages are installed.
MACHINE = $(eval MACHINE := $(shell $(CC) -dumpmachine))$(MACHINE)
HARDEN = -fPIE -fstack-protector-strong -fstack-clash-protection \
  $(if $(filter x86_64-% i386-% i486-% i586-% i686-%,$(MACHINE)),-fcf-protection) \
  $(if $(filter aarch64-% arm64-%,$(MACHINE)),-mbranch-protection=standard)
# gcc copies up to 8 KiB by REP MOVSQ in place, on every processor. memcpy of the C library knows the processor, and
# client/lib/util/value.c relies on it. clang always calls it.
COPY_CALLS = $(eval COPY_CALLS := $(if $(filter x86_64-%,$(MACHINE)),$(shell \
  $(CC) -Werror -mmemcpy-strategy=libcall:-1:noalign -E -x c /dev/null >/dev/null 2>&1 && \
  echo -mmemcpy-strategy=libcall:-1:noalign)))$(COPY_CALLS)
LDHARDEN := -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed
# Not empty in a sanitizer or coverage build, which runs slower and is not hardened.
INSTRUMENTED := $(SAN)$(if $(COVERAGE),coverage)
OPT := $(if $(INSTRUMENTED),-O1 -fno-omit-frame-pointer,-O2 -D_FORTIFY_SOURCE=2)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all) $(if $(COVERAGE),--coverage -fprofile-update=atomic)
CPPFLAGS += -D_GNU_SOURCE -DFC_VERSION='"$(VERSION)"' -I. -Iclient/include
CFLAGS ?= -g
FC_CFLAGS = -std=c11 $(CFLAGS) $(OPT) $(COPY_CALLS) $(WARN) $(if $(WERROR),-Werror) $(SANFLAGS) $(PKG_CFLAGS) -MMD -MP
FC_LDFLAGS = $(LDFLAGS) $(LDHARDEN) $(SANFLAGS)

PROTO_SRC := $(wildcard proto/*.c proto/*/*.c)
DAEMON_SRC := $(filter-out daemon/main.c,$(wildcard daemon/*.c daemon/*/*.c))
CLIENT_SRC := $(wildcard client/lib/*/*.c)
LIB_SRC := $(CLIENT_SRC) $(filter-out proto/cli/%,$(PROTO_SRC))
CTL_SRC := $(filter-out client/ctl/fcachectl.c client/ctl/exporter/exporter_main.c,$(wildcard client/ctl/*.c client/ctl/*/*.c))

obj = $(patsubst %.c,$(B)/obj/%.o,$(1))
pic = $(patsubst %.c,$(B)/pic/%.o,$(1))

DAEMON := $(B)/fcached
DAEMON_LIBS := -linih -luv -lxxhash -lhiredis -lssl -lcrypto
# -lncursesw, and the library of terminals where that is another.
CURSES_LIBS = $(eval CURSES_LIBS := $(shell pkg-config --libs ncursesw))$(CURSES_LIBS)
CTL := $(B)/fcachectl
EXPORTER := $(B)/fcachectl-exporter
LIBA := $(B)/libfcache.a
CLIENT_A := $(B)/libclient.a
SONAME := libfcache.so.0
LIBSO := $(B)/$(SONAME)
PROTO_A := $(B)/libproto.a
DAEMON_A := $(B)/libdaemon.a
CTL_A := $(B)/libctl.a

# tests/packages.sh installs missing packages, or names them, before anything is compiled.
ifneq ($(DEPS),skip)
DEPS_OK := $(BUILD)/.deps-build $(if $(filter clang%,$(CC)),$(BUILD)/.deps-clang)
endif
$(BUILD)/.deps-%: Makefile tests/packages.sh
	@mkdir -p $(@D)
	@tests/packages.sh $*
	@touch $@

.PHONY: all
all: $(DAEMON) $(CTL) $(EXPORTER) $(LIBA) $(LIBSO) $(B)/libfcache.so

$(B)/obj/%.o: %.c | $(DEPS_OK)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(FC_CFLAGS) $(HARDEN) -c -o $@ $<
$(B)/pic/%.o: %.c | $(DEPS_OK)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(FC_CFLAGS) $(filter-out -fPIE,$(HARDEN)) -fPIC -fvisibility=hidden -c -o $@ $<

$(PROTO_A): $(call obj,$(PROTO_SRC))
$(DAEMON_A): $(call obj,$(DAEMON_SRC))
$(CTL_A): $(call obj,$(CTL_SRC))
$(CLIENT_A): $(call obj,$(CLIENT_SRC))
$(PROTO_A) $(DAEMON_A) $(CTL_A) $(CLIENT_A):
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^

# One object in which all names but the public ones are local: a program that links the archive may have functions of
# the same names.
$(LIBA): $(call pic,$(LIB_SRC))
	@rm -f $@
	$(call say,AR)
	$(Q)$(CC) -r -nostdlib -o $(B)/libfcache.o $^
	$(Q)$(OBJCOPY) --localize-hidden $(B)/libfcache.o
	$(Q)$(AR) rcs $@ $(B)/libfcache.o

$(DAEMON): $(call obj,daemon/main.c) $(DAEMON_A) $(PROTO_A)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -fPIE -pie -o $@ $^ $(DAEMON_LIBS)
$(CTL): $(call obj,client/ctl/fcachectl.c) $(CTL_A) $(CLIENT_A) $(PROTO_A)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -fPIE -pie -o $@ $^ -ljansson -lsmartcols $(CURSES_LIBS) -lxxhash -lm
$(EXPORTER): $(call obj,client/ctl/exporter/exporter_main.c) $(CTL_A) $(CLIENT_A) $(PROTO_A)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -fPIE -pie -o $@ $^ -lmicrohttpd -ljansson -lsmartcols -lxxhash -lm -lpthread
$(LIBSO): $(call pic,$(LIB_SRC)) client/libfcache.map
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=client/libfcache.map \
	  $(if $(SAN),,-Wl$(comma)-z$(comma)defs) -o $@ $(filter %.o,$^) -lxxhash
$(B)/libfcache.so: $(LIBSO)
	@ln -sf $(SONAME) $@

# The targets of each area are beside its files.
-include client/python/python.mk tests/python/python.mk tests/tests.mk tests/neighbours/neighbours.mk \
  tests/clients/clients.mk client/examples/examples.mk tests/bench/bench.mk tests/lint.mk tests/fuzz/fuzz.mk tests/soak/soak.mk \
  tests/fleet_herd/fleet_herd.mk tests/fleet_sim/fleet_sim.mk tests/fleet_consistency/fleet_consistency.mk \
  tests/upgrade/upgrade.mk \
  docs/man/man.mk systemd/install.mk systemd/packages.mk

.PHONY: clean help
clean:
	rm -rf $(BUILD)
help:
	@echo 'make            build fcached, fcachectl and libfcache in $(BUILD)/'
	@echo 'make demo       four workers share one daemon'
	@echo 'make demo-fleet  three daemons with four workers each share one Valkey or Redis'
	@echo 'make python     build the Python package in $(BUILD)/python'
	@echo 'make check      run the tests'
	@echo 'make coverage   run the tests, and print which lines of the product they run'
	@echo 'make man        build the manual pages in $(BUILD)/man'
	@echo 'make storm-neighbours  run good workers beside bad clients of every kind'
	@echo 'make storm-crash     kill the daemon 10000 times, and check that nothing is lost'
	@echo 'make check-upgrade   start from memory and files of the previous version, and the reverse'
	@echo 'make soak            run for 30 minutes with a kill every minute, and check that nothing grows'
	@echo 'make fleet-herd      128 workers of 16 daemons share 2,000 keys through one Valkey or Redis'
	@echo 'make fleet-sim       simulate fleets of 10 to 10,000 nodes'
	@echo 'make fleet-consistency  check what the workers of a fleet see, with faults, for 5 minutes'
	@echo 'make check-clients   run programs from the package index that use the Python package'
	@echo 'make check-pythons   test the Python package with each installed version of Python'
	@echo 'make bench      measure beside memcached and Redis; bench-python: in Python; bench-survive: restarts'
	@echo 'make dist deb   the source tarball, and Debian packages; sdist wheel: the Python package for pip'
	@echo 'make check-packages  install, upgrade and purge the Debian packages in a real systemd'
	@echo 'make install    PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)'
	@echo 'make lint format fuzz check-valgrind check-systemd check-aarch64 check-memory-waves clean'
	@echo 'SAN=address,undefined or SAN=thread, CC=clang: build variants; BUILD=/elsewhere: the build directory'

# Not those of the previous version, which check-upgrade builds: its objects have the same names.
-include $(shell find $(BUILD) -name 'previous-*' -prune -o -name '*.d' -type f -print 2>/dev/null)
