# make check-clients    the package as pip installs it, under the real programs that use it: dlm-sway
#                       and lm-evaluation-harness, from the package index. ONLY= as in make check.
#   CLIENT_JOBS=2       the number of test files that run in parallel (1, because some compare times)
# The virtual environment stays until requirements.txt changes.
CLIENT_JOBS ?= 1
CLIENTS_VENV := $(BUILD)/clients-venv
CLIENTS_PYTHON := $(CLIENTS_VENV)/bin/python
CLIENTS_TESTS := $(wildcard tests/clients/test_*.py)

ifneq ($(DEPS),skip)
CLIENTS_DEPS_OK := $(BUILD)/.deps-clients
$(BUILD)/.deps-clients: | $(BUILD)/.deps-build
endif

$(eval $(call python_venv,$(CLIENTS_VENV),tests/clients/requirements.txt,$(CLIENTS_DEPS_OK)))

.PHONY: check-clients
check-clients: all $(CLIENTS_VENV)/.fcached
	@FCACHED=$(abspath $(DAEMON)) FCACHECTL=$(abspath $(CTL)) FCACHE_BUILD=$(abspath $(B)) \
	  TEST_PYTHON=$(abspath $(CLIENTS_PYTHON)) TEST_TIMEOUT_S=400 HF_HUB_OFFLINE=1 \
	  TOKENIZERS_PARALLELISM=false $(VENV_ENV) tests/run_tests.sh $(CLIENT_JOBS) $(B)/tests/log-clients \
	  $(call picked,$(CLIENTS_TESTS))
