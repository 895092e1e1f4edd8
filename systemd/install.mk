# make install and make uninstall take PREFIX and DESTDIR, and:
#   CONFDIR      the directory of fcached.conf: /etc/fcached if PREFIX is /usr or /usr/local. Elsewhere
#                PREFIX/share/doc/fcached: a copy to read, as the daemon of a user has its own in
#                ~/.config/fcached
#   LIBDIR       the directory of the library, PREFIX/lib
#   UNITDIR      the directory of system units
#   USERUNITDIR  the directory of user units; under a PREFIX in $HOME it is share/systemd/user
# SYSTEM_PREFIX is empty unless systemd and the loader search PREFIX.
SYSTEM_PREFIX := $(filter /usr /usr/local,$(PREFIX))
BINDIR := $(PREFIX)/bin
# Of drop-ins that administrators copy and edit.
DROPINDIR := $(PREFIX)/share/fcached/systemd
MONITORINGDIR := $(PREFIX)/share/fcached/monitoring
MONITORING := $(wildcard systemd/monitoring/*)
# Programs that only fcachectl starts. It finds them from its own place.
LIBEXECDIR := $(PREFIX)/libexec/fcached
LIBDIR ?= $(PREFIX)/lib
# systemd's directories are here, wherever the library is.
SYSTEMD_LIBDIR := $(PREFIX)/lib
CONFDIR ?= $(if $(SYSTEM_PREFIX),/etc,$(PREFIX)/share/doc)/fcached
UNITDIR ?= $(SYSTEMD_LIBDIR)/systemd/system
USERUNITDIR ?= $(if $(and $(HOME),$(filter $(HOME)/%,$(PREFIX))),$(PREFIX)/share,$(SYSTEMD_LIBDIR))/systemd/user
# The path of an installed manual page, such as man3/fcache_get.3.
man_path = $(PREFIX)/share/man/man$(subst .,,$(suffix $(1)))/$(1)

INSTALL ?= install
inst = $(INSTALL) -D -m $(1) $(2) '$(DESTDIR)$(3)'
# Fills the paths of this installation into a file. With a third argument the unit of one daemon
# becomes the template unit: the name NAME of an instance is in the names of its units, its directories
# and its socket.
fill = sed -e 's|@BINDIR@|$(BINDIR)|g' -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' \
  -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|g' \
  -e 's|@AT_I@|$(if $(3),@%i)|g' -e 's|@AT_NAME@|$(if $(3),@NAME)|g' -e 's|@SLASH_I@|$(if $(3),/%i)|g' \
  -e 's|@DASH_I@|$(if $(3),-%i)|g' -e 's|@OF_I@|$(if $(3), (%i))|g' $(1) > $(B)/install.tmp && \
  $(call inst,644,$(B)/install.tmp,$(2)) && rm -f $(B)/install.tmp
# Empty unless logrotate searches it.
LOGROTATE := $(if $(SYSTEM_PREFIX),/etc/logrotate.d/fcached)
# The completion scripts are printed by the built programs. zsh of Debian searches another directory below /usr.
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR ?= $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
$(B)/completion/%.bash: $(DAEMON) $(CTL)
	@mkdir -p $(@D)
	$(Q)$(B)/$* $(if $(filter fcached,$*),--)completion bash >$@
$(B)/completion/%.zsh: $(DAEMON) $(CTL)
	@mkdir -p $(@D)
	$(Q)$(B)/$* $(if $(filter fcached,$*),--)completion zsh >$@
COMPLETIONS := $(foreach p,fcached fcachectl,$(B)/completion/$(p).bash $(B)/completion/$(p).zsh)
lint-scripts: $(COMPLETIONS)
UNITS := $(foreach d,$(UNITDIR) $(USERUNITDIR),$(foreach f,fcached fcached@,$(d)/$(f).service $(d)/$(f).socket))

.PHONY: install uninstall
install: all man $(COMPLETIONS)
	$(call inst,755,$(DAEMON),$(BINDIR)/fcached)
	$(call inst,755,$(CTL),$(BINDIR)/fcachectl)
	$(call inst,755,$(EXPORTER),$(LIBEXECDIR)/fcachectl-exporter)
	$(call inst,644,$(LIBA),$(LIBDIR)/libfcache.a)
	$(call inst,755,$(LIBSO),$(LIBDIR)/$(SONAME))
	ln -sf $(SONAME) '$(DESTDIR)$(LIBDIR)/libfcache.so'
	$(call inst,644,client/include/fcache.h,$(PREFIX)/include/fcache.h)
	$(call fill,client/fcache.pc.in,$(LIBDIR)/pkgconfig/fcache.pc)
	$(foreach t,service socket,$(call fill,systemd/fcached.$(t),$(UNITDIR)/fcached.$(t)) && \
	  $(call fill,systemd/fcached.$(t),$(UNITDIR)/fcached@.$(t),template) && \
	  $(call fill,systemd/user/fcached.$(t),$(USERUNITDIR)/fcached.$(t)) && \
	  $(call fill,systemd/user/fcached.$(t),$(USERUNITDIR)/fcached@.$(t),template) && ) true
	$(call fill,systemd/fcached-exporter.service,$(UNITDIR)/fcached-exporter.service)
	$(call fill,systemd/tier.conf,$(DROPINDIR)/tier.conf)
	$(foreach f,$(MONITORING),$(call inst,644,$(f),$(MONITORINGDIR)/$(notdir $(f))) && ) true
	$(call inst,644,systemd/fcached.sysusers,$(SYSTEMD_LIBDIR)/sysusers.d/fcached.conf)
	$(call inst,644,systemd/fcached.tmpfiles,$(SYSTEMD_LIBDIR)/tmpfiles.d/fcached.conf)
	test -e '$(DESTDIR)$(CONFDIR)/fcached.conf' || \
	  $(call inst,644,systemd/fcached.conf,$(CONFDIR)/fcached.conf)
	$(if $(LOGROTATE),$(call inst,644,systemd/fcached.logrotate,$(LOGROTATE)))
	$(foreach f,$(MAN_FILES),$(call inst,644,$(MAN)/$(f),$(call man_path,$(f))) && ) true
	$(foreach p,fcached fcachectl,$(call inst,644,$(B)/completion/$(p).bash,$(BASHDIR)/$(p)) && \
	  $(call inst,644,$(B)/completion/$(p).zsh,$(ZSHDIR)/_$(p)) && ) true
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
	    systemd-sysusers $(SYSTEMD_LIBDIR)/sysusers.d/fcached.conf || true; \
	    systemd-tmpfiles --create $(SYSTEMD_LIBDIR)/tmpfiles.d/fcached.conf || true; \
	    systemctl daemon-reload || true; \
	    echo 'start it with: systemctl enable --now fcached.socket'; \
	  fi; \
	fi

# Keeps /etc/fcached, which the user may have edited, and the user fcached.
uninstall:
	rm -f $(foreach f,$(BINDIR)/fcached $(BINDIR)/fcachectl $(LIBEXECDIR)/fcachectl-exporter $(LIBDIR)/libfcache.a \
	  $(LIBDIR)/$(SONAME) $(LIBDIR)/libfcache.so $(PREFIX)/include/fcache.h \
	  $(LIBDIR)/pkgconfig/fcache.pc $(UNITS) $(UNITDIR)/fcached-exporter.service $(DROPINDIR)/tier.conf \
	  $(patsubst systemd/monitoring/%,$(MONITORINGDIR)/%,$(MONITORING)) $(if $(SYSTEM_PREFIX),,$(CONFDIR)/fcached.conf) \
	  $(SYSTEMD_LIBDIR)/sysusers.d/fcached.conf $(SYSTEMD_LIBDIR)/tmpfiles.d/fcached.conf \
	  $(foreach p,fcached fcachectl,$(BASHDIR)/$(p) $(ZSHDIR)/_$(p)) \
	  $(LOGROTATE) $(foreach p,$(MAN_FILES),$(call man_path,$(p))),'$(DESTDIR)$(f)')
