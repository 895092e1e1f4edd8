# make lint: the format, clang-tidy (.clang-tidy says which checks and why), and the scripts.
#   FILES=daemon/store.c   only those files
# Each file's clang-tidy result is a stamp in the build folder, so a second run sees only changes.
ifneq ($(DEPS),skip)
LINT_DEPS_OK := build/.deps-lint
build/.deps-lint: | build/.deps-build
endif

FILES ?= $(wildcard proto/*.c daemon/*.c client/*.c client/ctl/*.c client/demo/*.c tests/unit/*.c \
  tests/system/*.c tests/storm/*.c tests/fuzz/*.c tests/bench/*.c tests/bench/*/*.c \
  tests/valgrind/*.c)
LINT_HEADERS := $(wildcard proto/*.h daemon/*.h client/*.h client/ctl/*.h client/demo/*.h \
  tests/*/*.h)
SCRIPTS = $(shell git ls-files 2>/dev/null | xargs -r grep -lE '^\#!/bin/(ba)?sh' 2>/dev/null)
LB := build/lint

.PHONY: lint lint-format lint-tidy lint-scripts format
lint: lint-format lint-tidy lint-scripts
	@echo 'lint: nothing found'
lint-format: | $(LINT_DEPS_OK)
	@clang-format --dry-run -Werror $(FILES) $(if $(filter file,$(origin FILES)),$(LINT_HEADERS))
lint-tidy: $(FILES:%=$(LB)/%.tidy)
lint-scripts: | $(LINT_DEPS_OK)
	@$(if $(SCRIPTS),shellcheck $(SCRIPTS))
format: | $(LINT_DEPS_OK)
	clang-format -i $(FILES) $(LINT_HEADERS)

# The same language and includes as the build; gcc's own warning options mean nothing here.
$(LB)/%.tidy: % .clang-tidy tests/.clang-tidy $(LINT_HEADERS) | $(LINT_DEPS_OK)
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(CPPFLAGS) -std=c11 $(PKG_CFLAGS) >$@.log 2>&1 || \
	  { grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header' $@.log; exit 1; }
	@touch $@
