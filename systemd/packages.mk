# make dist             the sources as one file, $(BUILD)/dist/fcached-VERSION.tar.gz
# make deb              Debian packages of these sources, in $(DEB). Only files that git tracks are in them
#   REVISION=2          the Debian revision, behind VERSION
#   DEB=/elsewhere      another directory, which is replaced
#   DEB_OPTIONS=...     more options of dpkg-buildpackage
#   DEB_OBJECTS=...     objects of these sources to begin with: DEB/fcached-VERSION/build of an earlier make deb
# make sdist wheel      the Python package for pip, in $(BUILD)/python-dist; needs the package index
#   PYTHON=...          the interpreter of the wheel
# make check-packages   lintian, blhc, two equal builds, and the packages in a real systemd; prints what it skips
#   PACKAGE_TEST=NAME   only that test of tests/systemd/packages_inside.sh
DIST_NAME := fcached-$(VERSION)
DIST := $(BUILD)/dist/$(DIST_NAME).tar.gz
REVISION ?= 1
DEB ?= $(BUILD)/deb
DEB_TREE := $(DEB)/$(DIST_NAME)
DEB_OPTIONS ?=
DEB_OBJECTS ?=

ifneq ($(DEPS),skip)
DEB_DEPS_OK := $(BUILD)/.deps-deb
DEB_CHECK_DEPS_OK := $(BUILD)/.deps-deb-check
$(BUILD)/.deps-deb: | $(BUILD)/.deps-build
$(BUILD)/.deps-deb-check: | $(BUILD)/.deps-deb
endif

.PHONY: dist deb sdist wheel check-packages
dist:
	@mkdir -p $(BUILD)/dist
	@systemd/dist.sh $(DIST) $(DIST_NAME)
	@echo '  DIST $(DIST)'

# The packages are built as the archive would: from the tarball, in an environment without this make's variables. The
# changelog has the only copy of the version, from which debian/rules takes it.
DEB_ENV := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u MAKEOVERRIDES -u BUILD -u CC -u CFLAGS -u CPPFLAGS -u LDFLAGS -u DEPS \
  -u DESTDIR -u PREFIX -u PYTHON -u PYTHONPATH -u SAN -u V -u VERSION -u WERROR
deb: dist | $(DEB_DEPS_OK)
	@rm -rf '$(DEB)'
	@mkdir -p '$(DEB)'
	@tar -C '$(DEB)' -xzf $(DIST)
	@cp -r '$(DEB_TREE)/systemd/debian' '$(DEB_TREE)/debian'
	@sed -e 's/@VERSION@/$(VERSION)-$(REVISION)/' \
	  -e "s/@DATE@/$$(LC_ALL=C date -u -R -d "@$$(systemd/dist.sh --date)")/" \
	  systemd/debian/changelog.in >'$(DEB_TREE)/debian/changelog'
	@rm '$(DEB_TREE)/debian/changelog.in'
	@# The objects are newer than the sources. Those that contain the version are compiled again.
	@$(if $(DEB_OBJECTS),cd '$(DEB_TREE)' && cp -a '$(abspath $(DEB_OBJECTS))' build && \
	  grep -rl FC_VERSION --include='*.c' daemon client proto | xargs touch && touch client/python/fcached/*.py)
	@echo '  DEB  $(DEB)/build.log'
	@cd '$(DEB_TREE)' && $(DEB_ENV) dpkg-buildpackage -us -uc -b -J $(if $(DEB_OBJECTS),-nc) $(DEB_OPTIONS) >../build.log 2>&1 </dev/null || \
	  { tail -n 40 ../build.log; exit 1; }
	@printf '  DEB  %s\n' '$(DEB)'/*.deb

PYTHON_DIST := $(BUILD)/python-dist
PYTHON_DIST_VENV := $(BUILD)/python-dist-venv
$(PYTHON_DIST_VENV)/.made: systemd/packages.mk | $(PYTHONS_DEPS_OK)
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python $(PIP) install 'build==1.3.0'
	@touch $@
sdist: $(PYTHON_DIST_VENV)/.made
	@$(call python_dist,--sdist)
wheel: $(PYTHON_DIST_VENV)/.made
	@$(call python_dist,--wheel)
# From a copy, because an sdist leaves files beside its sources. The sdist has its own copy of the library's sources.
define python_dist
rm -rf $(PYTHON_DIST_VENV)/source && mkdir -p $(PYTHON_DIST_VENV)/source $(PYTHON_DIST) && \
cp -r LICENSE client proto $(PYTHON_DIST_VENV)/source && \
$(VENV_ENV) SOURCE_DATE_EPOCH="$$(systemd/dist.sh --date)" $(PYTHON_DIST_VENV)/bin/python -I -m build $(1) \
  --outdir $(PYTHON_DIST) $(PYTHON_DIST_VENV)/source/client/python >$(PYTHON_DIST_VENV)/log 2>&1 || \
  { tail -n 40 $(PYTHON_DIST_VENV)/log; exit 1; }; rm -rf $(PYTHON_DIST_VENV)/source; printf '  DIST %s\n' $(PYTHON_DIST)/*
endef

check-packages: | $(DEB_CHECK_DEPS_OK)
	@MAKE='$(MAKE)' PACKAGES_BUILD=$(abspath $(BUILD))/packages tests/systemd/packages.sh $(PACKAGE_TEST)
