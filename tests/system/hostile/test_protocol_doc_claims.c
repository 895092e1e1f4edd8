/* The claims of docs/protocol.md against a daemon: the table of bad arguments row by row, ids of
 * errors, the order of a put's outcomes, generations, the life of a namespace. Run from the
 * project's root, as make does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/harness.h"
#include "tests/support/raw.h"

#define DOC "docs/protocol.md"
#define HEADING "## Bad arguments\n"
#define BYTES(text) (text), sizeof(text) - 1
#define REPLY_MS 5000

static struct daemon served;

static void start(void) {
  harness_start(&served, "--max-value", "64K", "--max-namespaces", "4", NULL);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- requests, encoded by the test ---- */

#define NIL "\xc0"
#define ID "\x07"
#define O                                                                                          \
  "\xa1"                                                                                           \
  "o" /* a name */
#define V                                                                                          \
  "\xa1"                                                                                           \
  "v"
#define NONE                                                                                       \
  "\xa4"                                                                                           \
  "none" /* an unused name */
#define SIXTEEN "0123456789abcdef"
#define PROMPT "\xc4\x10" SIXTEEN
#define LONG_16 "xxxxxxxxxxxxxxxx"
#define LONG_64 LONG_16 LONG_16 LONG_16 LONG_16
#define LONG_256 LONG_64 LONG_64 LONG_64 LONG_64
#define GET_OF(fields, flags, op) fields "\x02" ID flags op V "\x00" PROMPT NIL
#define GET GET_OF("\x98", "\x00", O)
#define HELLO(fields, versions, client, rest) fields "\x01" ID versions client rest
#define C                                                                                          \
  "\xa1"                                                                                           \
  "c"
#define N                                                                                          \
  "\xa1"                                                                                           \
  "n"
#define PUT_MANY "\x9d\x05" ID "\x00" O V "\x00" PROMPT NIL "\x00\x00\x00\x00"

enum opening {
  WORKER,   /* hello of version 5 with a namespace */
  TOOL,     /* hello of version 5 without one */
  FIRST,    /* hello of version 1 with a namespace */
  NO_HELLO, /* only connected */
};

static const struct {
  const char *row; /* its first cell in the table */
  const char *body;
  size_t size;
  enum opening opening;
} cases[] = {
#define EMPTY_NAME "a name is empty, over 255 bytes, no UTF-8, or has a control character"
    {EMPTY_NAME, BYTES(GET_OF("\x98", "\x00", "\xa0")), WORKER},
    {EMPTY_NAME, BYTES(GET_OF("\x98", "\x00", "\xda\x01\x00" LONG_256)), WORKER},
    {EMPTY_NAME, BYTES(GET_OF("\x98", "\x00", "\xa1\xff")), WORKER},
    {EMPTY_NAME, BYTES(GET_OF("\x98", "\x00", "\xa1\n")), WORKER},
    {EMPTY_NAME, BYTES("\x94\x02" ID "\x00\xa0"), WORKER}, /* and what follows is missing */
    {EMPTY_NAME, BYTES("\x93\x07" ID "\xa0"), WORKER},
    {"a limit of 0", BYTES("\x97\x09" ID NIL NIL NIL "\x00\xc4\x00"), WORKER},
    {"a limit of 0", BYTES("\x95\x0d" ID NIL "\x00\xc4\x00"), WORKER},
    {"a limit of 0", BYTES("\x95\x0e" ID NIL "\x00\xc4\x00"), WORKER},
    {"a limit of 0", BYTES("\x95\x0f" ID NIL "\x00\xc4\x00"), WORKER},
    {"a limit of 0", BYTES("\x95\x15" ID "\x00\x00\xc4\x00"), WORKER},
    {"a limit of 0", BYTES("\x94\x17" ID "\x00\xc2"), WORKER},
#define CURSOR "a cursor of up to 64 bytes with a size that no page gives"
    {CURSOR,
     BYTES("\x97\x09" ID NIL NIL NIL "\x01\xc4\x03"
           "abc"),
     WORKER},
    {CURSOR, BYTES("\x95\x0f" ID NIL "\x01\xc4\x40" LONG_64), WORKER},
    {CURSOR,
     BYTES("\x98\x09" ID NIL NIL NIL "\x01\xc4\x03"
           "abc\x01"),
     WORKER},
#define NO_PATH "trace: action 1 with no path, an empty one, one over 4,095 bytes or with a NUL"
    {NO_PATH, BYTES("\x94\x0a" ID "\x01" NIL), WORKER},
    {NO_PATH, BYTES("\x94\x0a" ID "\x01\xa0"), WORKER},
    {NO_PATH,
     BYTES("\x94\x0a" ID "\x01\xa3"
           "/\0x"),
     WORKER},
    {"trace: action 0 or 2 with a path",
     BYTES("\x94\x0a" ID "\x00\xa2"
           "/x"),
     WORKER},
    {"trace: action 0 or 2 with a path",
     BYTES("\x94\x0a" ID "\x02\xa2"
           "/x"),
     WORKER},
#define NAMELESS "a get, get_many, put, put_many or give_up on a connection without a namespace"
    {NAMELESS, BYTES(GET), TOOL},
    {NAMELESS, BYTES("\x98\x04" ID "\x00" O V "\x00" PROMPT NIL), TOOL},
    {NAMELESS, BYTES("\x9c\x03" ID "\x00" O V "\x00" PROMPT NIL "\x00\x00\x00\xc4\x00"), TOOL},
    {NAMELESS, BYTES(PUT_MANY "\x91" NIL), TOOL},
    {NAMELESS, BYTES("\x96\x0c" ID NIL NIL "\x00" NIL), TOOL},
    {"put: a nil for a value", BYTES("\x9c\x03" ID "\x00" O V "\x00" PROMPT NIL "\x00\x00\x00" NIL),
     WORKER},
#define TYPE "a field of another type, as a bin for a str or nil where it is not allowed"
    {TYPE,
     BYTES(GET_OF("\x98", "\x00",
                  "\xc4\x01"
                  "o")),
     WORKER},
    {TYPE, BYTES(GET_OF("\x98", "\x00", NIL)), WORKER},
    {TYPE,
     BYTES(GET_OF("\x98",
                  "\xa1"
                  "x",
                  O)),
     WORKER},
    {TYPE,
     BYTES("\x9c\x03" ID "\x00" O V "\x00" PROMPT NIL "\x00\x00\x00\xa1"
           "x"),
     WORKER},
#define RANGE "an integer that is negative or too large for its type"
    {RANGE, BYTES(GET_OF("\x98", "\xff", O)), WORKER},
    {RANGE, BYTES(GET_OF("\x98", "\xcf\0\0\0\1\0\0\0\0", O)), WORKER},
    {"too few fields", BYTES("\x92\x02" ID), WORKER},
    {"too few fields", BYTES("\x92\x07" ID), WORKER},
    {"a lease_ms without a wait_ms in a get", BYTES(GET_OF("\x99", "\x00", O) "\x00"), WORKER},
    {"a prompt that has not 16 bytes",
     BYTES("\x98\x02" ID "\x00" O V "\x00\xc4\x11" SIXTEEN "x" NIL), WORKER},
#define PROMPTS "prompts that are empty, or no multiple of 16 bytes"
    {PROMPTS, BYTES("\x98\x04" ID "\x00" O V "\x00\xc4\x00" NIL), WORKER},
    {PROMPTS, BYTES("\x98\x04" ID "\x00" O V "\x00\xc4\x11" SIXTEEN "x" NIL), WORKER},
    {"put_many: another number of values than of prompts", BYTES(PUT_MANY "\x92" NIL NIL), WORKER},
    {"a cursor over 64 bytes", BYTES("\x97\x09" ID NIL NIL NIL "\x01\xc4\x41" LONG_64 "x"), WORKER},
    {"trace: an action above 2", BYTES("\x94\x0a" ID "\x03" NIL), WORKER},
    {"list: an order above 1", BYTES("\x98\x09" ID NIL NIL NIL "\x01\xc4\x00\x02"), WORKER},
    {"usage: a by above 3", BYTES("\x95\x15" ID "\x04\x01\xc4\x00"), WORKER},
    {"events on a connection without a watch", BYTES("\x93\x19" ID "\x00"), WORKER},
    {"snapshot: an action above 1", BYTES("\x93\x12" ID "\x02"), WORKER},
#define SETTING "set: an unknown name, or a value that is no size"
    {SETTING,
     BYTES("\x94\x13" ID NONE "\xa1"
           "1"),
     WORKER},
    {SETTING,
     BYTES("\x94\x13" ID "\xa9"
           "max-bytes"
           "\xa1"
           "x"),
     WORKER},
    {SETTING,
     BYTES("\x94\x13" ID "\xa9"
           "max-bytes"
           "\xa1"
           "0"),
     WORKER},
#define HALF_GIVEN "give_up: an op without a view or prompts, or one of these without an op"
    {HALF_GIVEN, BYTES("\x96\x0c" ID O NIL "\x00" PROMPT), WORKER},
    {HALF_GIVEN, BYTES("\x96\x0c" ID O V "\x00" NIL), WORKER},
    {HALF_GIVEN, BYTES("\x96\x0c" ID NIL V "\x00" NIL), WORKER},
    {HALF_GIVEN, BYTES("\x96\x0c" ID NIL NIL "\x00" PROMPT), WORKER},
    {"bytes behind the array", BYTES("\x92\x06" ID NIL), WORKER},
    {"a body that ends within a field", BYTES("\x93\x07" ID "\xa2n"), WORKER},
    {"an unknown type of message, also as the first one", BYTES("\x92\x33" ID), WORKER},
    {"an unknown type of message, also as the first one", BYTES("\x92\x33" ID), NO_HELLO},
    {"a second hello", BYTES(HELLO("\x97", "\x01\x01", C, NIL NIL)), WORKER},
    {"hello: a bad name", BYTES(HELLO("\x97", "\x01\x01", "\xa0", NIL NIL)), NO_HELLO},
    {"hello: a bad name", BYTES(HELLO("\x97", "\x01\x01", C, "\xa0" NIL)), NO_HELLO},
    {"hello: a bad name", BYTES(HELLO("\x97", "\x03\x00", C, "\xa0" NIL)), NO_HELLO},
    {"hello: a bad name", BYTES(HELLO("\x97", "\x01\x01", C, "\xa0" NIL)), WORKER},
#define MANIFEST "hello: a bad manifest, also without a namespace"
    {MANIFEST, BYTES(HELLO("\x99", "\x01\x04", C, N NIL "\x00\xa0")), NO_HELLO},
    {MANIFEST, BYTES(HELLO("\x99", "\x01\x04", C, NIL NIL "\x00\xa0")), NO_HELLO},
    {MANIFEST,
     BYTES(HELLO("\x99", "\x01\x04", C,
                 N NIL "\x00\xa2"
                       "a\0")),
     NO_HELLO},
    {"too few fields", BYTES(HELLO("\x97", "\x01\x02", C, N NIL)), NO_HELLO},
    {"too few fields", BYTES(HELLO("\x98", "\x01\x04", C, N NIL "\x00")), NO_HELLO},
#define NO_ENTRIES "hello: a max_entries of 0 or less with a namespace"
    {NO_ENTRIES, BYTES(HELLO("\x97", "\x01\x01", C, N "\x00")), NO_HELLO},
    {NO_ENTRIES, BYTES(HELLO("\x97", "\x01\x01", C, N "\xff")), NO_HELLO},
    {"hello: a max_bytes of 0 with a namespace",
     BYTES(HELLO("\x9a", "\x01\x05", C, N NIL "\x00" NIL "\x00")), NO_HELLO},
    {"hello: a max_bytes of 0 without a namespace",
     BYTES(HELLO("\x9a", "\x01\x05", C, NIL NIL "\x00" NIL "\x00")), NO_HELLO},
    {"kill: a client_id that no connection has", BYTES("\x93\x11" ID "\xcd\xff\xff"), TOOL},
    {"hello: a max_entries of 2^63 or more",
     BYTES(HELLO("\x97", "\x01\x01", C, N "\xcf\x80\0\0\0\0\0\0\0")), NO_HELLO},
#define NO_VERSION "hello: no version in common"
    {NO_VERSION, BYTES(HELLO("\x97", "\x00\x00", C, NIL NIL)), NO_HELLO},
    {NO_VERSION, BYTES(HELLO("\x9a", "\x63\x64", C, NIL NIL "\x00" NIL NIL)), NO_HELLO},
#define INVERTED "hello: a version_min above version_max"
    {INVERTED, BYTES(HELLO("\x98", "\x03\x02", C, NIL NIL "\x00")), NO_HELLO},
    {INVERTED, BYTES(HELLO("\x99", "\x05\x04", C, NIL NIL "\x00" NIL)), NO_HELLO},
    {INVERTED, BYTES(HELLO("\x97", "\x03\x00", C, NIL NIL)), NO_HELLO},
#define EARLY "a request before hello, unless the answer would be EPROTOCOL"
    {EARLY, BYTES("\x92\x06" ID), NO_HELLO},
    {EARLY, BYTES(GET_OF("\x98", "\x00", "\xa0")), NO_HELLO},   /* else ENAME */
    {EARLY, BYTES("\x95\x0f" ID NIL "\x00\xc4\x00"), NO_HELLO}, /* else EINVAL */
    {"too few fields", BYTES("\x92\x02" ID), NO_HELLO},
    {TYPE, BYTES(GET_OF("\x98", "\x00", NIL)), NO_HELLO},
    {"hello: a max_entries of 0 or less without a namespace",
     BYTES(HELLO("\x97", "\x01\x01", C, NIL "\x00")), NO_HELLO},
    {"unknown bits in flags", BYTES(GET_OF("\x98", "\xcc\xf8", O)), WORKER},
#define MORE "fields after the last known one"
    {MORE,
     BYTES(GET_OF("\x9b", "\x00", O) "\x00\x00\x81\xa1"
                                     "x\x90"),
     WORKER},
    {MORE, BYTES("\x93\x06" ID "\xd4\x00\x00"), WORKER},
    {MORE,
     BYTES(HELLO("\x99", "\x01\x01", C,
                 NIL NIL "\xa1"
                         "x\xcb\0\0\0\0\0\0\0\0")),
     NO_HELLO},
    {MORE,
     BYTES(HELLO("\x99", "\x01\x02", C,
                 NIL NIL "\x00\xa1"
                         "x")),
     NO_HELLO},
#define ABSENT "a namespace, view or op that does not exist, in stats, clear or a list"
    {ABSENT, BYTES("\x93\x07" ID NONE), WORKER},
    {ABSENT, BYTES("\x95\x08" ID NONE NONE NONE), WORKER},
    {ABSENT, BYTES("\x97\x09" ID NONE NIL NIL "\x01\xc4\x00"), WORKER},
    {ABSENT, BYTES("\x95\x0e" ID NONE "\x01\xc4\x00"), WORKER},
#define LATER "a message of version 3 to 8 on a connection of version 1"
    {LATER, BYTES("\x96\x0c" ID NIL NIL "\x00" NIL), FIRST},
    {LATER, BYTES("\x95\x0d" ID NIL "\x01\xc4\x00"), FIRST},
    {LATER, BYTES("\x95\x0e" ID NIL "\x01\xc4\x00"), FIRST},
    {LATER, BYTES("\x95\x0f" ID NIL "\x01\xc4\x00"), FIRST},
    {LATER, BYTES("\x94\x10" ID "\x01\x00"), FIRST},
    {LATER, BYTES("\x93\x12" ID "\x00"), FIRST},
    {"a get with lease, lease_ms and wait_ms on a connection of version 1: no lease is granted",
     BYTES(GET_OF("\x9a", "\x04", O) "\x00\x00"), FIRST},
    {"a seventh field that is no u32 in a get of version 1",
     BYTES(GET_OF("\x9a", "\x00", O) "\xa1"
                                     "x\xa1"
                                     "y"),
     FIRST},
};
#define N_CASES (sizeof cases / sizeof cases[0])

static void open_as(struct raw *raw, enum opening opening) {
  if (opening == NO_HELLO)
    ck_assert_int_eq(raw_connect(raw, served.socket), 0);
  else
    raw_open_version(raw, served.socket, opening == TOOL ? NULL : "claims",
                     opening == FIRST ? 1 : FC_PROTOCOL_VERSION);
}

static void send_body(struct raw *raw, const void *body, size_t size) {
  uint8_t header[FC_FRAME_HEADER];
  fc_frame_put_header(header, (uint32_t)size);
  ck_assert_int_eq(raw_send(raw, header, sizeof header), 0);
  ck_assert_int_eq(raw_send(raw, body, size), 0);
}

/* ---- the table ---- */

/* Checks one case: the name of the code, or "accepted", and whether the connection ends. */
static void try_case(size_t i, const char *code, bool closed) {
  struct raw raw;
  struct fc_reply reply;
  open_as(&raw, cases[i].opening);
  send_body(&raw, cases[i].body, cases[i].size);
  ck_assert_msg(raw_recv(&raw, &reply, REPLY_MS) == RAW_REPLY, "case %zu: %s", i, cases[i].row);
  const char *said = reply.type == FC_ERROR ? fc_error_name(reply.error.code) : "accepted";
  ck_assert_msg(strcmp(said, code) == 0, "case %zu, %s: it is %s", i, cases[i].row, said);
  ck_assert_uint_eq(reply.id, 7);
  if ((int)reply.type == (FC_REPLY | FC_GET))
    ck_assert_int_eq(reply.get.lease, FC_LEASE_NONE);
  if (closed) {
    ck_assert_msg(raw_recv(&raw, &reply, REPLY_MS) == RAW_CLOSED, "case %zu: %s", i, cases[i].row);
  } else {
    send_body(&raw, BYTES("\x92\x06\x08"));
    ck_assert_int_eq(raw_recv(&raw, &reply, REPLY_MS), RAW_REPLY);
    ck_assert_int_eq(reply.type, FC_REPLY | FC_PING);
  }
  raw_close(&raw);
}

/* Reads a row "| MISTAKE | CODE | yes |" of the table. Returns false for the two lines of its head.
 */
static bool parse_row(const char *line, char what[160], char code[32], char closed[8]) {
  return sscanf(line, "| %159[^|]| %31[^ |] | %7[a-z] |", what, code, closed) == 3 &&
         strcmp(code, "code") != 0;
}

static void try_row(const char *line, bool tried[N_CASES]) {
  char what[160], code[32], closed[8];
  size_t n = 0;
  if (!parse_row(line, what, code, closed))
    return;
  what[strlen(what) - 1] = '\0'; /* the space before the bar */
  for (size_t i = 0; i < N_CASES; i++)
    if (strcmp(cases[i].row, what) == 0) {
      try_case(i, code, strcmp(closed, "yes") == 0);
      tried[i] = true;
      n++;
    }
  ck_assert_msg(n > 0, DOC " has a row that no case tries: %s", what);
}

START_TEST(bad_argument_each_row_has_its_error) {
  bool tried[N_CASES] = {false}, inside = false;
  char line[1024];
  FILE *doc = fopen(DOC, "r");
  ck_assert_msg(doc != NULL, DOC " cannot be opened: run the test from the project's root");
  while (fgets(line, sizeof line, doc) != NULL) {
    if (line[0] == '#')
      inside = strcmp(line, HEADING) == 0;
    else if (inside)
      try_row(line, tried);
  }
  (void)fclose(doc); /* a reader has nothing to flush */
  for (size_t i = 0; i < N_CASES; i++)
    ck_assert_msg(tried[i], DOC " has no row for: %s", cases[i].row);
}
END_TEST

/* ---- errors that answer no request ---- */

START_TEST(body_without_readable_id_error_0_and_closed) {
  static const struct {
    const char *bytes;
    size_t size;
    int code;
  } frames[] = {
      {BYTES("FCA2"), FC_EPROTOCOL},
      {BYTES("FCA1\0\0\0\0"), FC_EPROTOCOL},
      {BYTES("FCA1\xff\xff\xff\xff"), FC_EFRAME},
      {BYTES("FCA1\0\0\0\1\x80"), FC_EPROTOCOL},          /* no array */
      {BYTES("FCA1\0\0\0\2\x91\x06"), FC_EPROTOCOL},      /* no id */
      {BYTES("FCA1\0\0\0\4\x92\xa1x\x07"), FC_EPROTOCOL}, /* the type is no number */
      {BYTES("FCA1\0\0\0\3\x92\x06\xff"), FC_EPROTOCOL},  /* nor is the id one of 32 bits */
      {BYTES("FCA1\0\0\0\3\x94\x06\x07"), FC_EPROTOCOL},  /* four elements in two bytes */
  };
  for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
    struct raw raw;
    struct fc_reply reply;
    raw_open(&raw, served.socket, "claims");
    ck_assert_int_eq(raw_send(&raw, frames[i].bytes, frames[i].size), 0);
    ck_assert_int_eq(raw_recv(&raw, &reply, REPLY_MS), RAW_REPLY);
    ck_assert_int_eq(reply.type, FC_ERROR);
    ck_assert_int_eq(reply.error.code, frames[i].code);
    ck_assert_uint_eq(reply.id, 0);
    ck_assert_int_eq(raw_recv(&raw, &reply, REPLY_MS), RAW_CLOSED);
    raw_close(&raw);
  }
}
END_TEST

/* ---- outcomes of puts ---- */

/* Returns an outcome, or a negative code. */
static int put(struct raw *raw, const struct fc_put *message) {
  struct fc_reply reply;
  ck_assert_int_eq(raw_put(raw, message, &reply), RAW_REPLY);
  return reply.type == FC_ERROR ? reply.error.code : (int)reply.put;
}

static uint64_t generation(struct raw *raw, const struct fc_key *key) {
  const struct fc_get get = {.key = *key};
  struct fc_reply reply;
  ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
  return reply.get.clear_generation;
}

static void clear(struct raw *raw, const char *name_space) {
  const struct fc_clear select = {.select.name_space = fc_str_of(name_space)};
  struct fc_buf buf = {0};
  struct fc_reply reply;
  ck_assert_int_eq(fc_encode_clear(&buf, 9, &select), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, REPLY_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_CLEAR);
  fc_buf_free(&buf);
}

START_TEST(put_several_rules_first_decides) {
  static const uint8_t value[(64u << 10) + 1];
  const struct fc_key key = raw_key("op", "view", 0, "prompt");
  struct raw raw;
  raw_open(&raw, served.socket, "order");
  uint64_t before = generation(&raw, &key);
  clear(&raw, "order");
  const struct fc_epoch foreign = {raw.boot_id + 1, before + 1}, cleared = {raw.boot_id, before},
                        current = {raw.boot_id, before + 1};
  struct fc_put message = {.key = key, .epoch = current, .value = value, .value_size = 5};
  ck_assert_int_eq(put(&raw, &message), FC_STORED);
  message.flags = FC_KEEP_FIRST;
  ck_assert_int_eq(put(&raw, &message), FC_KEPT);
  message.epoch = cleared; /* stale before kept */
  ck_assert_int_eq(put(&raw, &message), FC_STALE);
  message.value_size = sizeof value; /* too big before stale */
  ck_assert_int_eq(put(&raw, &message), FC_ETOOBIG);
  message.epoch = foreign; /* but not before another daemon's */
  ck_assert_int_eq(put(&raw, &message), FC_STALE);
  message.withheld = true; /* as nil does */
  message.value_size = 0;
  ck_assert_int_eq(put(&raw, &message), FC_ETOOBIG);
  message = (struct fc_put){.key = key, .epoch = {0, 0}, .value = value, .value_size = 6};
  ck_assert_int_eq(put(&raw, &message), FC_STORED); /* unknown epoch: not checked */
  raw_close(&raw);
}
END_TEST

START_TEST(generation_rises_with_clears_and_new_namespaces) {
  const struct fc_key key = raw_key("op", "view", 0, "prompt");
  const struct fc_put message = {.key = key, .epoch = {0, 1}, .value_size = 0};
  struct raw raw, other;
  raw_open(&raw, served.socket, "first");
  uint64_t first = generation(&raw, &key);
  ck_assert_uint_eq(first, 2); /* the generation began with 1, and this clear made it 2 */
  clear(&raw, "first");        /* of an empty namespace */
  ck_assert_uint_eq(generation(&raw, &key), first + 1);
  clear(&raw, "absent");
  ck_assert_uint_eq(generation(&raw, &key), first + 1);
  raw_open(&other, served.socket, "second");
  ck_assert_uint_eq(generation(&raw, &key), first + 2);
  ck_assert_int_eq(put(&other, &message), FC_STORED);
  struct fc_put early = message;
  early.epoch = (struct fc_epoch){other.boot_id, first + 1}; /* from before there was the second */
  ck_assert_int_eq(put(&other, &early), FC_STALE);
  raw_close(&other);
  raw_open(&other, served.socket, "second"); /* it is there */
  ck_assert_uint_eq(generation(&other, &key), first + 2);
  raw_close(&other);
  raw_close(&raw);
}
END_TEST

/* ---- lists ---- */

static void list(struct raw *raw, struct fc_list_reply *page, const char *name_space) {
  const struct fc_list request = {.select.name_space = fc_str_of(name_space), .limit = 10};
  struct fc_buf buf = {0};
  struct fc_reply reply;
  ck_assert_int_eq(fc_encode_list(&buf, 9, &request), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, REPLY_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_LIST);
  *page = reply.list;
  fc_buf_free(&buf);
}

static struct fc_list_entry only_entry(struct raw *raw) {
  struct fc_list_reply page;
  struct fc_list_entry entry;
  list(raw, &page, "hits");
  ck_assert_uint_eq(page.n, 1);
  fc_list_next(&page, &entry);
  return entry;
}

START_TEST(list_hits_count_unrecorded_gets_since_put) {
  const struct fc_put message = {.key = raw_key("op", "view", 0, "prompt"),
                                 .value = (const uint8_t *)"value",
                                 .value_size = 5};
  struct fc_put kept = message;
  const struct fc_get get = {.key = message.key}, quiet = {.flags = FC_UNRECORDED, .key = get.key};
  struct fc_reply reply;
  struct raw raw;
  raw_open(&raw, served.socket, "hits");
  ck_assert_int_eq(put(&raw, &message), FC_STORED);
  ck_assert_int_eq(raw_get(&raw, &get, &reply), RAW_REPLY);
  ck_assert_int_eq(raw_get(&raw, &quiet, &reply), RAW_REPLY);
  kept.flags = FC_KEEP_FIRST;
  ck_assert_int_eq(put(&raw, &kept), FC_KEPT);
  ck_assert_uint_eq(only_entry(&raw).hits, 2);
  ck_assert_uint_eq(only_entry(&raw).charge, 64 + 8 + 5 + 3 + 128);
  ck_assert_int_eq(put(&raw, &message), FC_STORED);
  ck_assert_uint_eq(only_entry(&raw).hits, 0);
  raw_close(&raw);
}
END_TEST

/* ---- the life of a namespace ---- */

static bool has_namespace(struct raw *tool, const char *name) {
  const struct fc_page request = {.name_space = fc_str_of(name), .limit = 1};
  struct fc_buf buf = {0};
  struct fc_reply reply;
  ck_assert_int_eq(fc_encode_page(&buf, FC_NAMESPACES, 9, &request), 0);
  ck_assert_int_eq(raw_send_buf(tool, &buf), 0);
  ck_assert_int_eq(raw_recv(tool, &reply, REPLY_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_NAMESPACES);
  fc_buf_free(&buf);
  return reply.list.n == 1;
}

static void visit(const char *name, const char *manifest, int64_t max_entries) {
  const struct fc_hello hello = {.version_min = 1,
                                 .version_max = FC_PROTOCOL_VERSION,
                                 .client = fc_str_of("visitor"),
                                 .name_space = fc_str_of(name),
                                 .has_max_entries = max_entries > 0,
                                 .max_entries = max_entries,
                                 .manifest = fc_str_of(manifest)};
  struct fc_buf buf = {0};
  struct fc_reply reply;
  struct raw raw;
  ck_assert_int_eq(raw_connect(&raw, served.socket), 0);
  ck_assert_int_eq(fc_encode_hello(&buf, 1, &hello), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  ck_assert_int_eq(raw_recv(&raw, &reply, REPLY_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_HELLO);
  fc_buf_free(&buf);
  raw_close(&raw);
}

struct absence {
  struct raw *tool;
  const char *name;
};

static bool is_absent(void *arg) {
  const struct absence *absence = arg;
  return !has_namespace(absence->tool, absence->name);
}

START_TEST(namespace_unused_without_limit_dropped) {
  struct raw tool;
  raw_open(&tool, served.socket, NULL);
  struct absence plain = {&tool, "plain"};
  visit("limited", NULL, 5);
  visit("plain", "a manifest alone", 0);
  ck_assert(harness_wait_until(is_absent, &plain, REPLY_MS));
  ck_assert(has_namespace(&tool, "limited")); /* left by its client before */
  raw_close(&tool);
}
END_TEST

START_TEST(namespace_over_maximum_longest_idle_dropped) {
  static const char *const names[] = {"a", "b", "c", "d"}; /* --max-namespaces */
  struct raw tool, clients[4];
  raw_open(&tool, served.socket, NULL);
  visit("idle", NULL, 5);
  for (int i = 0; i < 4; i++)
    raw_open(&clients[i], served.socket, names[i]);
  ck_assert(!has_namespace(&tool, "idle"));
  const struct fc_hello hello = {.version_min = 1,
                                 .version_max = 1,
                                 .client = fc_str_of("late"),
                                 .name_space = fc_str_of("e")};
  struct fc_buf buf = {0};
  struct fc_reply reply;
  struct raw late;
  ck_assert_int_eq(raw_connect(&late, served.socket), 0);
  ck_assert_int_eq(fc_encode_hello(&buf, 1, &hello), 0);
  ck_assert_int_eq(raw_send_buf(&late, &buf), 0);
  ck_assert_int_eq(raw_recv(&late, &reply, REPLY_MS), RAW_REPLY);
  ck_assert_int_eq(reply.error.code, FC_EREFUSED);
  ck_assert_int_eq(raw_recv(&late, &reply, REPLY_MS), RAW_CLOSED);
  fc_buf_free(&buf);
  raw_close(&late);
  for (int i = 0; i < 4; i++)
    raw_close(&clients[i]);
  raw_close(&tool);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("protocol_doc_claims");
  TCase *tests = tcase_create("protocol_doc_claims");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, start, stop);
  tcase_add_test(tests, bad_argument_each_row_has_its_error);
  tcase_add_test(tests, body_without_readable_id_error_0_and_closed);
  tcase_add_test(tests, put_several_rules_first_decides);
  tcase_add_test(tests, generation_rises_with_clears_and_new_namespaces);
  tcase_add_test(tests, list_hits_count_unrecorded_gets_since_put);
  tcase_add_test(tests, namespace_unused_without_limit_dropped);
  tcase_add_test(tests, namespace_over_maximum_longest_idle_dropped);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
