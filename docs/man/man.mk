# make man   the manual pages, in $(BUILD)/man. `make install` installs them.
# Each page is one file in scdoc's language. The line below "# NAME" lists the names that it documents. Each name other
# than the page's own gets a file that includes the page, so that `man fcache_put` finds it.
MAN := $(BUILD)/man
MAN_SRC := $(wildcard docs/man/*.scd)
MAN_PAGES := $(MAN_SRC:docs/man/%.scd=$(MAN)/%)
# NAME.SECTION of all pages and all other names.
MAN_FILES = $(eval MAN_FILES := $(shell awk -f docs/man/names.awk $(MAN_SRC) | cut -d ' ' -f 1))$(MAN_FILES)

.PHONY: man
man: $(MAN_PAGES) $(MAN)/.links
# The date in a page is that of its source, or SOURCE_DATE_EPOCH.
$(MAN_PAGES): $(MAN)/%: docs/man/%.scd docs/man/man.mk docs/man/roff.awk Makefile | $(DEPS_OK)
	@mkdir -p $(@D)
	$(call say,MAN)
	$(Q)sed 's/@VERSION@/$(VERSION)/' $< | SOURCE_DATE_EPOCH="$${SOURCE_DATE_EPOCH:-$$(stat -c %Y $<)}" \
	  scdoc | LC_ALL=C awk -f docs/man/roff.awk >$@.new && test -s $@.new && mv $@.new $@
$(MAN)/.links: $(MAN_SRC) docs/man/names.awk
	@mkdir -p $(@D)
	@awk -f docs/man/names.awk $(MAN_SRC) | while read -r file page; do \
	  [ "$$file" = "$$page" ] || echo ".so man$${page##*.}/$$page" >$(MAN)/"$$file"; \
	done
	@touch $@
