# make install and make uninstall take PREFIX and DESTDIR, and:
#   ETCDIR       /etc if PREFIX is /usr or /usr/local, else PREFIX/etc
#   USERUNITDIR  the directory of user units; under a PREFIX in $HOME it is share/systemd/user
# SYSTEM_PREFIX is empty unless systemd and the loader search PREFIX.
SYSTEM_PREFIX := $(filter /usr /usr/local,$(PREFIX))
BINDIR := $(PREFIX)/bin
LIBDIR := $(PREFIX)/lib
ETCDIR ?= $(if $(SYSTEM_PREFIX),/etc,$(PREFIX)/etc)
UNITDIR ?= $(LIBDIR)/systemd/system
USERUNITDIR ?= $(if $(and $(HOME),$(filter $(HOME)/%,$(PREFIX))),$(PREFIX)/share,$(LIBDIR))/systemd/user
# The path of an installed manual page, such as man3/fcache_get.3.
man_path = $(PREFIX)/share/man/man$(subst .,,$(suffix $(1)))/$(1)

INSTALL ?= install
inst = $(INSTALL) -D -m $(1) $(2) '$(DESTDIR)$(3)'
# Fills the paths of this installation into a template.
fill = sed -e 's|@BINDIR@|$(BINDIR)|g' -e 's|@ETCDIR@|$(ETCDIR)|g' -e 's|@PREFIX@|$(PREFIX)|g' \
  -e 's|@VERSION@|$(VERSION)|g' $(1) > $(B)/install.tmp && $(call inst,644,$(B)/install.tmp,$(2)) && \
  rm -f $(B)/install.tmp

.PHONY: install uninstall
install: all man
	$(call inst,755,$(DAEMON),$(BINDIR)/fcached)
	$(call inst,755,$(CTL),$(BINDIR)/fcachectl)
	$(call inst,644,$(LIBA),$(LIBDIR)/libfcache.a)
	$(call inst,755,$(LIBSO),$(LIBDIR)/$(SONAME))
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libfcache.so'
	$(call inst,644,client/include/fcache.h,$(PREFIX)/include/fcache.h)
	$(call fill,client/fcache.pc.in,$(LIBDIR)/pkgconfig/fcache.pc)
	$(call fill,systemd/fcached.service,$(UNITDIR)/fcached.service)
	$(call fill,systemd/fcached.socket,$(UNITDIR)/fcached.socket)
	$(call fill,systemd/user/fcached.service,$(USERUNITDIR)/fcached.service)
	$(call fill,systemd/user/fcached.socket,$(USERUNITDIR)/fcached.socket)
	$(call inst,644,systemd/fcached.sysusers,$(LIBDIR)/sysusers.d/fcached.conf)
	$(call inst,644,systemd/fcached.tmpfiles,$(LIBDIR)/tmpfiles.d/fcached.conf)
	test -e '$(DESTDIR)$(ETCDIR)/default/fcached' || \
	  $(call inst,644,systemd/fcached.default,$(ETCDIR)/default/fcached)
	$(foreach f,$(MAN_FILES),$(call inst,644,$(MAN)/$(f),$(call man_path,$(f))) && ) true
	@# A package's scripts run these commands. After a failure the user runs them by hand.
	@[ -z '$(DESTDIR)' ] || exit 0; \
	if [ '$(PREFIX)' = "$$HOME/.local" ]; then \
	  echo 'start it with: systemctl --user daemon-reload && systemctl --user enable --now fcached.socket'; \
	  echo 'or without systemd: $(BINDIR)/fcached'; \
	elif [ -z '$(SYSTEM_PREFIX)' ]; then \
	  echo 'systemd finds no units below this PREFIX. Link the user service with:'; \
	  echo '  systemctl --user link $(USERUNITDIR)/fcached.socket $(USERUNITDIR)/fcached.service'; \
	  echo 'or run $(BINDIR)/fcached by hand'; \
	elif [ "$$(id -u)" = 0 ]; then \
	  ldconfig || true; \
	  if [ -d /run/systemd/system ]; then \
	    systemd-sysusers $(LIBDIR)/sysusers.d/fcached.conf || true; \
	    systemd-tmpfiles --create $(LIBDIR)/tmpfiles.d/fcached.conf || true; \
	    systemctl daemon-reload || true; \
	    echo 'start it with: systemctl enable --now fcached.socket'; \
	  fi; \
	fi

# Keeps $(ETCDIR)/default/fcached, which the user may have edited, and the user fcached.
uninstall:
	rm -f $(foreach f,$(BINDIR)/fcached $(BINDIR)/fcachectl $(LIBDIR)/libfcache.a \
	  $(LIBDIR)/$(SONAME) $(LIBDIR)/libfcache.so $(PREFIX)/include/fcache.h \
	  $(LIBDIR)/pkgconfig/fcache.pc $(UNITDIR)/fcached.service $(UNITDIR)/fcached.socket \
	  $(USERUNITDIR)/fcached.service $(USERUNITDIR)/fcached.socket \
	  $(LIBDIR)/sysusers.d/fcached.conf $(LIBDIR)/tmpfiles.d/fcached.conf \
	  $(foreach p,$(MAN_FILES),$(call man_path,$(p))),'$(DESTDIR)$(f)')
