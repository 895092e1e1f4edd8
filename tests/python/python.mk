# The tests of the package. Each file is one program of make check, which tests.mk runs.
PYTHON_SRC := $(wildcard tests/python/test_*.py)
# The commands of the pages, which run the programs, and the files for Prometheus and Grafana.
DOCS_TESTS := $(if $(SAN),,$(wildcard tests/docs/test_*.py tests/monitoring/test_*.py))
# With TSan only the tests of threads and processes.
PYTHON_TESTS := $(if $(filter thread,$(SAN)),$(foreach word,thread process fork pool, \
  $(filter $(wildcard tests/python/test_*$(word)*.py),$(PYTHON_SRC))),$(PYTHON_SRC))
# A sanitizer keeps freed memory, so the size of the process shows no leak.
ifneq ($(SAN),)
PYTHON_TESTS := $(filter-out %/test_client_leaks.py,$(PYTHON_TESTS))
endif
# clang links its runtime into the daemon, and Python and its children would load another one, which
# excludes it. gcc has one library for both.
ifneq ($(SAN),)
ifneq ($(filter clang%,$(CC)),)
PYTHON_TESTS :=
endif
endif

# make check-pythons    the package as pip builds it, with each supported version of Python that is installed
ifneq ($(DEPS),skip)
PYTHONS_DEPS_OK := $(BUILD)/.deps-pip
$(BUILD)/.deps-pip: | $(BUILD)/.deps-build
endif
.PHONY: check-pythons
check-pythons: all | $(PYTHONS_DEPS_OK)
	@FCACHED=$(abspath $(DAEMON)) FCACHECTL=$(abspath $(CTL)) FCACHE_BUILD=$(abspath $(B)) \
	  tests/python/versions.sh $(abspath $(BUILD))/pythons
