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
FUZZ_SRC := $(wildcard proto/*.c proto/*/*.c) tests/support/proto_samples.c tests/support/proto_encode.c

.PHONY: fuzz fuzz-compiler
fuzz-compiler: | $(DEPS_OK)
	@mkdir -p $(FB)
	@printf 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n);\nint \
	LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) {return d && n ? 0 : 0;}\n' | \
	  $(FUZZ_CC) -x c -fsanitize=fuzzer,$(FUZZ_SAN) -o $(FB)/probe - 2>/dev/null || \
	  { echo "fuzz: needs clang with libFuzzer ($(FUZZ_CC) has none): apt-get install clang"; exit 1; }

$(FB)/seeds: tests/fuzz/seeds.c $(FUZZ_SRC) $(wildcard proto/*.h proto/*/*.h tests/support/*.h) | fuzz-compiler
	$(FUZZ_CC) $(FUZZ_FLAGS) -o $@ tests/fuzz/seeds.c $(FUZZ_SRC) -lxxhash
# Four fuzzers need more sources than the protocol's.
$(FB)/fuzz_region: FUZZ_MORE := client/lib/shm/region_reader.c client/lib/shm/map_shared.c client/lib/util/value.c tests/support/region_builder.c
$(FB)/fuzz_region: client/lib/shm/region_reader.c client/lib/shm/map_shared.c client/lib/util/value.c tests/support/region_builder.c $(wildcard client/lib/*/*.h)
$(FB)/fuzz_ring: FUZZ_MORE := daemon/rings/ring_reader.c daemon/base/check.c
$(FB)/fuzz_ring: daemon/rings/ring_reader.c daemon/rings/ring_reader.h
CONFIG_FUZZED := $(addprefix daemon/config/,config_text.c option_table.c option_value.c options.c options_set.c) \
  $(addprefix daemon/base/,check.c error_text.c parse.c)
$(FB)/fuzz_config: FUZZ_MORE := $(CONFIG_FUZZED) -linih
$(FB)/fuzz_config: $(CONFIG_FUZZED) $(wildcard daemon/config/*.h)
RESP_FUZZED := $(addprefix daemon/tier/,resp_reader.c resp_writer.c tier_commands.c tier_scripts.c cluster_ranges.c \
  reply_error.c key_slot.c) daemon/base/check.c
$(FB)/fuzz_resp: FUZZ_MORE := $(RESP_FUZZED) -lhiredis -lcrypto
$(FB)/fuzz_resp: $(RESP_FUZZED) $(wildcard daemon/tier/*.h)
$(FUZZERS:%=$(FB)/fuzz_%): $(FB)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_SRC) \
    $(wildcard proto/*.h proto/*/*.h tests/support/*.h) | fuzz-compiler
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -o $@ $< $(FUZZ_SRC) $(FUZZ_MORE) -lxxhash

fuzz: $(FB)/seeds $(FUZZERS:%=$(FB)/fuzz_%)
	@mkdir -p $(FUZZERS:%=$(FB)/seed/%) $(FUZZERS:%=$(FB)/corpus/%)
	@$(FB)/seeds $(FB)/seed
	@sed 's/^#\([a-z-]* = \)/\1/' systemd/fcached.conf >$(FB)/seed/config/shipped
	@printf '%s\n' $(FUZZERS) | xargs -n 1 -P $(FUZZ_JOBS) tests/fuzz/run_one.sh $(FB) $(FUZZ_SECONDS)
