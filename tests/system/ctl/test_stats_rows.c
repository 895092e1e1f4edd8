/* The statistics of a running daemon against proto/stats/stats_rows.h. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/stats/stats_table.h"
#include "tests/support/ctl.h"
#include "tests/support/full_daemon.h"
#include "tests/support/raw.h"

static struct daemon daemon_;

/* The places (enum fc_stats_place) at which each row was sent. */
static unsigned sent[FC_STATS_N_ROWS];

static bool has_type(const struct fc_stats_row *row, const struct fc_stat *stat) {
  switch (row->unit) {
  case FC_STATS_NONE:
  case FC_STATS_BYTES:
    return stat->kind == FC_STAT_UINT;
  case FC_STATS_SECONDS:
  case FC_STATS_RATIO:
  case FC_STATS_MEAN:
    return stat->kind == FC_STAT_REAL;
  case FC_STATS_TEXT:
    return stat->kind == FC_STAT_TEXT;
  }
  return false;
}

static void check_stat(const struct fc_stat *stat) {
  char name[FC_STATS_NAME_SIZE];
  bool since_start;
  ck_assert_uint_lt(stat->name.size, sizeof name);
  (void)snprintf(name, sizeof name, "%.*s", (int)stat->name.size, stat->name.data); /* fits */
  const struct fc_stats_row *row = fc_stats_find_prefixed(name, &since_start);
  unsigned place = stat->name_space.data != NULL ? FC_STATS_IN_NAMESPACE
                   : since_start                 ? FC_STATS_IN_SINCE
                                                 : FC_STATS_IN_DAEMON;
  ck_assert_msg(row != NULL, "the daemon sends %s, which has no row", name);
  ck_assert_msg(row->places & place, "%s is not of the scope of its row", name);
  ck_assert_msg(has_type(row, stat), "%s has another type than its row", name);
  ck_assert_msg(!(sent[row - fc_stats_rows] & place), "%s is sent twice", name);
  sent[row - fc_stats_rows] |= place;
}

/* Reads the statistics of the daemon and of the namespace "ns". */
static void read_stats(void) {
  struct fc_buf request = {0};
  struct fc_stats_walk walk = {0};
  struct fc_stat stat;
  struct fc_reply reply;
  struct raw raw;
  raw_open(&raw, daemon_.socket, NULL);
  ck_assert_int_eq(fc_encode_stats(&request, raw.next_id++, fc_str_of("ns")), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &request), 0);
  ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_REPLY);
  memset(sent, 0, sizeof sent);
  while (fc_stats_next(&reply.stats, &walk, &stat))
    check_stat(&stat);
  fc_buf_free(&request);
  raw_close(&raw);
}

static unsigned count_sent(void) {
  unsigned n = 0;
  for (size_t i = 0; i < FC_STATS_N_ROWS; i++)
    n += sent[i] != 0;
  return n;
}

START_TEST(every_row_is_sent_at_its_places) {
  full_daemon_start(&daemon_);
  read_stats();
  for (size_t i = 0; i < FC_STATS_N_ROWS; i++) {
    const struct fc_stats_row *row = &fc_stats_rows[i];
    unsigned places = row->places & ~(unsigned)FC_STATS_IN_TOOL;
    ck_assert_msg(sent[i] == places, "%s is sent at the places %u, and its row has %u", row->name,
                  sent[i], places);
  }
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* Without a state directory, a snapshot, a trace or a limit, there are fewer. */
START_TEST(new_daemon_sends_rows_alone) {
  harness_start(&daemon_, NULL);
  read_stats();
  ck_assert_uint_gt(count_sent(), 80);
  ck_assert_uint_eq(sent[FC_STATS_ROW_snapshot_result], 0);
  ck_assert_uint_eq(sent[FC_STATS_ROW_trace_path], 0);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

static bool json_has_type(const struct fc_stats_row *row, const json_t *value) {
  if (row->unit == FC_STATS_TEXT)
    return json_is_string(value);
  return row->unit == FC_STATS_NONE || row->unit == FC_STATS_BYTES ? json_is_integer(value)
                                                                   : json_is_real(value);
}

START_TEST(json_of_fcachectl_has_every_row) {
  full_daemon_start(&daemon_);
  json_t *stats = ctl_json(CTL("stats", "--json"));
  json_t *daemon = json_object_get(stats, "daemon");
  json_t *space = json_array_get(json_object_get(stats, "namespaces"), 0);
  for (size_t i = 0; i < FC_STATS_N_ROWS; i++) {
    const struct fc_stats_row *row = &fc_stats_rows[i];
    json_t *in_daemon = json_object_get(daemon, row->name);
    json_t *in_space = json_object_get(space, row->name);
    bool of_daemon = row->places & (FC_STATS_IN_DAEMON | FC_STATS_IN_TOOL);
    ck_assert_msg((in_daemon != NULL) == of_daemon, "%s of the daemon", row->name);
    ck_assert_msg((in_space != NULL) == !!(row->places & FC_STATS_IN_NAMESPACE),
                  "%s of a namespace", row->name);
    ck_assert(json_has_type(row, in_daemon != NULL ? in_daemon : in_space));
  }
  json_decref(stats);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

/* The places of presentation are a table of fcachectl. A statistic without one is printed too. */
START_TEST(text_of_fcachectl_has_a_label_for_every_row) {
  full_daemon_start(&daemon_);
  char *text = ctl_printed(CTL("stats"));
  for (size_t i = 0; i < FC_STATS_N_ROWS; i++) {
    const char *name = fc_stats_rows[i].name;
    char line[FC_STATS_NAME_SIZE + 2];
    (void)snprintf(line, sizeof line, "\n%s ", name);
    ck_assert_msg(strchr(name, '_') == NULL || strstr(text, line) == NULL,
                  "%s has no label in stats_text.c", name);
  }
  free(text);
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stats_rows");
  TCase *tests = tcase_create("stats_rows");

  tcase_add_test(tests, every_row_is_sent_at_its_places);
  tcase_add_test(tests, new_daemon_sends_rows_alone);
  tcase_add_test(tests, json_of_fcachectl_has_every_row);
  tcase_add_test(tests, text_of_fcachectl_has_a_label_for_every_row);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
