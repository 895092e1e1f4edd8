#include "daemon/watch/watch.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "daemon/base/allocator.h"
#include "daemon/base/check.h"
#include "proto/errors.h"

static_assert(FC_EVENT_KINDS <= 32, "a kind has a bit");
static_assert(WATCH_EVENT_MAX <= EVENT_RING_BYTES / 8, "event_ring_append takes it");

/* ---- watchers ---- */

/* The struct itself is part of the daemon's data. The buffer doubles. */
size_t watch_bytes_max(void) {
  return sizeof(struct watch) + EVENT_RING_BYTES + (size_t)2 * WATCH_EVENT_MAX +
         (size_t)2 * ALLOCATOR_OVERHEAD_BYTES;
}

void watch_deinit(struct watch *watch) {
  check_eq(watch->n, 0);
  event_ring_close(&watch->ring);
  fc_buf_free(&watch->buf);
}

static bool selects_by_name(const struct fc_watch *wish) {
  return wish->name_space.data != NULL || wish->op.data != NULL || wish->view.data != NULL ||
         wish->client.data != NULL;
}

/* Call it when a watcher came, went or lapsed, or took its number of lost events. */
static void update_kinds(struct watch *watch) {
  watch->kinds = watch->detailed = 0;
  for (unsigned i = 0; i < WATCH_MAX; i++) {
    const struct watcher *watcher = &watch->watchers[i];
    if (!watcher->in_use)
      continue;
    watch->kinds |= watcher->wish.kinds;
    if (watcher->lost == 0 || selects_by_name(&watcher->wish))
      watch->detailed |= watcher->wish.kinds;
  }
}

static struct fc_str copy_name(char to[FC_NAME_MAX], struct fc_str name) {
  if (name.data == NULL)
    return name;
  check_le(name.size, FC_NAME_MAX);
  memcpy(to, name.data, name.size);
  return (struct fc_str){to, name.size};
}

static void set_wish(struct watch *watch, struct watcher *watcher, const struct fc_watch *wish) {
  watcher->wish = (struct fc_watch){.kinds = wish->kinds == 0 ? UINT32_MAX : wish->kinds,
                                    .name_space = copy_name(watcher->names[0], wish->name_space),
                                    .op = copy_name(watcher->names[1], wish->op),
                                    .view = copy_name(watcher->names[2], wish->view),
                                    .client = copy_name(watcher->names[3], wish->client)};
  watcher->cursor = watch->ring.head;
  watcher->unread = watcher->lost = 0;
  update_kinds(watch);
}

int watch_begin(struct watch *watch, const struct fc_watch *wish, struct user *user,
                struct watcher **watcher) {
  if (*watcher != NULL) {
    set_wish(watch, *watcher, wish);
    return 0;
  }
  if (watch->n == WATCH_MAX)
    return FC_EREFUSED;
  if (!user_can_charge(user, USER_WATCHERS, 1)) {
    user_count_refused(user, USER_WATCHERS);
    return FC_EREFUSED;
  }
  if (watch->ring.bytes == NULL && event_ring_open(&watch->ring) < 0)
    return FC_ENOMEM;
  unsigned i = 0;
  while (watch->watchers[i].in_use)
    i++;
  check_lt(i, WATCH_MAX);
  *watcher = &watch->watchers[i];
  **watcher = (struct watcher){.in_use = true, .bit = 1u << i, .user = user};
  watch->n++;
  user_charge(user, USER_WATCHERS, 1);
  set_wish(watch, *watcher, wish);
  return 0;
}

void watch_end(struct watch *watch, struct watcher *watcher) {
  if (watcher == NULL)
    return;
  struct user *user = watcher->user;
  check_lt(0, watch->n);
  *watcher = (struct watcher){0};
  update_kinds(watch);
  if (--watch->n == 0)
    event_ring_close(&watch->ring);
  user_uncharge(user, USER_WATCHERS, 1); /* last, as it may free the user */
}

/* ---- adding ---- */

static void lose(struct watch *watch, struct watcher *watcher, uint64_t n) {
  bool lapses = watcher->lost == 0 && n > 0;
  watcher->lost += n;
  watch->lost += n;
  if (lapses)
    update_kinds(watch);
}

/* All unread events are lost together. So those that are lost precede those that are unread. */
static void lapse(struct watch *watch, struct watcher *watcher) {
  uint64_t unread = watcher->unread;
  watcher->unread = 0;
  lose(watch, watcher, unread);
}

void watch_lose(struct watch *watch, enum fc_event_kind kind, uint64_t n) {
  for (unsigned i = 0; i < WATCH_MAX; i++) {
    struct watcher *watcher = &watch->watchers[i];
    if (!watcher->in_use || (watcher->wish.kinds & 1u << kind) == 0)
      continue;
    assert(watcher->lost > 0);
    lose(watch, watcher, n);
  }
}

static bool name_matches(struct fc_str wish, struct fc_str name, bool none_is_all) {
  return wish.data == NULL || (name.data == NULL ? none_is_all : fc_str_equal(wish, name));
}

static bool matches(const struct fc_watch *wish, const struct fc_event *event) {
  if ((wish->kinds & 1u << event->kind) == 0)
    return false;
  bool is_clear = event->kind == FC_EVENT_CLEAR; /* of all, if it has no name */
  return name_matches(wish->name_space, event->name_space, is_clear) &&
         name_matches(wish->op, event->key.op, is_clear) &&
         name_matches(wish->view, event->key.view, is_clear) &&
         name_matches(wish->client, event->client, false);
}

uint32_t watch_select(struct watch *watch, const struct fc_event *event) {
  uint32_t readers = 0;
  for (unsigned i = 0; i < WATCH_MAX; i++) {
    struct watcher *watcher = &watch->watchers[i];
    if (!watcher->in_use || !matches(&watcher->wish, event))
      continue;
    if (watcher->lost > 0)
      lose(watch, watcher, 1);
    else
      readers |= watcher->bit;
  }
  return readers;
}

static uint64_t real_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A watcher whose events were all read, or were for others, only skips the overwritten events. */
static void catch_up(struct watch *watch) {
  for (unsigned i = 0; i < WATCH_MAX; i++) {
    struct watcher *watcher = &watch->watchers[i];
    if (!watcher->in_use || watcher->cursor >= watch->ring.tail)
      continue;
    lapse(watch, watcher);
    watcher->cursor = watch->ring.tail;
  }
}

void watch_append(struct watch *watch, struct fc_event *event, uint32_t readers) {
  if (event->time_ns == 0)
    event->time_ns = real_ns();
  fc_buf_reset(&watch->buf);
  int rc = fc_encode_event(&watch->buf, event);
  check_le(watch->buf.size, WATCH_EVENT_MAX);
  if (rc == 0)
    event_ring_append(&watch->ring, readers, watch->buf.data, watch->buf.size);
  catch_up(watch);
  for (unsigned i = 0; i < WATCH_MAX; i++) {
    struct watcher *watcher = &watch->watchers[i];
    if ((readers & watcher->bit) == 0)
      continue;
    if (rc < 0)
      lapse(watch, watcher);
    if (rc < 0 || watcher->lost > 0)
      lose(watch, watcher, 1);
    else
      watcher->unread++;
  }
}

/* ---- taking ---- */

static uint32_t take_lost(struct watch *watch, struct watcher *watcher, struct fc_buf *rows) {
  if (watcher->lost == 0)
    return 0;
  struct fc_event event = {.kind = FC_EVENT_LOST, .time_ns = real_ns(), .count = watcher->lost};
  (void)fc_encode_event(rows, &event); /* the caller checks `failed` */
  watcher->lost = 0;
  watcher->cursor = watch->ring.head;
  update_kinds(watch);
  return 1;
}

uint32_t watch_take(struct watch *watch, struct watcher *watcher, struct fc_buf *rows,
                    size_t max_bytes) {
  const uint8_t *data;
  size_t size, start = rows->size;
  uint64_t after;
  uint32_t n = take_lost(watch, watcher, rows);
  while (watcher->unread > 0 &&
         event_ring_next(&watch->ring, watcher->bit, &watcher->cursor, &data, &size, &after) &&
         rows->size - start + size <= max_bytes) {
    (void)fc_buf_append(rows, data, size); /* the caller checks `failed` */
    watcher->cursor = after;
    watcher->unread--;
    n++;
  }
  return n;
}

void watch_check(const struct watch *watch) {
  uint32_t n = 0;
  for (unsigned i = 0; i < WATCH_MAX; i++) {
    const struct watcher *watcher = &watch->watchers[i];
    const uint8_t *data;
    size_t size;
    uint64_t cursor = watcher->cursor, unread = 0;
    n += watcher->in_use;
    assert(watcher->lost == 0 || watcher->unread == 0);
    if (!watcher->in_use || watcher->lost > 0)
      continue;
    while (event_ring_next(&watch->ring, watcher->bit, &cursor, &data, &size, &cursor))
      unread++;
    check_eq(watcher->unread, unread);
  }
  check_eq(watch->n, n);
}
