# make install, make uninstall: PREFIX and DESTDIR as usual. What lies outside the usual places:
#   ETCDIR       /etc where PREFIX is /usr or /usr/local, else PREFIX/etc
#   USERUNITDIR  where user units are looked for: under a PREFIX in $HOME that is share/systemd/user
# Not empty where systemd and the loader look by themselves.
SYSTEM_PREFIX := $(filter /usr /usr/local,$(PREFIX))
BINDIR := $(PREFIX)/bin
LIBDIR := $(PREFIX)/lib
ETCDIR ?= $(if $(SYSTEM_PREFIX),/etc,$(PREFIX)/etc)
UNITDIR ?= $(LIBDIR)/systemd/system
USERUNITDIR ?= $(if $(and $(HOME),$(filter $(HOME)/%,$(PREFIX))),$(PREFIX)/share,$(LIBDIR))/systemd/user
# Where a manual page goes: man3/fcache_get.3, say.
man_path = $(PREFIX)/share/man/man$(subst .,,$(suffix $(1)))/$(1)

INSTALL ?= install
inst = $(INSTALL) -D -m $(1) $(2) '$(DESTDIR)$(3)'
# Templates get the paths that this installation has.
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
	@# A package's own scripts do these; a failure only means that the user does them by hand.
	@[ -z '$(DESTDIR)' ] || exit 0; \
	if [ '$(PREFIX)' = "$$HOME/.local" ]; then \
	  echo 'start it with: systemctl --user daemon-reload && systemctl --user enable --now fcached.socket'; \
	  echo 'or without systemd: $(BINDIR)/fcached'; \
	elif [ -z '$(SYSTEM_PREFIX)' ]; then \
	  echo 'systemd looks for no units below this PREFIX; make the user service known to it with:'; \
	  echo '  systemctl --user link $(USERUNITDIR)/fcached.socket $(USERUNITDIR)/fcached.service'; \
	  echo 'or run the daemon by hand: $(BINDIR)/fcached'; \
	elif [ "$$(id -u)" = 0 ]; then \
	  ldconfig || true; \
	  if [ -d /run/systemd/system ]; then \
	    systemd-sysusers $(LIBDIR)/sysusers.d/fcached.conf || true; \
	    systemd-tmpfiles --create $(LIBDIR)/tmpfiles.d/fcached.conf || true; \
	    systemctl daemon-reload || true; \
	    echo 'start it with: systemctl enable --now fcached.socket'; \
	  fi; \
	fi

# Leaves $(ETCDIR)/default/fcached, which may be the user's own by now, and the user fcached.
uninstall:
	rm -f $(foreach f,$(BINDIR)/fcached $(BINDIR)/fcachectl $(LIBDIR)/libfcache.a \
	  $(LIBDIR)/$(SONAME) $(LIBDIR)/libfcache.so $(PREFIX)/include/fcache.h \
	  $(LIBDIR)/pkgconfig/fcache.pc $(UNITDIR)/fcached.service $(UNITDIR)/fcached.socket \
	  $(USERUNITDIR)/fcached.service $(USERUNITDIR)/fcached.socket \
	  $(LIBDIR)/sysusers.d/fcached.conf $(LIBDIR)/tmpfiles.d/fcached.conf \
	  $(foreach p,$(MAN_FILES),$(call man_path,$(p))),'$(DESTDIR)$(f)')
