/* The events of several watchers that come, go, read and fall behind, against a list of what each
 * of them selected. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/watch/watch.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

#define EVENTS 60000u /* of a random run: several rings full */
#define TAKE_BYTES 8192u

static struct watch watch;
static struct users users;

/* What a watcher must see: the numbers of the events that it selected, in order. */
static struct expected {
  struct watcher *watcher;
  uint32_t numbers[EVENTS + 1];
  uint32_t n, next;  /* selected, and seen or lost */
  uint64_t lost;     /* that it was told */
  size_t bytes_left; /* of the ring, until events that it has not read may be lost */
} expected[WATCH_MAX];

/* A long one, so that the ring is full soon. */
#define LONG "0123456789012345678901234567890123456789012345678901234567890123456789"
static const char *const names[] = {"a", "b", LONG LONG LONG};

static void set_up(void) {
  memset(&watch, 0, sizeof watch);
  memset(expected, 0, sizeof expected);
  users_init(&users, 75);
  users_set_limit(&users, USER_WATCHERS, WATCH_MAX);
}

static void tear_down(void) {
  for (unsigned i = 0; i < WATCH_MAX; i++)
    watch_end(&watch, expected[i].watcher);
  watch_deinit(&watch);
  users_deinit(&users);
}

static uint32_t random_below(uint32_t n) {
  return (uint32_t)rand() % n; /* NOLINT: seeded by the test */
}

static struct fc_str any_name(void) {
  uint32_t i = random_below(6);
  return i < 3 ? fc_str_of(names[i]) : (struct fc_str){0};
}

/* ---- the model ---- */

static bool same(struct fc_str wish, struct fc_str name, bool is_clear) {
  if (wish.data == NULL || (name.data == NULL && is_clear))
    return true;
  return name.data != NULL && fc_str_equal(wish, name);
}

static bool selects(const struct fc_watch *wish, const struct fc_event *event) {
  bool is_clear = event->kind == FC_EVENT_CLEAR;
  bool kind = wish->kinds == 0 || (wish->kinds >> event->kind & 1) != 0;
  return kind && same(wish->name_space, event->name_space, is_clear) &&
         same(wish->op, event->key.op, is_clear) && same(wish->view, event->key.view, is_clear) &&
         same(wish->client, event->client, false);
}

static void note(const struct fc_event *event) {
  for (unsigned i = 0; i < WATCH_MAX; i++) {
    struct expected *e = &expected[i];
    if (e->watcher == NULL)
      continue;
    if (selects(&e->watcher->wish, event))
      e->numbers[e->n++] = (uint32_t)event->count;
    size_t most = WATCH_EVENT_MAX + 16;
    e->bytes_left = e->bytes_left > most ? e->bytes_left - most : 0;
  }
}

static void see(struct expected *e, const struct fc_event *event, bool first) {
  if (event->kind == FC_EVENT_LOST) {
    ck_assert_msg(first, "a lost event in the middle of a reply");
    ck_assert_msg(e->bytes_left == 0, "lost, with room in the ring");
    e->lost += event->count;
    e->next += (uint32_t)event->count;
    return;
  }
  ck_assert_uint_lt(e->next, e->n);
  ck_assert_uint_eq(event->count, e->numbers[e->next]);
  e->next++;
}

/* Returns the number of events. */
static uint32_t take(struct expected *e) {
  struct fc_buf rows = {0};
  uint32_t n = watch_take(&watch, e->watcher, &rows, TAKE_BYTES);
  ck_assert(!rows.failed);
  ck_assert_uint_le(rows.size, TAKE_BYTES);
  struct fc_list_reply list = {.at = rows.data, .size = rows.size, .n = n};
  for (uint32_t i = 0; i < n; i++) {
    struct fc_event event;
    fc_events_next(&list, &event);
    see(e, &event, i == 0);
  }
  ck_assert_uint_eq(list.size, 0);
  if (!watch_has_news(e->watcher))
    e->bytes_left = EVENT_RING_BYTES;
  fc_buf_free(&rows);
  return n;
}

static void take_all(struct expected *e) {
  while (take(e) > 0)
    ;
  ck_assert(!watch_has_news(e->watcher));
  ck_assert_uint_eq(e->next, e->n);
}

static void begin(struct expected *e, struct fc_watch wish) {
  ck_assert_int_eq(watch_begin(&watch, &wish, NULL, &e->watcher), 0);
  e->n = e->next = 0;
  e->lost = 0;
  e->bytes_left = EVENT_RING_BYTES;
}

static void add(struct fc_event event) {
  enum fc_event_kind kind = (enum fc_event_kind)event.kind;
  note(&event);
  if (watch_wants(&watch, kind) && watch_only_loses(&watch, kind))
    watch_lose(&watch, kind, 1);
  else if (watch_wants(&watch, kind))
    watch_add(&watch, &event);
}

static struct fc_event any_event(uint32_t number) {
  struct fc_event event = {.kind = FC_EVENT_HIT + random_below(FC_EVENT_KINDS - 1),
                           .name_space = any_name(),
                           .key.op = any_name(),
                           .key.view = any_name(),
                           .has_prompt = random_below(2) == 0,
                           .client = any_name(),
                           .bytes = random_below(1000),
                           .count = number};
  return event;
}

/* Half of the watchers see most events, and so fall behind. */
static struct fc_watch any_wish(void) {
  struct fc_watch wish = {.kinds = random_below(2) == 0 ? 0 : random_below(256)};
  if (random_below(2) == 0)
    wish = (struct fc_watch){wish.kinds, any_name(), any_name(), any_name(), any_name()};
  return wish;
}

static void any_step(uint32_t number) {
  struct expected *e = &expected[random_below(WATCH_MAX)];
  uint32_t step = random_below(20000);
  if (number < WATCH_MAX || step < 4) {
    begin(number < WATCH_MAX ? &expected[number] : e, any_wish());
  } else if (step < 6) {
    watch_end(&watch, e->watcher);
    e->watcher = NULL;
  } else if (step < 200 && e->watcher != NULL) {
    (void)take(e);
  } else if (step < 203 && e->watcher != NULL) {
    take_all(e);
  }
  add(any_event(number));
  if (number % 97 == 0)
    watch_check(&watch);
}

START_TEST(random_steps_show_each_selected_event_once_or_as_lost) {
  uint64_t lost = 0;
  srand((unsigned)_i + 1);
  for (uint32_t number = 0; number < EVENTS; number++)
    any_step(number);
  for (unsigned i = 0; i < WATCH_MAX; i++) {
    if (expected[i].watcher == NULL)
      continue;
    take_all(&expected[i]);
    lost += expected[i].lost;
  }
  ck_assert_uint_gt(watch.lost, 0);
  ck_assert_uint_le(lost, watch.lost); /* the rest was lost by watchers that left */
}
END_TEST

/* ---- what the random steps hardly reach ---- */

START_TEST(stopped_watcher_is_told_the_exact_number) {
  begin(&expected[0], (struct fc_watch){0});
  begin(&expected[1], (struct fc_watch){.kinds = 1u << FC_EVENT_PUT});
  for (uint32_t number = 0; number < EVENTS; number++) {
    add((struct fc_event){.kind = FC_EVENT_PUT, .client = fc_str_of("a"), .count = number});
    if (number % 64 == 0)
      take_all(&expected[1]);
  }
  take_all(&expected[0]);
  take_all(&expected[1]);
  ck_assert_uint_eq(expected[1].lost, 0);
  ck_assert_uint_eq(expected[0].lost, EVENTS); /* it has never read */
  add((struct fc_event){.kind = FC_EVENT_PUT, .count = EVENTS});
  take_all(&expected[0]);
  ck_assert_uint_eq(expected[0].n, EVENTS + 1);
}
END_TEST

START_TEST(other_filter_drops_what_was_not_read) {
  begin(&expected[0], (struct fc_watch){0});
  add((struct fc_event){.kind = FC_EVENT_PUT, .count = 1});
  begin(&expected[0], (struct fc_watch){.kinds = 1u << FC_EVENT_MISS});
  add((struct fc_event){.kind = FC_EVENT_PUT, .count = 2});
  add((struct fc_event){.kind = FC_EVENT_MISS, .count = 3});
  take_all(&expected[0]);
  ck_assert_uint_eq(expected[0].n, 1);
  ck_assert_uint_eq(watch.n, 1);
}
END_TEST

START_TEST(no_watcher_wants_nothing_and_holds_no_memory) {
  ck_assert(!watch_wants(&watch, FC_EVENT_PUT));
  begin(&expected[0], (struct fc_watch){.kinds = 1u << FC_EVENT_PUT});
  ck_assert(watch_wants(&watch, FC_EVENT_PUT));
  ck_assert(!watch_wants(&watch, FC_EVENT_HIT));
  watch_end(&watch, expected[0].watcher);
  expected[0].watcher = NULL;
  ck_assert(!watch_wants(&watch, FC_EVENT_PUT));
  ck_assert_ptr_null(watch.ring.bytes);
}
END_TEST

START_TEST(longest_event_fits) {
  char name[FC_NAME_MAX];
  memset(name, 'n', sizeof name);
  struct fc_str longest = {name, sizeof name};
  begin(&expected[0], (struct fc_watch){.client = longest});
  struct fc_event event = {.kind = UINT32_MAX >> 27,
                           .time_ns = UINT64_MAX,
                           .name_space = longest,
                           .key = {.op = longest, .view = longest, .top_k = UINT32_MAX},
                           .has_prompt = true,
                           .bytes = UINT64_MAX,
                           .cost_ns = UINT64_MAX,
                           .client = longest,
                           .detail = UINT32_MAX,
                           .count = UINT32_MAX};
  for (unsigned i = 0; i < 10; i++)
    add(event);
  take_all(&expected[0]);
  ck_assert_uint_eq(expected[0].n, 10);
}
END_TEST

START_TEST(watchers_are_limited_in_all_and_for_each_user) {
  struct watcher *refused = NULL;
  struct fc_watch all = {0};
  struct user *user = users_ref(&users, 1000, true);
  unsigned n = 0;
  while (n < WATCH_MAX && watch_begin(&watch, &all, user, &expected[n].watcher) == 0)
    n++;
  ck_assert_uint_eq(n, 6); /* three quarters of 8 */
  ck_assert_ptr_null(expected[n].watcher);
  for (; n < WATCH_MAX; n++)
    ck_assert_int_eq(watch_begin(&watch, &all, NULL, &expected[n].watcher), 0);
  ck_assert_int_eq(watch_begin(&watch, &all, NULL, &refused), FC_EREFUSED);
  ck_assert_ptr_null(refused);
  watch_end(&watch, expected[0].watcher);
  expected[0].watcher = NULL;
  ck_assert_int_eq(watch_begin(&watch, &all, user, &expected[0].watcher), 0);
  user_unref(user);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("watch");
  TCase *tests = tcase_create("watch");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_set_timeout(tests, 60);
  tcase_add_loop_test(tests, random_steps_show_each_selected_event_once_or_as_lost, 0, 8);
  tcase_add_test(tests, stopped_watcher_is_told_the_exact_number);
  tcase_add_test(tests, other_filter_drops_what_was_not_read);
  tcase_add_test(tests, no_watcher_wants_nothing_and_holds_no_memory);
  tcase_add_test(tests, longest_event_fits);
  tcase_add_test(tests, watchers_are_limited_in_all_and_for_each_user);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
