# make fuzz            run each fuzzer, from a corpus that the encoders write. After a finding, print its log. Its input
#                      is in build/fuzz.
#   FUZZ_SECONDS=60    the duration of each
#   FUZZ_JOBS=2        the number of fuzzers that run in parallel
FUZZ_SECONDS ?= 60
FUZZ_JOBS ?= 2
FUZZ_CC ?= clang
FUZZERS := frame request reply region ring image config resp
FB := $(BUILD)/fuzz
FUZZ_SAN := address,undefined
FUZZ_FLAGS = $(CPPFLAGS) -std=c11 -g -O1 -fno-omit-frame-pointer -fsanitize=$(FUZZ_SAN) \
  -fno-sanitize-recover=all -Werror=implicit-function-declaration $(PKG_CFLAGS)

.PHONY: fuzz fuzz-compiler
fuzz-compiler: | $(DEPS_OK)
	@mkdir -p $(FB)
	@printf 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n);\nint \
	LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) {return d && n ? 0 : 0;}\n' | \
	  $(FUZZ_CC) -x c -fsanitize=fuzzer,$(FUZZ_SAN) -o $(FB)/probe - 2>/dev/null || \
	  { echo "fuzz: needs clang with libFuzzer ($(FUZZ_CC) has none): apt-get install clang"; exit 1; }

# The product, and the helpers of the tests that the fuzzers use, in one archive: a fuzzer links what it calls.
FUZZ_A := $(FB)/libfuzzed.a
FUZZ_SRC := $(PROTO_SRC) $(DAEMON_SRC) $(CLIENT_SRC) $(addprefix tests/support/,proto_samples.c proto_encode.c region_builder.c)
$(FB)/obj/%.o: %.c | fuzz-compiler
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=$(if $(filter %/seeds.c,$<),$(FUZZ_SAN),fuzzer-no-link) -MMD -MP -c -o $@ $<
$(FUZZ_A): $(FUZZ_SRC:%.c=$(FB)/obj/%.o)
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^
fuzz_link = $(Q)$(FUZZ_CC) -fsanitize=$(1) -Wl,--as-needed -o $@ $^ $(DAEMON_LIBS)
$(FB)/seeds: $(FB)/obj/tests/fuzz/seeds.o $(FUZZ_A)
	$(call say,LD)
	$(call fuzz_link,$(FUZZ_SAN))
$(FUZZERS:%=$(FB)/fuzz_%): $(FB)/fuzz_%: $(FB)/obj/tests/fuzz/fuzz_%.o $(FUZZ_A)
	$(call say,LD)
	$(call fuzz_link,fuzzer$(comma)$(FUZZ_SAN))
.SECONDARY: $(FUZZERS:%=$(FB)/obj/tests/fuzz/fuzz_%.o) $(FB)/obj/tests/fuzz/seeds.o

fuzz: $(FB)/seeds $(FUZZERS:%=$(FB)/fuzz_%)
	@mkdir -p $(FUZZERS:%=$(FB)/seed/%) $(FUZZERS:%=$(FB)/corpus/%)
	@$(FB)/seeds $(FB)/seed
	@sed 's/^#\([a-z-]* = \)/\1/' systemd/fcached.conf >$(FB)/seed/config/shipped
	@printf '%s\n' $(FUZZERS) | xargs -n 1 -P $(FUZZ_JOBS) tests/fuzz/run_one.sh $(FB) $(FUZZ_SECONDS)
