/* Clears and deletes of a fleet, on a real server. */
#include <check.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/fleet_clear_scripts.h"
#include "daemon/fleet/fleet_value.h"
#include "tests/support/clear_nodes.h"
#include "tests/support/harness.h"

#define HASH "fcached:1:{fleet}:clears"
#define LOG "fcached:1:{fleet}:log"

static struct clear_node *a, *b, *c;

static void set_up(void) {
  if (!clear_nodes_start())
    exit(0);
  a = clear_nodes_at(0);
  b = clear_nodes_at(1);
  c = clear_nodes_at(2);
  clear_nodes_fill();
}

static unsigned count(const struct clear_node *node) {
  unsigned n = 0;
  for (unsigned key = 0; key < CLEAR_KEYS; key++)
    n += node->stored[key] != 0;
  return n;
}

START_TEST(clear_reaches_other_nodes_within_a_poll) {
  struct fc_select select = clear_nodes_select(0, 1, -1);
  ck_assert_int_eq(clear_nodes_clear(a, select), FLEET_STEP_DONE);
  ck_assert_uint_eq(a->cleared, 0); /* its request has done so */
  ck_assert_uint_eq(count(b), CLEAR_KEYS);
  clear_nodes_poll();
  for (unsigned key = 0; key < CLEAR_KEYS; key++) {
    bool cleared = clear_nodes_selects(&select, key);
    ck_assert_uint_eq(b->stored[key] == 0, cleared);
    ck_assert_uint_eq(clear_nodes_version(c, key), cleared);
  }
  ck_assert_uint_eq(b->cleared, 1);
  clear_nodes_check_equal();
}
END_TEST

START_TEST(fill_that_hears_of_a_clear_learns_it_at_once) {
  ck_assert(clear_nodes_hear(b));
  ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(-1, -1, 0)), FLEET_STEP_DONE);
  ck_assert(!clear_nodes_hear(b));
  clear_nodes_run(b);
  ck_assert_uint_eq(b->refreshed, 1);
  ck_assert_uint_eq(count(b), CLEAR_KEYS / 2);
  ck_assert(clear_nodes_hear(b));
}
END_TEST

START_TEST(delete_reaches_other_nodes_and_leaves_a_tombstone) {
  struct fc_key key = clear_nodes_key(5);
  struct fc_hash hash = fleet_key_hash(clear_nodes_space_of(5), &key);
  struct fleet_key name;
  struct fleet_value value;
  ck_assert_int_eq(clear_nodes_clear(c, clear_nodes_select(0, -1, -1)), FLEET_STEP_DONE);
  clear_nodes_poll();
  clear_nodes_fill();
  ck_assert_int_eq(clear_nodes_delete(a, 5), FLEET_STEP_DONE);
  clear_nodes_poll();
  ck_assert_uint_eq(count(b), CLEAR_KEYS - 1);
  ck_assert_uint_eq(b->stored[5], 0);
  fleet_key_set(&name, fc_str_of("fcached:"), &hash, 1, FLEET_KEY_VALUE);
  char text[FLEET_KEY_MAX + 1] = {0};
  memcpy(text, name.text, name.size);
  ck_assert_int_eq(tier_server_number(&clear_nodes.server, "STRLEN", text, NULL), FLEET_VALUE_HEAD);
  ck_assert_int_gt(tier_server_number(&clear_nodes.server, "PTTL", text, NULL), 3500000);
  redisReply *head = redisCommand(a->io.context, "GET %s", text);
  ck_assert_int_eq(fleet_value_decode(head->str, head->len, &hash, 1, 100, &value),
                   FLEET_VALUE_TOMBSTONE);
  ck_assert_uint_eq(value.deleted, 2);
  freeReplyObject(head);
  ck_assert_uint_eq(clear_nodes_version(a, 5), 1); /* a delete gives no other name */
}
END_TEST

START_TEST(wide_clear_drops_the_scopes_that_it_covers) {
  for (int view = 0; view < 2; view++)
    for (int op = -1; op < 2; op++)
      ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(0, view, op)), FLEET_STEP_DONE);
  ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(1, 0, 0)), FLEET_STEP_DONE);
  ck_assert_int_eq(tier_server_number(&clear_nodes.server, "HLEN", HASH, NULL), 2 + 7);
  ck_assert_int_eq(clear_nodes_clear(b, clear_nodes_select(0, -1, -1)), FLEET_STEP_DONE);
  ck_assert_int_eq(tier_server_number(&clear_nodes.server, "HLEN", HASH, NULL), 2 + 2);
  ck_assert_int_eq(clear_nodes_clear(b, clear_nodes_select(-1, -1, -1)), FLEET_STEP_DONE);
  ck_assert_int_eq(tier_server_number(&clear_nodes.server, "HLEN", HASH, NULL), 2 + 1);
  clear_nodes_poll();
  clear_nodes_check_equal();
  ck_assert_uint_eq(clear_nodes_version(a, 0), 9);
}
END_TEST

/* A view that no node has: its clears cost nothing but their place in the table. */
static void clear_view(struct clear_node *node, unsigned i) {
  char view[24];
  (void)snprintf(view, sizeof view, "view %u", i);
  struct fc_select select = {.name_space = clear_nodes_space(0), .view = fc_str_of(view)};
  ck_assert_int_eq(clear_nodes_clear(node, select), FLEET_STEP_DONE);
}

START_TEST(too_many_scopes_of_a_namespace_become_one) {
  for (unsigned i = 0; i <= FLEET_SCOPES_FOLD_NAMESPACE; i++)
    clear_view(a, i);
  ck_assert_int_eq(tier_server_number(&clear_nodes.server, "HLEN", HASH, NULL), 2 + 1);
  clear_nodes_poll();
  clear_nodes_check_equal();
  ck_assert_uint_eq(clear_nodes_version(b, 0), FLEET_SCOPES_FOLD_NAMESPACE + 1);
  ck_assert_uint_eq(clear_nodes_version(b, CLEAR_KEYS - 1), 0);
  ck_assert_uint_eq(count(b), CLEAR_KEYS / 2);
}
END_TEST

/* The restarted node had its version saved, and knows nothing else. */
START_TEST(restarted_node_drops_what_was_cleared_meanwhile_alone) {
  ck_assert_int_eq(clear_nodes_clear(b, clear_nodes_select(1, -1, -1)), FLEET_STEP_DONE);
  clear_nodes_poll();
  clear_nodes_fill();
  clear_nodes_kill(a);
  ck_assert_int_eq(clear_nodes_clear(b, clear_nodes_select(0, 0, 0)), FLEET_STEP_DONE);
  ck_assert_int_eq(clear_nodes_delete(c, 15), FLEET_STEP_DONE);
  clear_nodes_start_one(a);
  clear_nodes_run(a);
  for (unsigned key = 0; key < CLEAR_KEYS; key++)
    ck_assert_uint_eq(a->stored[key] == 0, key < 2 || key == 15);
  clear_nodes_poll();
  clear_nodes_check_equal();
}
END_TEST

/* A cache from before it had a tier. */
START_TEST(node_without_saved_version_drops_what_was_ever_cleared) {
  ck_assert_int_eq(clear_nodes_clear(b, clear_nodes_select(1, 1, -1)), FLEET_STEP_DONE);
  clear_nodes_kill(a);
  a->saved = (struct tier_version){0};
  clear_nodes_fill();
  clear_nodes_start_one(a);
  clear_nodes_run(a);
  ck_assert_uint_eq(count(a), CLEAR_KEYS - 4);
}
END_TEST

/* Without deletes the scopes of the table say all. With deletes that left the log, any key may have
 * been deleted. */
START_TEST(node_that_is_behind_the_log_takes_the_table) {
  clear_nodes_kill(a);
  if (_i == 1)
    ck_assert_int_eq(clear_nodes_delete(c, 15), FLEET_STEP_DONE);
  ck_assert_int_eq(clear_nodes_clear(b, clear_nodes_select(1, 1, 0)), FLEET_STEP_DONE);
  for (unsigned i = 0; i < FLEET_LOG_MAX; i++)
    clear_view(b, i % 8);
  ck_assert_int_eq(tier_server_number(&clear_nodes.server, "LLEN", LOG, NULL), FLEET_LOG_MAX);
  clear_nodes_fill();
  clear_nodes_start_one(a);
  clear_nodes_run(a);
  ck_assert_uint_eq(count(a), _i == 1 ? 0 : CLEAR_KEYS - 2);
  clear_nodes_poll();
  clear_nodes_check_equal();
}
END_TEST

START_TEST(emptied_tier_gets_the_table_back) {
  ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(0, 0, -1)), FLEET_STEP_DONE);
  ck_assert_int_eq(clear_nodes_delete(a, 15), FLEET_STEP_DONE);
  clear_nodes_poll();
  clear_nodes_fill();
  tier_server_do(&clear_nodes.server, "FLUSHALL", NULL);
  clear_nodes_poll();
  for (unsigned i = 0; i < CLEAR_NODES; i++)
    ck_assert_uint_eq(count(clear_nodes_at(i)), CLEAR_KEYS);
  clear_nodes_check_equal();
  ck_assert_uint_eq(clear_nodes_version(b, 0), 1);
  ck_assert_uint_eq(a->clears.heals + b->clears.heals + c->clears.heals, 1);
  clear_nodes_kill(c); /* one that knows no table takes the restored one */
  clear_nodes_start_one(c);
  clear_nodes_run(c);
  ck_assert_uint_eq(count(c), CLEAR_KEYS);
  ck_assert_int_eq(clear_nodes_clear(c, clear_nodes_select(1, 0, -1)), FLEET_STEP_DONE);
  clear_nodes_poll();
  clear_nodes_check_equal();
  ck_assert_uint_eq(count(a), CLEAR_KEYS - 4);
}
END_TEST

/* A replica that had not yet got the last steps becomes the primary, and another node makes steps
 * there before the first one looks. */
START_TEST(failover_that_lost_a_clear_is_healed) {
  int made = _i;
  ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(1, 0, 0)), FLEET_STEP_DONE);
  clear_nodes_poll();
  clear_nodes_fill();
  tier_server_do(&clear_nodes.server, "COPY", HASH, "old-hash", NULL);
  tier_server_do(&clear_nodes.server, "COPY", LOG, "old-log", NULL);
  ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(0, 0, -1)), FLEET_STEP_DONE);
  tier_server_do(&clear_nodes.server, "COPY", "old-hash", HASH, "REPLACE", NULL);
  tier_server_do(&clear_nodes.server, "COPY", "old-log", LOG, "REPLACE", NULL);
  for (int i = 0; i < made; i++)
    ck_assert_int_eq(clear_nodes_clear(b, clear_nodes_select(0, 1, i % 2)), FLEET_STEP_DONE);
  for (unsigned i = 0; i < 3; i++)
    clear_nodes_poll();
  clear_nodes_check_equal();
  ck_assert_uint_eq(a->clears.heals, 1);
  for (unsigned key = 0; key < CLEAR_KEYS; key++) {
    struct fc_select lost = clear_nodes_select(0, 0, -1), one = clear_nodes_select(0, 1, 0),
                     two = clear_nodes_select(0, 1, 1);
    bool cleared = clear_nodes_selects(&lost, key) ||
                   (made > 0 && clear_nodes_selects(&one, key)) ||
                   (made > 1 && clear_nodes_selects(&two, key));
    for (unsigned i = 0; i < CLEAR_NODES && cleared; i++) {
      ck_assert_uint_eq(clear_nodes_at(i)->stored[key], 0);
      ck_assert_uint_gt(clear_nodes_version(clear_nodes_at(i), key), 1 + (uint64_t)made);
    }
  }
}
END_TEST

START_TEST(another_tier_clears_the_cache) {
  ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(0, 0, -1)), FLEET_STEP_DONE);
  clear_nodes_poll();
  clear_nodes_fill();
  if (_i == 0)
    tier_server_do(&clear_nodes.server, "FLUSHALL", NULL);
  tier_server_do(&clear_nodes.server, "HSET", HASH, "id", "0123456789abcdef:0123456789abcdef",
                 NULL);
  clear_nodes_poll();
  for (unsigned i = 0; i < CLEAR_NODES; i++)
    ck_assert_uint_eq(count(clear_nodes_at(i)), 0);
  clear_nodes_check_equal();
}
END_TEST

/* A restarted node does not make an id while one may come back. */
START_TEST(restarted_node_waits_for_the_table_of_an_emptied_tier) {
  clear_nodes_kill(a);
  tier_server_do(&clear_nodes.server, "FLUSHALL", NULL);
  clear_nodes_start_one(a);
  clear_nodes_run(a);
  ck_assert_int_eq(tier_server_number(&clear_nodes.server, "EXISTS", HASH, NULL), 0);
  clear_nodes_poll();
  clear_nodes_poll();
  clear_nodes_check_equal();
  ck_assert_uint_eq(count(a), CLEAR_KEYS);
}
END_TEST

/* The first manifest is the fleet's. Both sides learn of another one, once. */
START_TEST(another_manifest_is_told_to_both_sides) {
  static const char *const texts[] = {"{\"a\": 1}", "{\"a\": 2}"};
  for (unsigned i = 0; i < 4; i++) {
    fleet_clears_manifest(&a->clears, clear_nodes_space(0), fc_str_of(texts[0]),
                          clear_nodes.now_ns);
    fleet_clears_manifest(&b->clears, clear_nodes_space(0), fc_str_of(texts[i / 2]),
                          clear_nodes.now_ns);
    clear_nodes_poll();
    clear_nodes_poll();
    ck_assert_uint_eq(a->differed, i >= 2);
    ck_assert_uint_eq(b->differed, i >= 2);
  }
  clear_nodes_check_equal();
  ck_assert_uint_eq(count(a), CLEAR_KEYS);
}
END_TEST

/* ---- without the tier ---- */

START_TEST(clear_that_the_tier_does_not_get_is_made_later) {
  struct fc_select select = clear_nodes_select(0, -1, -1);
  if (_i == 0)
    a->io.is_down = true;
  else if (_i == 1)
    a->io.loses_requests = true;
  else
    a->io.loses_replies = true;
  ck_assert_int_eq(clear_nodes_clear(a, select), FLEET_STEP_FAILED);
  ck_assert_uint_ge(clear_nodes_version(a, 0), FLEET_CLEARS_LOCAL);
  ck_assert_uint_eq(clear_nodes_version(a, 8), 0);
  clear_nodes_poll();
  ck_assert_uint_ge(clear_nodes_version(a, 0), FLEET_CLEARS_LOCAL);
  a->io.is_down = a->io.loses_requests = a->io.loses_replies = false;
  clear_nodes_fill();
  clear_nodes_poll();
  clear_nodes_poll();
  clear_nodes_check_equal();
  ck_assert_uint_gt(clear_nodes_version(a, 0), 0);
  ck_assert_uint_lt(clear_nodes_version(a, 0), FLEET_CLEARS_LOCAL);
  ck_assert_uint_eq(count(b), CLEAR_KEYS / 2);
  ck_assert_uint_eq(count(a), CLEAR_KEYS); /* it was applied before */
  ck_assert_uint_eq(a->cleared, 0);
}
END_TEST

START_TEST(delete_that_the_tier_does_not_get_is_made_later) {
  a->io.is_down = true;
  ck_assert_int_eq(clear_nodes_delete(a, 3), FLEET_STEP_FAILED);
  ck_assert_uint_ge(clear_nodes_version(a, 3), FLEET_CLEARS_LOCAL);
  ck_assert_uint_eq(clear_nodes_version(a, 2), 0);
  a->io.is_down = false;
  clear_nodes_poll();
  clear_nodes_poll();
  ck_assert_uint_eq(clear_nodes_version(a, 3), 0);
  ck_assert_uint_eq(b->stored[3], 0);
  ck_assert_uint_eq(count(b), CLEAR_KEYS - 1);
}
END_TEST

/* The client has left before the tier replied: the node applies the step itself. */
START_TEST(step_whose_client_left_is_applied_by_its_node) {
  struct fc_select select = clear_nodes_select(0, -1, -1);
  struct fleet_step *step = fleet_clears_clear(&a->clears, &select, clear_nodes.now_ns);
  fleet_step_end(&a->clears, step);
  clear_nodes_run(a);
  ck_assert_uint_eq(a->cleared, 1);
  ck_assert_uint_eq(count(a), CLEAR_KEYS / 2);
  ck_assert_uint_eq(clear_nodes_version(a, 0), 1);
}
END_TEST

START_TEST(too_many_failed_clears_become_one_of_all) {
  a->io.is_down = true;
  for (unsigned i = 0; i <= FLEET_STEPS_MAX; i++)
    ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(0, (int)(i % 2), 0)),
                     FLEET_STEP_FAILED);
  ck_assert_uint_ge(clear_nodes_version(a, CLEAR_KEYS - 1), FLEET_CLEARS_LOCAL);
  a->io.is_down = false;
  clear_nodes_poll();
  clear_nodes_poll();
  clear_nodes_check_equal();
  ck_assert_uint_eq(count(b), 0);
}
END_TEST

START_TEST(learned_clear_that_cannot_start_is_tried_again) {
  b->refusals = 5;
  ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(0, -1, -1)), FLEET_STEP_DONE);
  ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(1, 0, -1)), FLEET_STEP_DONE);
  ck_assert(!clear_nodes_hear(b));
  for (unsigned i = 0; i < 5; i++) {
    clear_nodes_run(b);
    ck_assert_uint_eq(b->clears.newest, 0);
    ck_assert_uint_eq(b->refreshed, 0);
    clear_nodes.now_ns += CLEAR_MS;
  }
  clear_nodes_run(b);
  ck_assert_uint_eq(b->refreshed, 1);
  ck_assert_uint_eq(b->clears.newest, 2);
  ck_assert_uint_eq(count(b), 4);
}
END_TEST

/* ---- a hostile tier ---- */

START_TEST(damaged_table_is_not_taken) {
  static const char *const damage[][3] = {
      {"id", "0123456789abcdef"},
      {"id", "xyz3456789abcdef:0123456789abcdef"},
      {"n", "-1"},
      {"n", "99999999999999999999"},
      {"n", ""},
      {"one\x1f\x1f", "1x"},
      {"one\x1f\x1f\x1f", "1"},
      {"one\x01\x1f\x1f", "1"},
      {"\x1f\xff\x1f", "1"},
      {"floor", "many"},
  };
  tier_server_do(&clear_nodes.server, "HSET", HASH, damage[_i][0], damage[_i][1], NULL);
  clear_nodes_kill(a);
  clear_nodes_start_one(a);
  ck_assert(!clear_nodes_hear(a));
  clear_nodes_run(a);
  ck_assert(!a->clears.is_known);
  ck_assert_uint_eq(a->failed, 1);
  ck_assert_uint_eq(count(a), CLEAR_KEYS);
}
END_TEST

/* The step that a node of a later version would make, with a detail of any size. */
START_TEST(record_of_a_later_version_counts_by_its_number_alone) {
  static const char *const kinds[] = {"'X'", "'\\0'", "'?'"};
  char script[512];
  (void)snprintf(script, sizeof script,
                 "local tag = '00000000000000aa'\n"
                 "redis.call('HSET', KEYS[1], 'n', '1', 'id', "
                 "string.sub(redis.call('HGET', KEYS[1], 'id'), 1, 17) .. tag)\n"
                 "local record = {%s, '1', tag, tag, string.rep('x', 5000)}\n"
                 "return redis.call('RPUSH', KEYS[2], table.concat(record, '\\31'))",
                 kinds[_i]);
  tier_server_do(&clear_nodes.server, "EVAL", script, "2", HASH, LOG, NULL);
  clear_nodes_poll();
  ck_assert_uint_eq(a->clears.newest, 1);
  ck_assert_uint_eq(count(a), CLEAR_KEYS);
  ck_assert(clear_nodes_hear(a));
  clear_nodes_check_equal();
}
END_TEST

START_TEST(key_of_another_type_is_no_table) {
  tier_server_do(&clear_nodes.server, "SET", HASH, "text", NULL);
  clear_nodes_poll();
  ck_assert(!clear_nodes_hear(a));
  ck_assert_int_eq(clear_nodes_clear(a, clear_nodes_select(0, -1, -1)), FLEET_STEP_FAILED);
  tier_server_do(&clear_nodes.server, "DEL", HASH, NULL);
  clear_nodes_poll();
  clear_nodes_poll();
  clear_nodes_check_equal();
  ck_assert_uint_eq(count(b), CLEAR_KEYS / 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_clears");
  TCase *tests = tcase_create("fleet_clears");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, set_up, clear_nodes_stop);
  tcase_add_test(tests, clear_reaches_other_nodes_within_a_poll);
  tcase_add_test(tests, fill_that_hears_of_a_clear_learns_it_at_once);
  tcase_add_test(tests, delete_reaches_other_nodes_and_leaves_a_tombstone);
  tcase_add_test(tests, wide_clear_drops_the_scopes_that_it_covers);
  tcase_add_test(tests, too_many_scopes_of_a_namespace_become_one);
  tcase_add_test(tests, restarted_node_drops_what_was_cleared_meanwhile_alone);
  tcase_add_test(tests, node_without_saved_version_drops_what_was_ever_cleared);
  tcase_add_loop_test(tests, node_that_is_behind_the_log_takes_the_table, 0, 2);
  tcase_add_test(tests, emptied_tier_gets_the_table_back);
  tcase_add_loop_test(tests, failover_that_lost_a_clear_is_healed, 0, 4);
  tcase_add_loop_test(tests, another_tier_clears_the_cache, 0, 2);
  tcase_add_test(tests, another_manifest_is_told_to_both_sides);
  tcase_add_test(tests, restarted_node_waits_for_the_table_of_an_emptied_tier);
  tcase_add_loop_test(tests, clear_that_the_tier_does_not_get_is_made_later, 0, 3);
  tcase_add_test(tests, delete_that_the_tier_does_not_get_is_made_later);
  tcase_add_test(tests, step_whose_client_left_is_applied_by_its_node);
  tcase_add_test(tests, too_many_failed_clears_become_one_of_all);
  tcase_add_test(tests, learned_clear_that_cannot_start_is_tried_again);
  tcase_add_loop_test(tests, damaged_table_is_not_taken, 0, 10);
  tcase_add_loop_test(tests, record_of_a_later_version_counts_by_its_number_alone, 0, 3);
  tcase_add_test(tests, key_of_another_type_is_no_table);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
