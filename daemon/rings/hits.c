#include "daemon/rings/hits.h"

#include <assert.h>
#include <string.h>

#include "daemon/base/check.h"
#include "proto/wall.h"

#define HIT_MIN_NS 50u /* no client serves a hit in less */
#define TEMPLATES 4u   /* of trace lines: a client mostly alternates between few contexts */

static bool is_recorded(const struct ring_hit *hit) {
  return (hit->record.flags & FC_RING_UNRECORDED) == 0;
}

/* Returns when the hit was served, or now if the record's time is impossible: the client is in
 * another time namespace, or lies. */
static uint64_t end_of(const struct hits_account *account, const struct client_clock *clock,
                       const struct fc_ring_hit *record) {
  bool plausible = record->end_ns >= account->time->since_ns && record->end_ns <= clock->now_ns;
  return plausible ? record->end_ns : clock->now_ns;
}

static uint32_t hint_of(const struct ring_hit *hit) {
  return (uint32_t)(hit->record.origin >> 32);
}

/* Finds the entry by its key: the hint fails if the entry was put again. NULL: it is gone. */
static struct entry *look_up(const struct hits_account *account, const struct ring_hit *hit) {
  struct fc_key key = {
      .op = ring_hit_op(hit), .view = ring_hit_view(hit), .top_k = hit->record.top_k};
  memcpy(key.prompt.bytes, hit->record.prompt, FC_HASH_SIZE);
  return store_peek_digest(account->store, account->ns, hit->record.digest, &key);
}

/* Finds the entries of all hits. With a million entries each is in cache lines that the CPU does
 * not have, so the lines of the whole batch are prefetched first. */
static void find_all(struct hits_account *const accounts[], const struct ring_hit *hits, size_t n,
                     struct entry *found[RING_READER_BATCH]) {
  for (size_t i = 0; i < n; i++)
    store_prefetch(accounts[i]->store, hint_of(&hits[i]));
  for (size_t i = 0; i < n; i++)
    found[i] = store_peek_hint(accounts[i]->store, accounts[i]->ns, hint_of(&hits[i]),
                               hits[i].record.digest);
  for (size_t i = 0; i < n; i++)
    if (found[i] == NULL)
      found[i] = look_up(accounts[i], &hits[i]);
}

static void count(struct hits_account *account, const struct client_clock *clock,
                  struct fc_ring_hit *record) {
  struct counters *sets[] = {&account->ns->counters, account->counters};
  struct hits_pending *pending = &account->pending[record->context];
  uint64_t saved_ns = client_time_compute_ns(record->compute_ns);
  bool shared = (uint32_t)record->origin != account->origin;
  record->wall_ns = client_time_charge(account->time, clock->now_ns, record->wall_ns);
  account->hits++;
  account->shared_hits += shared;
  if (account->times != NULL)
    fc_histogram_add(account->times, record->wall_ns);
  counters_hit(sets, sizeof sets / sizeof sets[0], record->wall_ns, saved_ns, shared);
  account->has_pending = true;
  pending->hits++;
  fc_sum_add(&pending->saved_ns, saved_ns);
}

void hits_flush_usage(struct hits_account *account, const struct ring_reader *reader) {
  if (!account->has_pending)
    return;
  account->has_pending = false;
  for (uint32_t i = 0; i < FC_RING_CONTEXTS; i++) {
    const struct ring_hit hit = {.context = &reader->contexts[i]};
    struct hits_pending *pending = &account->pending[i];
    if (pending->hits == 0)
      continue;
    struct usage_names names = {.name_space = account->name_space,
                                .op = ring_hit_op(&hit),
                                .view = ring_hit_view(&hit),
                                .probe = ring_hit_probe(&hit)};
    struct usage_counts more = {.hits = pending->hits, .saved_ns = pending->saved_ns};
    usage_add(account->usage, account->user, &names, &more);
    usage_counts_add(account->client_usage, &more);
    *pending = (struct hits_pending){0};
  }
}

size_t hits_count(struct hits_account *const accounts[], const struct client_clock *clock,
                  struct ring_hit *hits, size_t n) {
  struct entry *found[RING_READER_BATCH];
  size_t counted = 0;
  check_le(n, RING_READER_BATCH);
  find_all(accounts, hits, n, found);
  for (size_t i = 0; i < n; i++) {
    uint64_t end_ns = end_of(accounts[i], clock, &hits[i].record);
    assert(accounts[i]->store == accounts[0]->store);
    namespace_use(accounts[i]->ns, end_ns);
    if (found[i] != NULL)
      store_use(accounts[i]->store, found[i], end_ns);
    if (!is_recorded(&hits[i]))
      continue;
    count(accounts[i], clock, &hits[i].record);
    counted++;
  }
  check_le(counted, n);
  return counted;
}

uint64_t hits_count_unrecorded(struct hits_account *account, uint64_t now_ns, uint64_t n) {
  uint64_t most = FC_RING_SLOTS_MAX + (now_ns - account->started_ns) / HIT_MIN_NS;
  uint64_t left = most > account->unrecorded ? most - account->unrecorded : 0;
  uint64_t counted = n < left ? n : left;
  account->unrecorded += counted;
  check_le(counted, n);
  return counted;
}

/* The rendered names of the contexts of one client's hits. */
struct templates {
  const struct ring_context *contexts[TEMPLATES]; /* NULL: the template is not rendered */
  struct trace_template of[TEMPLATES];
};

static struct trace_template *get_template(struct templates *templates,
                                           const struct hits_account *account,
                                           const struct ring_hit *hit) {
  uint32_t i = hit->record.context % TEMPLATES;
  if (templates->contexts[i] != hit->context) {
    struct trace_context context = {.probe = ring_hit_probe(hit),
                                    .view = ring_hit_view(hit),
                                    .op = ring_hit_op(hit),
                                    .name_space = account->name_space,
                                    .client = account->client,
                                    .hit = true};
    trace_template_init(&templates->of[i], &context);
    templates->contexts[i] = hit->context;
  }
  return &templates->of[i];
}

void hits_trace(const struct hits_account *account, const struct client_clock *clock,
                const struct ring_hit *hits, size_t n) {
  if (!trace_is_on(account->trace))
    return;
  struct templates templates;
  memset(templates.contexts, 0, sizeof templates.contexts);
  for (size_t i = 0; i < n; i++) {
    const struct fc_ring_hit *record = &hits[i].record;
    if (!is_recorded(&hits[i]))
      continue;
    struct trace_event event = {
        .ts_ns = client_time_stamp(account->time, clock, end_of(account, clock, record)),
        .wall_ns = record->wall_ns,
        .top_k = record->top_k};
    memcpy(event.prompt.bytes, record->prompt, FC_HASH_SIZE);
    trace_append(account->trace, get_template(&templates, account, &hits[i]), &event);
  }
}

/* Fills in what select does not need: the entry may not be in the CPU's caches. */
static void add_hit(const struct hits_account *account, const struct client_clock *clock,
                    const struct ring_hit *hit, struct fc_event *event, uint32_t readers) {
  const struct entry *entry = look_up(account, hit);
  event->has_prompt = true;
  memcpy(event->key.prompt.bytes, hit->record.prompt, FC_HASH_SIZE);
  event->key.top_k = hit->record.top_k;
  event->bytes = entry == NULL ? 0 : entry_value_size(entry);
  event->cost_ns = client_time_compute_ns(hit->record.compute_ns);
  event->time_ns = client_time_stamp(account->time, clock, end_of(account, clock, &hit->record));
  watch_append(account->watch, event, readers);
}

static size_t recorded_among(const struct ring_hit *hits, size_t n) {
  size_t recorded = 0;
  for (size_t i = 0; i < n; i++)
    recorded += is_recorded(&hits[i]);
  return recorded;
}

void hits_watch(const struct hits_account *account, const struct client_clock *clock,
                const struct ring_hit *hits, size_t n) {
  if (account->watch == NULL || !watch_wants(account->watch, FC_EVENT_HIT))
    return;
  if (watch_only_loses(account->watch, FC_EVENT_HIT)) {
    watch_lose(account->watch, FC_EVENT_HIT, recorded_among(hits, n));
    return;
  }
  struct fc_event event = {.kind = FC_EVENT_HIT,
                           .name_space = account->name_space,
                           .client = account->client,
                           .detail = FC_HIT_REGION};
  for (size_t i = 0; i < n; i++) {
    if (!is_recorded(&hits[i]))
      continue;
    event.key.op = ring_hit_op(&hits[i]);
    event.key.view = ring_hit_view(&hits[i]);
    uint32_t readers = watch_select(account->watch, &event);
    if (readers != 0)
      add_hit(account, clock, &hits[i], &event, readers);
  }
}
