# make lint     check the format, run clang-tidy (.clang-tidy has the checks and the reasons), and check scripts, Python
#               and manual pages
# make format   format all C and Python files
#   FILES=daemon/store/store.c   only these files
# A stamp in the build directory holds the clang-tidy result of each file, so a second run checks changed files only.
ifneq ($(DEPS),skip)
LINT_DEPS_OK := $(BUILD)/.deps-lint
$(BUILD)/.deps-lint: | $(BUILD)/.deps-build
endif

FILES ?= $(shell find proto daemon client tests -name build -prune -o -name '*.c' -print | sort)
LINT_HEADERS := $(shell find proto daemon client tests -name build -prune -o -name '*.h' -print | sort)
# The Python files: the package, its tests and its build. Found without git, which refuses the tree of another owner and
# is missing in an unpacked archive.
PY_ALL = $(shell find client/python tests \( -name '.?*' -o -name build -o -name __pycache__ \) -prune \
  -o \( -name '*.py' -o -name '*.pyi' \) -print | sort)
BLACK := black --quiet --line-length 100 --target-version py310
SCRIPTS = $(shell find $(wildcard .ci) client daemon proto systemd tests -name __pycache__ -prune \
  -o -type f -exec awk 'FNR == 1 && /^\#!\/bin\/(ba)?sh/ { print FILENAME } { nextfile }' {} + | sort)
LB := $(BUILD)/lint

.PHONY: lint lint-format lint-tidy lint-scripts lint-python lint-man format
lint: lint-format lint-tidy lint-scripts $(if $(filter file,$(origin FILES)),lint-python lint-man)
	@echo 'lint: nothing found'
lint-format: | $(LINT_DEPS_OK)
	@clang-format --dry-run -Werror $(FILES) $(if $(filter file,$(origin FILES)),$(LINT_HEADERS))
lint-tidy: $(FILES:%=$(LB)/%.tidy)
lint-scripts: | $(LINT_DEPS_OK)
	@shellcheck $(SCRIPTS) $(filter %.bash,$(COMPLETIONS))
# The tests may omit types and make wrong calls on purpose. mypy still finds names that the package lacks.
TESTS_MAY := arg-type call-arg call-overload misc operator var-annotated
lint-python: | $(LINT_DEPS_OK)
	@$(BLACK) --check --diff $(PY_ALL)
	@pyflakes3 $(filter %.py,$(PY_ALL))
	@cd client/python && MYPYPATH=. mypy --strict --no-error-summary --cache-dir=$(abspath $(LB))/mypy -p fcached
	@MYPYPATH=client/python mypy --check-untyped-defs --ignore-missing-imports --no-error-summary \
	  $(TESTS_MAY:%=--disable-error-code=%) --cache-dir=$(LB)/mypy-tests \
	  $(filter tests/docs/% tests/monitoring/% tests/python/% tests/neighbours/%,$(PY_ALL))
# At every level: docs/man/roff.awk removes what scdoc does in another style.
lint-man: man | $(LINT_DEPS_OK)
	@mandoc -Tlint $(MAN_PAGES)
format: | $(LINT_DEPS_OK)
	clang-format -i $(FILES) $(LINT_HEADERS)
	$(BLACK) $(PY_ALL)

# clang-tidy gets the language and includes of the build, without gcc's warning options.
$(LB)/client/python/%.tidy: CPPFLAGS += -Iclient/python/src $(PY_INCLUDES)
$(LB)/%.tidy: % .clang-tidy tests/.clang-tidy $(LINT_HEADERS) | $(LINT_DEPS_OK)
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(CPPFLAGS) -std=c11 $(PKG_CFLAGS) >$@.log 2>&1 || \
	  { grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header' $@.log; exit 1; }
	@touch $@
