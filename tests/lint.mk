# make lint: the format, clang-tidy (.clang-tidy says which checks and why), the scripts, and Python.
#   FILES=daemon/store/store.c   only those files
# Each file's clang-tidy result is a stamp in the build folder, so a second run sees only changes.
ifneq ($(DEPS),skip)
LINT_DEPS_OK := $(BUILD)/.deps-lint
$(BUILD)/.deps-lint: | $(BUILD)/.deps-build
endif

FILES ?= $(shell find proto daemon client tests -name build -prune -o -name '*.c' -print | sort)
LINT_HEADERS := $(shell find proto daemon client tests -name build -prune -o -name '*.h' -print | sort)
# Python: the package, its tests and its build; all of it formatted, the package and its build typed.
# By find: git refuses another owner's tree, and an unpacked source has none.
PY_ALL = $(shell find client/python tests \( -name '.?*' -o -name build -o -name __pycache__ \) -prune \
  -o \( -name '*.py' -o -name '*.pyi' \) -print | sort)
BLACK := black --quiet --line-length 100 --target-version py310
SCRIPTS = $(shell find .ci client daemon proto systemd tests -name __pycache__ -prune \
  -o -type f -exec awk 'FNR == 1 && /^\#!\/bin\/(ba)?sh/ { print FILENAME } { nextfile }' {} + | sort)
LB := $(BUILD)/lint

.PHONY: lint lint-format lint-tidy lint-scripts lint-python format
lint: lint-format lint-tidy lint-scripts $(if $(filter file,$(origin FILES)),lint-python)
	@echo 'lint: nothing found'
lint-format: | $(LINT_DEPS_OK)
	@clang-format --dry-run -Werror $(FILES) $(if $(filter file,$(origin FILES)),$(LINT_HEADERS))
lint-tidy: $(FILES:%=$(LB)/%.tidy)
lint-scripts: | $(LINT_DEPS_OK)
	@shellcheck $(SCRIPTS)
# The tests may leave types out, and make wrong calls on purpose; a name that the package does not have
# is found all the same.
TESTS_MAY := arg-type call-arg call-overload misc operator var-annotated
lint-python: | $(LINT_DEPS_OK)
	@$(BLACK) --check --diff $(PY_ALL)
	@pyflakes3 $(filter %.py,$(PY_ALL))
	@cd client/python && MYPYPATH=. mypy --strict --no-error-summary --cache-dir=$(abspath $(LB))/mypy -p fcached
	@MYPYPATH=client/python mypy --check-untyped-defs --ignore-missing-imports --no-error-summary \
	  $(TESTS_MAY:%=--disable-error-code=%) --cache-dir=$(LB)/mypy-tests \
	  $(filter tests/python/% tests/neighbours/%,$(PY_ALL))
format: | $(LINT_DEPS_OK)
	clang-format -i $(FILES) $(LINT_HEADERS)
	$(BLACK) $(PY_ALL)

# The same language and includes as the build; gcc's own warning options mean nothing here.
$(LB)/client/python/%.tidy: CPPFLAGS += -Iclient/python/src $(PY_INCLUDES)
$(LB)/%.tidy: % .clang-tidy tests/.clang-tidy $(LINT_HEADERS) | $(LINT_DEPS_OK)
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(CPPFLAGS) -std=c11 $(PKG_CFLAGS) >$@.log 2>&1 || \
	  { grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header' $@.log; exit 1; }
	@touch $@
