#include "daemon/usage/usage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "daemon/base/allocator.h"
#include "daemon/base/check.h"
#include "daemon/base/users.h"
#include "proto/limits.h"
#include "proto/wall.h"

#define NAMES 3u  /* of a row, at most */
#define STEPS 32u /* rows that a search for one to give way passes, at most */
#define WORD 64u  /* bits */

struct usage_row {
  struct usage_row *next_in_bucket;
  struct usage_row *next, *prev; /* by serial */
  struct user *user;             /* charged for it; NULL: not known */
  uint64_t hash, serial;
  struct usage_counts counts;
  uint8_t kind;
  bool used;            /* counted since the search last passed it */
  uint8_t sizes[NAMES]; /* of the names; 0: none */
  char names[];         /* without padding */
};

/* A name of a kind, by which a row is found. */
struct usage_key {
  enum usage_kind kind;
  struct fc_str names[NAMES];
  uint64_t hash;
};

static_assert(FC_NAME_MAX <= UINT8_MAX, "a size fits in a byte");
static_assert((USAGE_BUCKETS & (USAGE_BUCKETS - 1)) == 0, "a mask");
static_assert((USAGE_OTHERS_BITS & (USAGE_OTHERS_BITS - 1)) == 0, "a mask");

static size_t row_bytes(size_t names_size) {
  return sizeof(struct usage_row) + names_size + ALLOCATOR_OVERHEAD_BYTES;
}

size_t usage_bytes_max(void) {
  return sizeof(struct usage) + USAGE_ROWS_MAX * row_bytes((size_t)NAMES * FC_NAME_MAX);
}

void usage_init(struct usage *usage, uint64_t seed) {
  memset(usage, 0, sizeof *usage);
  usage->seed = seed;
}

void usage_counts_add(struct usage_counts *counts, const struct usage_counts *more) {
  counts->hits += more->hits;
  counts->misses += more->misses;
  fc_sum_add(&counts->saved_ns, more->saved_ns);
  fc_sum_add(&counts->computed_ns, more->computed_ns);
  fc_sum_add(&counts->put_bytes, more->put_bytes);
}

/* ---- names ---- */

static size_t names_size(const struct usage_key *key) {
  return (size_t)key->names[0].size + key->names[1].size + key->names[2].size;
}

/* The sizes are part of the hash, or "ab","c" and "a","bc" would have one. */
static void hash_key(const struct usage *usage, struct usage_key *key) {
  uint64_t hash = usage->seed ^ (uint64_t)key->kind;
  for (uint32_t i = 0; i < NAMES; i++) {
    if (key->names[i].size > 0)
      hash = XXH3_64bits_withSeed(key->names[i].data, key->names[i].size, hash);
    hash += key->names[i].size;
  }
  key->hash = hash;
}

static struct usage_key key_of(const struct usage *usage, enum usage_kind kind,
                               const struct usage_names *names) {
  struct usage_key key = {.kind = kind, .names = {names->name_space}};
  if (kind == USAGE_KEY) {
    key.names[1] = names->op;
    key.names[2] = names->view;
  } else if (kind == USAGE_PROBE) {
    key.names[1] = names->probe;
  }
  hash_key(usage, &key);
  return key;
}

static bool is_row_of(const struct usage_row *row, const struct usage_key *key) {
  const char *at = row->names;
  if (row->hash != key->hash || row->kind != key->kind)
    return false;
  for (uint32_t i = 0; i < NAMES; i++) {
    if (row->sizes[i] != key->names[i].size ||
        (row->sizes[i] > 0 && memcmp(at, key->names[i].data, row->sizes[i]) != 0))
      return false;
    at += row->sizes[i];
  }
  return true;
}

static struct usage_row *find(const struct usage *usage, const struct usage_key *key) {
  struct usage_row *row = usage->buckets[key->hash & (USAGE_BUCKETS - 1)];
  while (row != NULL && !is_row_of(row, key))
    row = row->next_in_bucket;
  return row;
}

/* ---- others ---- */

static void add_to_others(struct usage *usage, enum usage_kind kind, uint64_t hash,
                          const struct usage_counts *more) {
  struct usage_others *others = &usage->others[kind];
  /* The low bits chose the bucket. */
  uint64_t bit = hash / USAGE_BUCKETS & (USAGE_OTHERS_BITS - 1);
  others->seen[bit / WORD] |= UINT64_C(1) << bit % WORD;
  usage_counts_add(&others->counts, more);
}

/* With k of m bits unset, the next new name sets one with probability k / m, after m / k names on
 * average. */
uint64_t usage_n_others(const struct usage *usage, enum usage_kind kind) {
  double n = 0.5; /* to round */
  uint32_t set = 0;
  for (uint32_t i = 0; i < USAGE_OTHERS_BITS / WORD; i++)
    set += (uint32_t)__builtin_popcountll(usage->others[kind].seen[i]);
  for (uint32_t unset = USAGE_OTHERS_BITS; unset > USAGE_OTHERS_BITS - set; unset--)
    n += (double)USAGE_OTHERS_BITS / unset;
  return (uint64_t)n;
}

/* ---- rows ---- */

static uint64_t rows_of(const struct usage *usage, const struct user *user) {
  return user == NULL ? usage->n_unknown : user->used[USER_USAGE_ROWS];
}

static void link_row(struct usage *usage, struct usage_row *row) {
  struct usage_row **bucket = &usage->buckets[row->hash & (USAGE_BUCKETS - 1)];
  row->next_in_bucket = *bucket;
  *bucket = row;
  row->prev = usage->last;
  *(usage->last != NULL ? &usage->last->next : &usage->first) = row;
  usage->last = row;
  usage->n++;
  check_le(usage->n, USAGE_ROWS_MAX);
}

static void unlink_row(struct usage *usage, struct usage_row *row) {
  struct usage_row **at = &usage->buckets[row->hash & (USAGE_BUCKETS - 1)];
  while (*at != row)
    at = &(*at)->next_in_bucket;
  *at = row->next_in_bucket;
  *(row->prev != NULL ? &row->prev->next : &usage->first) = row->next;
  *(row->next != NULL ? &row->next->prev : &usage->last) = row->prev;
  if (usage->hand == row)
    usage->hand = row->next;
  check_lt(0, usage->n);
  usage->n--;
}

static void free_row(struct usage *usage, struct usage_row *row) {
  size_t size = (size_t)row->sizes[0] + row->sizes[1] + row->sizes[2];
  unlink_row(usage, row);
  check_le(row_bytes(size), usage->bytes);
  usage->bytes -= row_bytes(size);
  if (row->user == NULL)
    usage->n_unknown--;
  user_uncharge(row->user, USER_USAGE_ROWS, 1);
  free(row);
}

void usage_deinit(struct usage *usage) {
  while (usage->first != NULL)
    free_row(usage, usage->first);
  check_eq(usage->bytes, 0);
  check_eq(usage->n_unknown, 0);
}

/* Returns NULL if out of memory. */
static struct usage_row *make_row(struct usage *usage, struct user *user,
                                  const struct usage_key *key) {
  size_t size = names_size(key);
  struct usage_row *row = calloc(1, sizeof *row + size);
  if (row == NULL)
    return NULL;
  row->user = user;
  row->hash = key->hash;
  row->kind = (uint8_t)key->kind;
  row->serial = ++usage->last_serial;
  char *to = row->names;
  for (uint32_t i = 0; i < NAMES; i++) {
    row->sizes[i] = (uint8_t)key->names[i].size;
    if (row->sizes[i] > 0)
      memcpy(to, key->names[i].data, row->sizes[i]);
    to += row->sizes[i];
  }
  link_row(usage, row);
  usage->bytes += row_bytes(size);
  user_charge(user, USER_USAGE_ROWS, 1);
  if (user == NULL)
    usage->n_unknown++;
  return row;
}

static bool may_give_way(const struct usage *usage, const struct usage_row *row,
                         const struct user *user, bool only_own) {
  if (row->user == user)
    return true;
  return !only_own && rows_of(usage, row->user) > rows_of(usage, user);
}

/* Moves the counts of a row to `others`, and frees it. A row that was used since the last search is
 * passed over once. Returns false if none of the next STEPS rows can give way. Later searches
 * continue behind them. */
static bool make_room(struct usage *usage, const struct user *user, bool only_own) {
  for (uint32_t steps = 0; steps < STEPS && usage->first != NULL; steps++) {
    struct usage_row *row = usage->hand != NULL ? usage->hand : usage->first;
    usage->hand = row->next;
    if (!may_give_way(usage, row, user, only_own))
      continue;
    if (row->used) {
      row->used = false;
      continue;
    }
    add_to_others(usage, (enum usage_kind)row->kind, row->hash, &row->counts);
    free_row(usage, row);
    return true;
  }
  return false;
}

/* Returns the row of the name, perhaps a new one, or NULL. */
static struct usage_row *row_for(struct usage *usage, struct user *user,
                                 const struct usage_key *key) {
  struct usage_row *row = find(usage, key);
  if (row != NULL)
    return row;
  bool in_share = user == NULL || user_can_charge(user, USER_USAGE_ROWS, 1);
  if ((!in_share || usage->n == USAGE_ROWS_MAX) && !make_room(usage, user, !in_share)) {
    if (user != NULL)
      user_count_refused(user, USER_USAGE_ROWS);
    return NULL;
  }
  return make_row(usage, user, key);
}

void usage_add(struct usage *usage, struct user *user, const struct usage_names *names,
               const struct usage_counts *more) {
  for (int kind = 0; kind < USAGE_KINDS; kind++) {
    struct usage_key key = key_of(usage, (enum usage_kind)kind, names);
    struct usage_row *row = row_for(usage, user, &key);
    if (row == NULL) {
      add_to_others(usage, key.kind, key.hash, more);
      continue;
    }
    row->used = true;
    usage_counts_add(&row->counts, more);
  }
}

/* ---- listing ---- */

static struct fc_str name_at(const struct usage_row *row, uint32_t i) {
  const char *at = row->names;
  for (uint32_t before = 0; before < i; before++)
    at += row->sizes[before];
  return row->sizes[i] == 0 ? (struct fc_str){0} : (struct fc_str){at, row->sizes[i]};
}

bool usage_next(const struct usage *usage, enum usage_kind kind, uint64_t after,
                const struct usage_row **place, struct usage_item *item) {
  const struct usage_row *row = *place == NULL ? usage->first : (*place)->next;
  while (row != NULL && (row->kind != (uint8_t)kind || row->serial <= after))
    row = row->next;
  if (row == NULL)
    return false;
  *place = row;
  *item = (struct usage_item){
      .serial = row->serial, .name_space = name_at(row, 0), .counts = &row->counts};
  if (kind == USAGE_KEY) {
    item->op = name_at(row, 1);
    item->view = name_at(row, 2);
  } else if (kind == USAGE_PROBE) {
    item->probe = name_at(row, 1);
  }
  return true;
}

const struct usage_counts *usage_of_namespace(const struct usage *usage, struct fc_str name_space) {
  struct usage_names names = {.name_space = name_space};
  struct usage_key key = key_of(usage, USAGE_NAMESPACE, &names);
  const struct usage_row *row = find(usage, &key);
  return row == NULL ? NULL : &row->counts;
}
