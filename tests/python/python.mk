# The tests of the package, one program of make check a file; tests.mk runs them.
PYTHON_SRC := $(wildcard tests/python/test_*.py)
# With TSan those of threads and processes: it sees nothing in one thread.
PYTHON_TESTS := $(if $(filter thread,$(SAN)),$(foreach word,thread process fork pool, \
  $(filter $(wildcard tests/python/test_*$(word)*.py),$(PYTHON_SRC))),$(PYTHON_SRC))
# A sanitizer keeps what was freed: the process's size says nothing then.
ifneq ($(SAN),)
PYTHON_TESTS := $(filter-out %/test_client_leaks.py,$(PYTHON_TESTS))
endif
# clang's runtime stands in the daemon, and another one would be loaded into Python and its children:
# they exclude each other. gcc has one library for both.
ifneq ($(SAN),)
ifneq ($(filter clang%,$(CC)),)
PYTHON_TESTS :=
endif
endif

# make check-pythons    the package as pip builds it, with each version of Python that it promises and this machine has
ifneq ($(DEPS),skip)
PYTHONS_DEPS_OK := $(BUILD)/.deps-pip
$(BUILD)/.deps-pip: | $(BUILD)/.deps-build
endif
.PHONY: check-pythons
check-pythons: all | $(PYTHONS_DEPS_OK)
	@FCACHED=$(abspath $(DAEMON)) FCACHECTL=$(abspath $(CTL)) FCACHE_BUILD=$(abspath $(B)) \
	  tests/python/versions.sh $(abspath $(BUILD))/pythons
