#include "crash_keys.h"

#include <string.h>

#define HEAD_WORDS 2u /* the version and the key's number */

static const char *const spaces[] = {"crash-a", "crash-b", "crash-c", NULL};
static const char *const views[] = {"base", "ft", NULL};
static const char *const ops[] = {"op0", "op1", "op2", "leased", NULL};
_Static_assert(sizeof spaces / sizeof spaces[0] == CRASH_SPACES + 1, "a name for each");
_Static_assert(sizeof views / sizeof views[0] == CRASH_VIEWS + 1, "a name for each");
_Static_assert(sizeof ops / sizeof ops[0] == CRASH_OPS + 1, "a name for each");

const char *crash_space_name(uint32_t space) {
  return spaces[space];
}

const char *crash_view_name(uint32_t view) {
  return views[view];
}

const char *crash_op_name(uint32_t op) {
  return ops[op];
}

struct crash_place crash_key_place(uint32_t key) {
  uint32_t group = key / CRASH_WORKERS; /* the owner is key % CRASH_WORKERS */
  return (struct crash_place){
      .space = group % CRASH_SPACES,
      .view = group / CRASH_SPACES % CRASH_VIEWS,
      .op = crash_key_is_leased(key) ? CRASH_OPS - 1
                                     : group / (CRASH_SPACES * CRASH_VIEWS) % (CRASH_OPS - 1),
  };
}

struct fcache_key crash_key_of(uint32_t key) {
  struct crash_place place = crash_key_place(key);
  return (struct fcache_key){.op = ops[place.op],
                             .view = views[place.view],
                             .prompt = fcache_hash(&key, sizeof key),
                             .top_k = key};
}

/* ---- values ---- */

static uint64_t mix(uint64_t x) {
  x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
  return x ^ x >> 31;
}

static uint64_t seed_of(uint32_t key, uint64_t version) {
  return mix(version ^ (uint64_t)key << 44);
}

static uint64_t word_at(uint64_t seed, size_t i) {
  return seed + (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15);
}

/* About every second version has the key's own size, so that values are replaced in place too. */
uint32_t crash_value_size(uint32_t key, uint64_t version) {
  uint64_t random = mix(seed_of(key, version));
  uint32_t kind = (uint32_t)(random % 100), more = (uint32_t)(random >> 32);
  if ((random >> 31 & 1) != 0)
    return CRASH_VALUE_MIN + (uint32_t)(mix(key) % 4096);
  if (kind < 50)
    return CRASH_VALUE_MIN + more % 600;
  if (kind < 75)
    return 600 + more % 3400;
  if (kind < 92)
    return (4u << 10) + more % (28u << 10);
  if (kind < 98)
    return (32u << 10) + more % (96u << 10);
  return (128u << 10) + more % (CRASH_VALUE_MAX - (128u << 10) + 1);
}

static void fill_head(uint64_t head[HEAD_WORDS], uint32_t key, uint64_t version) {
  head[0] = version;
  head[1] = key;
}

void crash_value_fill(uint8_t *value, uint32_t size, uint32_t key, uint64_t version) {
  uint64_t seed = seed_of(key, version), head[HEAD_WORDS];
  for (size_t i = 0; i < size; i += 8) {
    uint64_t word = word_at(seed, i / 8);
    memcpy(value + i, &word, size - i < 8 ? size - i : 8);
  }
  fill_head(head, key, version);
  memcpy(value, head, sizeof head); /* CRASH_VALUE_MIN is larger */
}

bool crash_value_check(const void *value, size_t size, uint32_t key, uint64_t *version) {
  const uint8_t *bytes = value;
  uint64_t head[HEAD_WORDS], wrong = 0, word;
  if (size < CRASH_VALUE_MIN)
    return false;
  memcpy(head, bytes, sizeof head);
  *version = head[0];
  if (head[1] != key || size != crash_value_size(key, head[0]))
    return false;
  uint64_t seed = seed_of(key, head[0]);
  for (size_t i = HEAD_WORDS; i < size / 8; i++) {
    memcpy(&word, bytes + i * 8, 8);
    wrong |= word ^ word_at(seed, i);
  }
  word = word_at(seed, size / 8);
  return wrong == 0 && (size % 8 == 0 || memcmp(bytes + size / 8 * 8, &word, size % 8) == 0);
}
