/* Replies to CLUSTER SLOTS: those of servers of several versions, and hostile ones. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "daemon/tier/cluster_ranges.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

/* The ranges as text, and the code of the end. */
struct seen {
  char text[512];
  int code;
};

static void on_reply(void *arg, const struct resp_reply *reply) {
  struct seen *seen = arg;
  struct cluster_ranges ranges;
  struct cluster_range range;
  seen->code = cluster_ranges_init(&ranges, reply);
  while (seen->code == 0 && (seen->code = cluster_ranges_next(&ranges, &range)) > 0) {
    size_t used = strlen(seen->text);
    (void)snprintf(seen->text + used, sizeof seen->text - used, "%u-%u %s:%u ", range.first,
                   range.last, range.host, range.port);
    seen->code = 0;
  }
}

static const struct {
  const char *reply, *text;
  int code;
} replies[] = {
    {"*0\r\n", "", 0},
    /* Redis 6: host, port, id. The second server is a replica. */
    {"*2\r\n*4\r\n:0\r\n:5460\r\n*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\nid\r\n"
     "*3\r\n$9\r\n127.0.0.1\r\n:7003\r\n$2\r\nid\r\n"
     "*3\r\n:5461\r\n:16383\r\n*3\r\n$3\r\n::1\r\n:7001\r\n$2\r\nid\r\n",
     "0-5460 127.0.0.1:7000 5461-16383 ::1:7001 ", 0},
    /* Redis 7 and Valkey: with metadata; unknown hosts are nil, "" or "?". */
    {"*3\r\n*3\r\n:0\r\n:0\r\n*4\r\n$-1\r\n:7000\r\n$2\r\nid\r\n*2\r\n$8\r\nhostname\r\n$1\r\nh\r\n"
     "*3\r\n:1\r\n:1\r\n*4\r\n$0\r\n\r\n:7001\r\n$2\r\nid\r\n*0\r\n"
     "*3\r\n:2\r\n:2\r\n*4\r\n$1\r\n?\r\n:7002\r\n$2\r\nid\r\n*0\r\n",
     "0-0 :7000 1-1 :7001 2-2 :7002 ", 0},
    {"+OK\r\n", "", FC_EPROTOCOL},
    {"*1\r\n$1\r\na\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*2\r\n:0\r\n:1\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:1\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:-1\r\n:1\r\n*2\r\n$1\r\na\r\n:1\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:5\r\n:4\r\n*2\r\n$1\r\na\r\n:1\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n$1\r\na\r\n:0\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n$1\r\na\r\n:65536\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:4\r\n*1\r\n$1\r\na\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n:1\r\n:1\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:4\r\n*0\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:4\r\n$1\r\na\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n$3\r\na~b\r\n:1\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n$3\r\na b\r\n:1\r\n", "", FC_EPROTOCOL},
    {"*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n$3\r\na\nb\r\n:1\r\n", "", FC_EPROTOCOL},
    /* More slots than there are. */
    {"*2\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$1\r\na\r\n:1\r\n"
     "*3\r\n:7\r\n:7\r\n*2\r\n$1\r\nb\r\n:1\r\n",
     "0-16383 a:1 ", FC_EPROTOCOL},
    /* The first range is good. */
    {"*2\r\n*3\r\n:0\r\n:4\r\n*2\r\n$1\r\na\r\n:1\r\n*0\r\n", "0-4 a:1 ", FC_EPROTOCOL},
};

START_TEST(cluster_slots_are_read_or_refused) {
  for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
    struct seen seen = {.code = 1};
    struct resp_reader reader;
    size_t size = strlen(replies[i].reply);
    char bytes[512]; /* "~" becomes a NUL */
    for (size_t c = 0; c <= size; c++)
      bytes[c] = replies[i].reply[c] == '~' ? '\0' : replies[i].reply[c];
    ck_assert_int_eq(resp_reader_init(&reader, on_reply, &seen), 0);
    ck_assert_int_eq(resp_reader_feed(&reader, bytes, size), 0);
    ck_assert_msg(seen.code == replies[i].code, "%zu: %d", i, seen.code);
    ck_assert_str_eq(seen.text, replies[i].text);
    resp_reader_deinit(&reader);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("cluster_ranges");
  TCase *tc = tcase_create("cluster_ranges");
  tcase_add_test(tc, cluster_slots_are_read_or_refused);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
