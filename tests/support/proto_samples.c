#include "proto_samples.h"

#include <stdlib.h>

#include "proto/errors.h"

#define STR(text)                                                                                  \
  { (text), sizeof(text) - 1 }
#define PROMPT_A "0123456789abcdef"
#define PROMPT_B "ABCDEFGHIJKLMNOP"
#define KEY                                                                                        \
  {                                                                                                \
    .op = STR("next_token_dist"), .view = STR("ft"), .top_k = 300, .prompt = { PROMPT_A }          \
  }
#define BYTES(text) ((const uint8_t *)(text))

/* two bins, as in a body */
static const uint8_t two_bins[] = {0xc4, 3, 'o', 'n', 'e', 0xc4, 0};
/* a bin, a nil, an empty bin */
static const uint8_t bin_nil_bin[] = {0xc4, 1, 'v', 0xc0, 0xc4, 0};
/* {"hits": 5, "rate": 0.5, "server": "x"}, [{"namespace": "m", "bytes": 70000}, {"namespace":
 * "n"}] */
static const uint8_t stats_fields[] = "\x83\xa4hits\x05\xa4rate\xcb\x3f\xe0\0\0\0\0\0\0\xa6server"
                                      "\xa1x\x92\x82\xa9namespace\xa1m\xa5"
                                      "bytes\xce\0\1\x11\x70\x82\xa9namespace\xa1n\xa1z\0";
static const uint8_t one_entry[] =
    "\x9b\xa1m\xa2op\xa4view\xc4\x10" PROMPT_A "\x07\xcd\x0c\x1c\xcd\x0d\x00\xce\x00\x98\x96\x80"
    "\xcf\x00\x00\x00\x02\x54\x0b\xe4\x00\x09\x2a";
static const uint8_t two_leases[] =
    "\x9b\xa1m\xa2op\xa4view\xc4\x10" PROMPT_A "\x07\x03\xa3w-1\xcd\x03\xe8\xcd\x27\x10\x14\x02"
    "\x9b\xa1n\xa2op\xa1v\xc4\x10" PROMPT_B "\x00\x04\xa3w-2\x00\x01\x00\x00";
/* one that computes a key and waits for another, one that does neither, a tool */
static const uint8_t three_clients[] =
    "\x9f\x03\xa3w-1\xcd\x03\xe8\x05\xa1m\xc3\x64\x0a\x09\x02"
    "\x94\xa2op\xa4view\xc4\x10" PROMPT_A "\x07\x01"
    "\x98\xa2op\xa1v\xc4\x10" PROMPT_B "\x00\x2a\x04\xa3w-2\xcd\x03\xe9"
    "\x97\x02\x01\x03\x04\xcd\x80\x00\x00\x05\x01"
    "\x9f\x04\xa3w-2\x00\x05\xa1m\xc2\x63\x00\x00\x00\xc0\x00\xc0"
    "\x97\x02\x01\x03\x04\xcd\x80\x00\x00\x05\x00"
    "\x9f\x05\xa3"
    "ctl\x07\x00\xc0\xc2\x01\x00\x00\x00\xc0\x00\xc0\xc0\x00";
/* one with a manifest, one without */
static const uint8_t two_namespaces[] =
    "\x99\xa1m\xa7{\"a\":1}\x02\xcd\x01\xc0\x04\x02\x01\xce\x00\x98\x96\x80\xcd\x10\x00"
    "\x99\xa1n\xc0\x00\x00\x00\x00\x00\x00\xc0";
/* a put, a clear of all, and one that was lost */
static const uint8_t three_events[] =
    "\x9c\x03\xcd\x03\xe8\xa1m\xa2op\xa4view\xc4\x10" PROMPT_A
    "\x07\xcd\x0c\x1c\xce\x00\x98\x96\x80\xa3w-1\x01\x00"
    "\x9c\x05\xcd\x03\xe9\xc0\xc0\xc0\xc0\x00\x00\x00\xc0\x00\x63"
    "\x9c\x00\xcd\x03\xea\xc0\xc0\xc0\xc0\x00\x00\x00\xc0\x00\x01";

/* a key, and the others */
static const uint8_t two_usages[] =
    "\x9e\xa1m\xa2op\xa1v\xc0\xc0\x00\x00\x00\x09\x02\x5a\x14\xcd\x10\x00\x00"
    "\x9e\xc0\xc0\xc0\xc0\xc0\x00\x00\xce\x00\x01\x11\x70\x01\x00\x01\x00\x00\x00";
/* one with two cells, one without any */
static const uint8_t two_kinds[] =
    "\x95\xa6region\xa3hit\xcd\x01\x2c\xcd\x01\x00\x94\x05\x01\x20\x02"
    "\x95\xa6socket\xa4miss\x00\x00\x90";
/* one from a file, one that waits for a restart */
static const uint8_t two_settings[] = "\x95\xa9max-bytes\xa2"
                                      "1G\xa4/c:1\xa0\xc3"
                                      "\x95\xa5state\xa4none\xa7"
                                      "default\xa2/s\xc2";
/* a get_many of a worker, a list of a tool */
static const uint8_t two_slow[] =
    "\x9e\xa8get_many\x05\x0a\x02\x03\x05\xcd\x03\xe8\x64\x07\xa3w-1\xcd\x03\xe8\xa1m\xa2op\xa4view"
    "\x9e\xa4list\x06\x09\x02\x03\x04\x14\x00\x08\xa3"
    "ctl\x00\xc0\xc0\xc0";

/* a primary of a cluster that refuses writes */
static const uint8_t one_tier_server[] =
    "\x9f\xa3"
    "a:1\xa7primary\xcd\x15\x55\xc3\x02"
    "\x96\xa6"
    "closed\x0a\xa0\xcd\x01\x2c\xcd\x01\x00\x94\x05\x01\x20\x02"
    "\x96\xa4open\x14\xa3OOM\x00\x00\x90"
    "\x0a\x06\x03\x04\x00\x01\x02\x07";

static const struct {
  const char *name, *text;
  struct fc_request request;
} requests[] = {
    {"hello",
     "[1, 0, 1, 2, \"worker-1\", \"model-a\", 1000, 0]",
     {.type = FC_HELLO,
      .hello = {.version_min = 1,
                .version_max = 2,
                .client = STR("worker-1"),
                .name_space = STR("model-a"),
                .has_max_entries = true,
                .max_entries = 1000}}},
    {"hello_region",
     "[1, 3, 1, 2, \"worker-1\", \"model-a\", nil, 7]",
     {.type = FC_HELLO,
      .id = 3,
      .hello = {.version_min = 1,
                .version_max = 2,
                .client = STR("worker-1"),
                .name_space = STR("model-a"),
                .region_layout = 7}}},
    {"hello_manifest",
     "[1, 4, 1, 4, \"worker-1\", \"model-a\", nil, 7, \"{}\"]",
     {.type = FC_HELLO,
      .id = 4,
      .hello = {.version_min = 1,
                .version_max = 4,
                .client = STR("worker-1"),
                .name_space = STR("model-a"),
                .region_layout = 7,
                .manifest = STR("{}")}}},
    {"hello_no_manifest",
     "[1, 5, 3, 4, \"ctl\", nil, nil, 0, nil]",
     {.type = FC_HELLO,
      .id = 5,
      .hello = {.version_min = 3, .version_max = 4, .client = STR("ctl")}}},
    {"hello_max_bytes",
     "[1, 6, 4, 5, \"w\", \"m\", nil, 0, nil, 4294967296]",
     {.type = FC_HELLO,
      .id = 6,
      .hello = {.version_min = 4,
                .version_max = 5,
                .client = STR("w"),
                .name_space = STR("m"),
                .has_max_bytes = true,
                .max_bytes = UINT64_C(1) << 32}}},
    {"hello_no_max_bytes",
     "[1, 7, 4, 5, \"w\", \"m\", nil, 0, nil, nil]",
     {.type = FC_HELLO,
      .id = 7,
      .hello = {.version_min = 4, .version_max = 5, .client = STR("w"), .name_space = STR("m")}}},
    {"hello_handle",
     "[1, 8, 5, 5, \"w\", \"m\", nil, 2, nil, nil, \"0123456789abcdef\"]",
     {.type = FC_HELLO,
      .id = 8,
      .hello = {.version_min = 5,
                .version_max = 5,
                .client = STR("w"),
                .name_space = STR("m"),
                .region_layout = 2,
                .has_handle = true,
                .handle = {"0123456789abcde\x66"}}}},
    {"hello_tool",
     "[1, 1, 1, 3, \"ctl\", nil, nil, 0]",
     {.type = FC_HELLO,
      .id = 1,
      .hello = {.version_min = 1, .version_max = 3, .client = STR("ctl")}}},
    {"hello_negative",
     "[1, 2, 1, 2, \"w\", \"m\", -9223372036854775808, 0]",
     {.type = FC_HELLO,
      .id = 2,
      .hello = {.version_min = 1,
                .version_max = 2,
                .client = STR("w"),
                .name_space = STR("m"),
                .has_max_entries = true,
                .max_entries = INT64_MIN}}},
    {"get",
     "[2, 7, 1, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A "\", \"ablation\"]",
     {.type = FC_GET, .id = 7, .get = {FC_UNRECORDED, KEY, STR("ablation"), false, {0, 0}}}},
    {"get_no_probe",
     "[2, 4294967295, 0, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A "\", nil]",
     {.type = FC_GET, .id = UINT32_MAX, .get = {.key = KEY}}},
    {"get_lease",
     "[2, 9, 4, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A "\", \"ablation\", 60000, 0]",
     {.type = FC_GET, .id = 9, .get = {FC_LEASE, KEY, STR("ablation"), true, {60000, 0}}}},
    {"get_wait",
     "[2, 10, 0, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A "\", nil, 0, 4294967295]",
     {.type = FC_GET, .id = 10, .get = {0, KEY, {0}, true, {0, UINT32_MAX}}}},
    {"put",
     "[3, 8, 2, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A
     "\", nil, 18446744073709551615, 4, 12000000, \"value\"]",
     {.type = FC_PUT,
      .id = 8,
      .put = {FC_KEEP_FIRST, KEY, {0}, {UINT64_MAX, 4}, 12000000, BYTES("value"), 5, false}}},
    {"put_empty",
     "[3, 9, 0, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A "\", \"p\", 0, 0, 0, \"\"]",
     {.type = FC_PUT, .id = 9, .put = {0, KEY, STR("p"), {0, 0}, 0, BYTES(""), 0, false}}},
    {"put_withheld",
     "[3, 9, 0, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A "\", \"p\", 0, 0, 7, nil]",
     {.type = FC_PUT,
      .id = 9,
      .put = {.key = KEY, .probe = STR("p"), .compute_ns = 7, .withheld = true}}},
    {"get_many",
     "[4, 10, 0, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A PROMPT_B "\", nil]",
     {.type = FC_GET_MANY,
      .id = 10,
      .get_many = {.key = KEY, .prompts = BYTES(PROMPT_A PROMPT_B), .n = 2}}},
    {"get_many_lease",
     "[4, 11, 4, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A PROMPT_B "\", nil, 300000]",
     {.type = FC_GET_MANY,
      .id = 11,
      .get_many = {FC_LEASE, KEY, {0}, BYTES(PROMPT_A PROMPT_B), 2, true, {300000, 0}}}},
    {"put_many",
     "[5, 11, 2, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A PROMPT_B
     "\", \"p\", 77, 1, 5000, 2, [\"one\", \"\"]]",
     {.type = FC_PUT_MANY,
      .id = 11,
      .put_many = {FC_KEEP_FIRST,
                   KEY,
                   STR("p"),
                   {77, 1},
                   5000,
                   2,
                   BYTES(PROMPT_A PROMPT_B),
                   2,
                   {two_bins, sizeof two_bins, 2}}}},
    {"put_many_withheld",
     "[5, 11, 0, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A PROMPT_B PROMPT_A
     "\", nil, 0, 0, 5000, 0, [\"v\", nil, \"\"]]",
     {.type = FC_PUT_MANY,
      .id = 11,
      .put_many = {.key = KEY,
                   .compute_ns = 5000,
                   .prompts = BYTES(PROMPT_A PROMPT_B PROMPT_A),
                   .n = 3,
                   .values = {bin_nil_bin, sizeof bin_nil_bin, 3}}}},
    {"ping", "[6, 12]", {.type = FC_PING, .id = 12}},
    {"stats", "[7, 13, \"m\"]", {.type = FC_STATS, .id = 13, .select = {.name_space = STR("m")}}},
    {"stats_all", "[7, 14, nil]", {.type = FC_STATS, .id = 14}},
    {"clear",
     "[8, 15, \"m\", \"ft\", \"logprob_of\", true]",
     {.type = FC_CLEAR, .id = 15, .clear = {{STR("m"), STR("ft"), STR("logprob_of")}, true}}},
    {"clear_all", "[8, 16, nil, nil, nil, false]", {.type = FC_CLEAR, .id = 16}},
    {"list",
     "[9, 17, \"m\", nil, \"op\", 100, \"\", 0, 5000000000]",
     {.type = FC_LIST,
      .id = 17,
      .list = {{STR("m"), {0}, STR("op")}, 100, BYTES(""), 0, FC_ORDER_USE, 5000000000u}}},
    {"list_next",
     "[9, 18, nil, \"v\", nil, 1, \"cursor\", 1, 5000000000]",
     {.type = FC_LIST,
      .id = 18,
      .list = {{{0}, STR("v"), {0}}, 1, BYTES("cursor"), 6, FC_ORDER_PLACE, 5000000000u}}},
    {"trace_status", "[10, 19, 0, nil, false]", {.type = FC_TRACE, .id = 19}},
    {"trace_on",
     "[10, 20, 1, \"/var/log/t.jsonl\", true]",
     {.type = FC_TRACE, .id = 20, .trace = {FC_TRACE_ON, STR("/var/log/t.jsonl"), true}}},
    {"trace_off",
     "[10, 21, 2, nil, false]",
     {.type = FC_TRACE, .id = 21, .trace = {FC_TRACE_OFF, {0}, false}}},
    {"shutdown", "[11, 22]", {.type = FC_SHUTDOWN, .id = 22}},
    {"give_up",
     "[12, 23, \"next_token_dist\", \"ft\", 300, \"" PROMPT_A PROMPT_B "\"]",
     {.type = FC_GIVE_UP, .id = 23, .give_up = {KEY, BYTES(PROMPT_A PROMPT_B), 2}}},
    {"give_up_all", "[12, 24, nil, nil, 0, nil]", {.type = FC_GIVE_UP, .id = 24}},
    {"leases",
     "[13, 25, \"m\", 100, \"\"]",
     {.type = FC_LEASES, .id = 25, .page = {STR("m"), 100, BYTES(""), 0}}},
    {"leases_next",
     "[13, 26, nil, 1, \"cursor\"]",
     {.type = FC_LEASES, .id = 26, .page = {{0}, 1, BYTES("cursor"), 6}}},
    {"clients",
     "[14, 27, nil, 4294967295, \"\"]",
     {.type = FC_CLIENTS, .id = 27, .page = {{0}, UINT32_MAX, BYTES(""), 0}}},
    {"namespaces",
     "[15, 28, \"m\", 500, \"cursor\"]",
     {.type = FC_NAMESPACES, .id = 28, .page = {STR("m"), 500, BYTES("cursor"), 6}}},
    {"ring", "[16, 29, 1, 32768]", {.type = FC_RING, .id = 29, .ring = {1, 32768}}},
    {"snapshot", "[18, 30, 0]", {.type = FC_SNAPSHOT, .id = 30}},
    {"snapshot_start",
     "[18, 31, 1]",
     {.type = FC_SNAPSHOT, .id = 31, .snapshot = FC_SNAPSHOT_START}},
    {"set",
     "[19, 32, \"max-bytes\", \"512M\"]",
     {.type = FC_SET, .id = 32, .set = {STR("max-bytes"), STR("512M")}}},
    {"delete",
     "[20, 38, \"m\", \"next_token_dist\", \"ft\", 300, \"" PROMPT_A "\", true]",
     {.type = FC_DELETE, .id = 38, .delete = {STR("m"), KEY, true}}},
    {"usage",
     "[21, 33, 1, 500, \"cursor\"]",
     {.type = FC_USAGE, .id = 33, .usage = {FC_USAGE_KEY, 500, BYTES("cursor"), 6}}},
    {"latency", "[22, 35, false]", {.type = FC_LATENCY, .id = 35}},
    {"latency_reset", "[22, 36, true]", {.type = FC_LATENCY, .id = 36, .latency = true}},
    {"slowest", "[23, 37, 10, false]", {.type = FC_SLOWEST, .id = 37, .slowest = {10, false}}},
    {"reload", "[26, 38]", {.type = FC_RELOAD, .id = 38}},
    {"settings", "[27, 39]", {.type = FC_SETTINGS, .id = 39}},
    {"tier",
     "[28, 40, 100, \"cursor\"]",
     {.type = FC_TIER, .id = 40, .tier = {100, BYTES("cursor"), 6}}},
    {"watch",
     "[24, 33, 10, \"m\", \"op\", nil, \"w-1\"]",
     {.type = FC_WATCH, .id = 33, .watch = {10, STR("m"), STR("op"), {0}, STR("w-1")}}},
    {"events", "[25, 34, 1000]", {.type = FC_EVENTS, .id = 34, .events = {1000}}},
    {"kill", "[17, 29, 4294967296]", {.type = FC_KILL, .id = 29, .kill = UINT64_C(1) << 32}},
};

static const struct {
  const char *name, *text;
  struct fc_reply reply;
} replies[] = {
    {"welcome",
     "[65, 0, 1, \"fcached 0.1.0\", 81985529216486895, 3, 16777216, 16842752]",
     {.type = FC_REPLY | FC_HELLO,
      .welcome = {1, STR("fcached 0.1.0"), 0x0123456789abcdefu, 3, 16u << 20, 16842752u, 0, 0}}},
    {"welcome_region",
     "[65, 0, 2, \"fcached 0.1.0\", 81985529216486895, 3, 16777216, 16842752, "
     "18446744073709551615, 4294967296]",
     {.type = FC_REPLY | FC_HELLO,
      .welcome = {2, STR("fcached 0.1.0"), 0x0123456789abcdefu, 3, 16u << 20, 16842752u, UINT64_MAX,
                  UINT64_C(1) << 32}}},
    {"miss",
     "[66, 7, 3, nil]",
     {.type = FC_REPLY | FC_GET, .id = 7, .get = {.clear_generation = 3}}},
    {"miss_granted",
     "[66, 8, 3, nil, 1]",
     {.type = FC_REPLY | FC_GET, .id = 8, .get = {3, NULL, 0, FC_LEASE_GRANTED, false, false}}},
    {"miss_taken",
     "[66, 9, 3, nil, 2]",
     {.type = FC_REPLY | FC_GET, .id = 9, .get = {3, NULL, 0, FC_LEASE_TAKEN, false, false}}},
    {"hit",
     "[66, 7, 3, \"value\"]",
     {.type = FC_REPLY | FC_GET,
      .id = 7,
      .get = {3, BYTES("value"), 5, FC_LEASE_NONE, false, false}}},
    {"hit_empty",
     "[66, 7, 3, \"\"]",
     {.type = FC_REPLY | FC_GET, .id = 7, .get = {3, BYTES(""), 0, FC_LEASE_NONE, false, false}}},
    {"hit_waited",
     "[66, 7, 3, \"value\", true]",
     {.type = FC_REPLY | FC_GET,
      .id = 7,
      .get = {3, BYTES("value"), 5, FC_LEASE_NONE, .waited = true}}},
    {"stored", "[67, 8, 0]", {.type = FC_REPLY | FC_PUT, .id = 8, .put = FC_STORED}},
    {"kept", "[67, 8, 1]", {.type = FC_REPLY | FC_PUT, .id = 8, .put = FC_KEPT}},
    {"stale", "[67, 8, 2]", {.type = FC_REPLY | FC_PUT, .id = 8, .put = FC_STALE}},
    {"got_many",
     "[68, 10, 3, 0, false, [\"v\", nil, \"\"]]",
     {.type = FC_REPLY | FC_GET_MANY,
      .id = 10,
      .get_many = {3, 0, false, {bin_nil_bin, sizeof bin_nil_bin, 3}, NULL, 0}}},
    {"got_many_leases",
     "[68, 11, 3, 4, true, [\"v\", nil, \"\"], \"\1\"]",
     {.type = FC_REPLY | FC_GET_MANY,
      .id = 11,
      .get_many = {3, 4, true, {bin_nil_bin, sizeof bin_nil_bin, 3}, BYTES("\1"), 1}}},
    {"got_many_all_leases",
     "[68, 12, 3, 0, true, [nil, nil], \"\2\1\"]",
     {.type = FC_REPLY | FC_GET_MANY,
      .id = 12,
      .get_many = {3, 0, true, {BYTES("\xc0\xc0"), 2, 2}, BYTES("\2\1"), 2}}},
    {"got_many_last",
     "[68, 10, 3, 3, true, []]",
     {.type = FC_REPLY | FC_GET_MANY,
      .id = 10,
      .get_many = {3, 3, true, {bin_nil_bin, 0, 0}, NULL, 0}}},
    {"put_many_done",
     "[69, 11, 1, 2, 3, 4]",
     {.type = FC_REPLY | FC_PUT_MANY, .id = 11, .put_many = {1, 2, 3, 4}}},
    {"snapshot_reply",
     "[82, 30, true, 3, 2, \"/var/lib/fcached/snapshot\", 1000, 123456, 5000000000, \"\"]",
     {.type = FC_REPLY | FC_SNAPSHOT,
      .id = 30,
      .snapshot = {true, 3, 2, STR("/var/lib/fcached/snapshot"), 1000, 123456, 5000000000u,
                   STR("")}}},
    {"no_snapshot",
     "[82, 31, false, 0, 0, nil, 0, 0, 0, \"no space\"]",
     {.type = FC_REPLY | FC_SNAPSHOT, .id = 31, .snapshot = {.error = STR("no space")}}},
    {"set_reply",
     "[83, 32, 268435456, 536870912]",
     {.type = FC_REPLY | FC_SET, .id = 32, .set = {256u << 20, 512u << 20}}},
    {"latency_reply",
     "[86, 35, 5000000000, [[\"region\", \"hit\", 300, 256, [5, 1, 32, 2]], "
     "[\"socket\", \"miss\", 0, 0, []]]]",
     {.type = FC_REPLY | FC_LATENCY,
      .id = 35,
      .times = {5000000000u, {.n = 2, .at = two_kinds, .size = sizeof two_kinds - 1}}}},
    {"slowest_reply",
     "[87, 37, 1000, [[\"get_many\", 5, 10, 2, 3, 5, 1000, 100, 7, \"w-1\", 1000, \"m\", \"op\", "
     "\"view\"], [\"list\", 6, 9, 2, 3, 4, 20, 0, 8, \"ctl\", 0, nil, nil, nil]]]",
     {.type = FC_REPLY | FC_SLOWEST,
      .id = 37,
      .times = {1000, {.n = 2, .at = two_slow, .size = sizeof two_slow - 1}}}},
    {"reload_reply", "[90, 38, 3, 1]", {.type = FC_REPLY | FC_RELOAD, .id = 38, .reload = {3, 1}}},
    {"settings_reply",
     "[91, 39, [[\"max-bytes\", \"1G\", \"/c:1\", \"\", true], "
     "[\"state\", \"none\", \"default\", \"/s\", false]]]",
     {.type = FC_REPLY | FC_SETTINGS,
      .id = 39,
      .list = {.n = 2, .at = two_settings, .size = sizeof two_settings - 1}}},
    {"tier_reply",
     "[92, 40, [\"redis://a:1\", \"read-write\", \"p:\", \"*\", \"f0\", 1, 2, 3, 4, 5, 6, 7, 8, 9, "
     "10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31], "
     "\"cursor\", "
     "[[\"a:1\", \"primary\", 5461, true, 2, [\"closed\", 10, \"\", 300, 256, [5, 1, 32, 2]], "
     "[\"open\", 20, \"OOM\", 0, 0, []], 10, 6, 3, 4, 0, 1, 2, 7]]]",
     {.type = FC_REPLY | FC_TIER,
      .id = 40,
      .tier = {{.url = STR("redis://a:1"),
                .mode = STR("read-write"),
                .prefix = STR("p:"),
                .namespaces = STR("*"),
                .id = STR("f0"),
                .clear_version = 1,
                .asking = 2,
                .leasing = 3,
                .offered = 4,
                .held = 5,
                .remote = 6,
                .waits = 7,
                .queue_entries = 8,
                .queue_bytes = 9,
                .queue_bytes_max = 10,
                .queue_age_ns = 11,
                .fills = 12,
                .fills_failed = 13,
                .fills_late = 14,
                .skipped_down = 15,
                .skipped_full = 16,
                .hits = 17,
                .misses = 18,
                .bad_values = 19,
                .remote_fills = 20,
                .remote_hits = 21,
                .leases = 22,
                .leases_lost = 23,
                .clears_learned = 24,
                .writes = 25,
                .kept = 26,
                .dropped_full = 27,
                .dropped_old = 28,
                .dropped_refused = 29,
                .dropped_cleared = 30,
                .dropped_stop = 31},
               {BYTES("cursor"), 6, 1, one_tier_server, sizeof one_tier_server - 1}}}},
    {"no_tier",
     "[92, 41, [\"\", \"\", \"\", \"\", \"\", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "
     "0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], \"\", []]",
     {.type = FC_REPLY | FC_TIER, .id = 41, .tier.servers = {BYTES(""), 0, 0, one_tier_server, 0}}},
    {"watching",
     "[88, 33, 1048576]",
     {.type = FC_REPLY | FC_WATCH, .id = 33, .watching = {1u << 20}}},
    {"events_reply",
     "[89, 34, [[3, 1000, \"m\", \"op\", \"view\", \"" PROMPT_A
     "\", 7, 3100, 10000000, \"w-1\", 1, 0], [5, 1001, nil, nil, nil, nil, 0, 0, 0, nil, 0, 99], "
     "[0, 1002, nil, nil, nil, nil, 0, 0, 0, nil, 0, 1]]]",
     {.type = FC_REPLY | FC_EVENTS,
      .id = 34,
      .list = {.n = 3, .at = three_events, .size = sizeof three_events - 1}}},
    {"killed", "[81, 29, true]", {.type = FC_REPLY | FC_KILL, .id = 29, .killed = true}},
    {"not_killed", "[81, 30, false]", {.type = FC_REPLY | FC_KILL, .id = 30}},
    {"pong", "[70, 12]", {.type = FC_REPLY | FC_PING, .id = 12}},
    {"stats_reply",
     "[71, 13, {\"hits\"=>5, \"rate\"=>0.500000, \"server\"=>\"x\"}, [{\"namespace\"=>\"m\", "
     "\"bytes\"=>70000}, {\"namespace\"=>\"n\", \"z\"=>0}]]",
     {.type = FC_REPLY | FC_STATS, .id = 13, .stats = {stats_fields, sizeof stats_fields - 1}}},
    {"deleted", "[84, 38, true]", {.type = FC_REPLY | FC_DELETE, .id = 38, .existed = true}},
    {"not_deleted", "[84, 39, false]", {.type = FC_REPLY | FC_DELETE, .id = 39}},
    {"cleared", "[72, 15, 99]", {.type = FC_REPLY | FC_CLEAR, .id = 15, .removed = 99}},
    {"list_reply",
     "[73, 17, \"cursor\", [[\"m\", \"op\", \"view\", \"" PROMPT_A
     "\", 7, 3100, 3328, 10000000, 10000000000, 9, 42]]]",
     {.type = FC_REPLY | FC_LIST,
      .id = 17,
      .list = {BYTES("cursor"), 6, 1, one_entry, sizeof one_entry - 1}}},
    {"list_end",
     "[73, 18, \"\", []]",
     {.type = FC_REPLY | FC_LIST, .id = 18, .list = {BYTES(""), 0, 0, one_entry, 0}}},
    {"leases_reply",
     "[77, 25, \"cursor\", [[\"m\", \"op\", \"view\", \"" PROMPT_A
     "\", 7, 3, \"w-1\", 1000, 10000, 20, 2], [\"n\", \"op\", \"v\", \"" PROMPT_B
     "\", 0, 4, \"w-2\", 0, 1, 0, 0]]]",
     {.type = FC_REPLY | FC_LEASES,
      .id = 25,
      .list = {BYTES("cursor"), 6, 2, two_leases, sizeof two_leases - 1}}},
    {"leases_end",
     "[77, 26, \"\", []]",
     {.type = FC_REPLY | FC_LEASES, .id = 26, .list = {BYTES(""), 0, 0, two_leases, 0}}},
    {"clients_reply",
     "[78, 27, \"cursor\", [[3, \"w-1\", 1000, 5, \"m\", true, 100, 10, 9, 2, "
     "[\"op\", \"view\", \"" PROMPT_A "\", 7], 1, "
     "[\"op\", \"v\", \"" PROMPT_B "\", 0, 42, 4, \"w-2\", 1001], "
     "[2, 1, 3, 4, 32768, 0, 5], 1], "
     "[4, \"w-2\", 0, 5, \"m\", false, 99, 0, 0, 0, nil, 0, nil, [2, 1, 3, 4, 32768, 0, 5], 0], "
     "[5, \"ctl\", 7, 0, nil, false, 1, 0, 0, 0, nil, 0, nil, nil, 0]]]",
     {.type = FC_REPLY | FC_CLIENTS,
      .id = 27,
      .list = {BYTES("cursor"), 6, 3, three_clients, sizeof three_clients - 1}}},
    {"namespaces_reply",
     "[79, 28, \"cursor\", [[\"m\", \"{\"a\":1}\", 2, 448, 4, 2, 1, 10000000, 4096], "
     "[\"n\", nil, 0, 0, 0, 0, 0, 0, nil]]]",
     {.type = FC_REPLY | FC_NAMESPACES,
      .id = 28,
      .list = {BYTES("cursor"), 6, 2, two_namespaces, sizeof two_namespaces - 1}}},
    {"usage_reply",
     "[85, 33, \"cursor\", [[\"m\", \"op\", \"v\", nil, nil, 0, 0, 0, 9, 2, 90, 20, 4096, 0], "
     "[nil, nil, nil, nil, nil, 0, 0, 70000, 1, 0, 1, 0, 0, 0]]]",
     {.type = FC_REPLY | FC_USAGE,
      .id = 33,
      .list = {BYTES("cursor"), 6, 2, two_usages, sizeof two_usages - 1}}},
    {"given_up", "[76, 23, 2]", {.type = FC_REPLY | FC_GIVE_UP, .id = 23, .given_up = 2}},
    {"trace_reply",
     "[74, 19, true, \"/var/log/t.jsonl\", 1000000, 0]",
     {.type = FC_REPLY | FC_TRACE, .id = 19, .trace = {true, STR("/var/log/t.jsonl"), 1000000, 0}}},
    {"trace_is_off",
     "[74, 21, false, nil, 5, 2]",
     {.type = FC_REPLY | FC_TRACE, .id = 21, .trace = {false, {0}, 5, 2}}},
    {"ring_reply",
     "[80, 29, 1234567890123, 7]",
     {.type = FC_REPLY | FC_RING, .id = 29, .ring = {1234567890123, 7}}},
    {"no_ring", "[80, 30, 0, 0]", {.type = FC_REPLY | FC_RING, .id = 30}},
    {"shutting_down", "[75, 22]", {.type = FC_REPLY | FC_SHUTDOWN, .id = 22}},
    {"error",
     "[127, 8, 5, \"the value is too large\"]",
     {.type = FC_ERROR, .id = 8, .error = {FC_ETOOBIG, STR("the value is too large")}}},
};

static enum proto_growth growth_of_request(const struct fc_request *request) {
  if (request->type == FC_HELLO)
    return request->hello.has_handle ? PROTO_NEWER : PROTO_OLDER;
  if (request->type == FC_GET && !request->get.has_terms)
    return PROTO_OLDER;
  if (request->type == FC_LIST || request->type == FC_TRACE || request->type == FC_CLEAR ||
      request->type == FC_DELETE)
    return PROTO_NEWER;
  if (request->type == FC_GET_MANY)
    return request->get_many.has_terms ? PROTO_NEWER : PROTO_OLDER;
  return PROTO_SAME; /* a get's terms are two, and there together */
}

static enum proto_growth growth_of_reply(const struct fc_reply *reply) {
  if ((uint32_t)reply->type == (FC_REPLY | FC_GET) && reply->get.value)
    return reply->get.waited ? PROTO_NEWER : PROTO_OLDER;
  if ((uint32_t)reply->type == (FC_REPLY | FC_GET))
    return reply->get.lease == FC_LEASE_NONE ? PROTO_OLDER : PROTO_NEWER;
  if ((uint32_t)reply->type == (FC_REPLY | FC_GET_MANY))
    return reply->get_many.n_leases ? PROTO_NEWER : PROTO_OLDER;
  return PROTO_SAME;
}

void proto_samples(void (*each)(void *arg, const struct proto_sample *sample), void *arg) {
  struct fc_buf buf = {0};

  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
    struct proto_sample sample = {requests[i].name, requests[i].text, false,
                                  growth_of_request(&requests[i].request), &buf};

    fc_buf_reset(&buf);
    if (proto_encode_request(&buf, &requests[i].request))
      abort();
    each(arg, &sample);
  }
  for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
    struct proto_sample sample = {replies[i].name, replies[i].text, true,
                                  growth_of_reply(&replies[i].reply), &buf};

    fc_buf_reset(&buf);
    if (proto_encode_reply(&buf, &replies[i].reply))
      abort();
    each(arg, &sample);
  }
  fc_buf_free(&buf);
}
