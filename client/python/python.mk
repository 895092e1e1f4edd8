# make python           the package for $(PYTHON), in $(B)/python, from the objects of the C library
#   PYTHON=...          the interpreter (Debian's; it needs numpy)
# make install-python   install it for that interpreter, for packagers
#   PYTHONDIR=...       the directory, PREFIX/lib/python3/dist-packages
# pip builds the package with pyproject.toml and setup.py instead.
PYTHON ?= /usr/bin/python3
PYB := $(B)/python
PY_OBJ := $(patsubst %.c,$(B)/pic/%.o,$(wildcard client/python/src/*/*.c))
PY_FILES := $(patsubst client/python/%,$(PYB)/%,$(shell find client/python/fcached -name '*.py' -o -name '*.pyi' -o -name py.typed))
PY_CORE := $(PYB)/fcached/_core.so
PY_EXPORTS := client/python/src/core.map
# Evaluated once, after the packages are installed.
PY_INCLUDES = $(eval PY_INCLUDES := $(shell $(PYTHON) -c 'import sysconfig, numpy; \
  print("-isystem", sysconfig.get_path("include"), "-isystem", numpy.get_include())'))$(PY_INCLUDES)

# Another interpreter has its own packages.
ifneq ($(DEPS),skip)
ifeq ($(PYTHON),/usr/bin/python3)
PYTHON_DEPS_OK := $(BUILD)/.deps-python
$(BUILD)/.deps-python: | $(BUILD)/.deps-build
endif
endif

$(PY_OBJ): CPPFLAGS += -Iclient/python/src $(PY_INCLUDES)
$(PY_OBJ): | $(PYTHON_DEPS_OK)
# With the library's objects, as pip builds it: the archive exports the public names only, and not the doctor.
$(PY_CORE): $(PY_OBJ) $(call pic,$(LIB_SRC)) $(PY_EXPORTS)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) $(if $(SAN),$(if $(filter clang%,$(CC)),-shared-libsan)) -shared \
	  -Wl,--version-script=$(PY_EXPORTS) -o $@ $(filter %.o,$^) -lxxhash
$(PYB)/%: client/python/%
	@mkdir -p $(@D)
	@cp $< $@
.PHONY: python
python: $(PY_CORE) $(PY_FILES)

# With the metadata that importlib.metadata and pip read. pyproject.toml has them too.
PYTHONDIR ?= $(PREFIX)/lib/python3/dist-packages
# Such as .cpython-311-x86_64-linux-gnu.so, so that no other interpreter loads it.
PY_SUFFIX = $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
PY_INFO := $(PYTHONDIR)/fcached-$(VERSION).dist-info
py_field = $(shell sed -n 's/^$(1) = "\([^"]*\)".*/\1/p' client/python/pyproject.toml)
.PHONY: install-python
install-python: python
	$(foreach f,$(PY_FILES),$(call inst,644,$(f),$(PYTHONDIR)/$(f:$(PYB)/%=%)) && ) true
	$(call inst,644,$(PY_CORE),$(PYTHONDIR)/fcached/_core$(PY_SUFFIX))
	@printf '%s\n' 'Metadata-Version: 2.1' 'Name: fcached' 'Version: $(VERSION)' 'License: MIT' \
	  'Summary: $(call py_field,description)' 'Requires-Python: $(call py_field,requires-python)' >$(B)/METADATA
	$(call inst,644,$(B)/METADATA,$(PY_INFO)/METADATA)

# A virtual environment with the package in it, as pip builds and installs it:
#   $(eval $(call python_venv,DIRECTORY,REQUIREMENTS,ORDER-ONLY,MORE))
# DIRECTORY/.fcached is its stamp. It is created again only if REQUIREMENTS changed. MORE are further
# arguments of `pip install`.
PACKAGE_SRC := $(wildcard client/include/*.h client/lib/*/*.[ch] proto/*.[ch] proto/*/*.[ch] client/python/src/* client/python/src/*/*) $(PY_FILES:$(PYB)/%=client/python/%) \
  $(addprefix client/python/,pyproject.toml setup.py MANIFEST.in README.md)
# The user's PYTHONPATH may name build/python, which would be imported instead of the installed package.
VENV_ENV := env -u PYTHONPATH -u PYTHONHOME
PIP := -I -m pip --disable-pip-version-check -qq
define python_venv
$(1)/.requirements: $(2) | $(3)
	@echo '  VENV $(1)'
	@rm -rf $(1)
	@$$(PYTHON) -m venv $(1)
	@$(1)/bin/python $$(PIP) install -r $(2)
	$(if $(4),@$(1)/bin/python $$(PIP) install $(4))
	@touch $$@
$(1)/.fcached: $$(PACKAGE_SRC) $(1)/.requirements
	@echo '  PIP  $(1): client/python'
	@$(1)/bin/python $$(PIP) install --force-reinstall --no-deps ./client/python
	@touch $$@
endef
