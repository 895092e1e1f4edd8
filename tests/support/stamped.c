#include "tests/support/stamped.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES (2 * sizeof(uint64_t)) /* number, version */

struct fcache_key stamped_key(uint64_t number) {
  return (struct fcache_key){
      .op = "op", .view = "view", .prompt = fcache_hash(&number, sizeof number)};
}

/* A step of splitmix64: each bit of the result depends on each bit of both. */
static uint64_t mix(uint64_t number, uint64_t version) {
  uint64_t word = number * 0x9e3779b97f4a7c15u + version;

  word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
  word = (word ^ word >> 27) * 0x94d049bb133111ebu;
  return word ^ word >> 31;
}

static size_t size_of(uint64_t number, uint64_t version) {
  uint64_t random = mix(version, number);

  return number % 8 == 7 ? (64u << 10) + (size_t)(random % (192u << 10))
                         : HEAD_BYTES + (size_t)(random % 4081u);
}

bool stamped_make(struct fcache_value *value, uint64_t number, uint64_t version) {
  size_t size = size_of(number, version);
  uint64_t word = mix(number, version), head[] = {number, version};

  if (size > value->capacity) {
    void *data = realloc(value->data, size);
    if (!data)
      return false;
    value->data = data;
    value->capacity = size;
  }
  value->size = size;
  memcpy(value->data, head, sizeof head);
  for (size_t at = sizeof head; at < size; at += sizeof word) {
    memcpy((char *)value->data + at, &word, size - at < sizeof word ? size - at : sizeof word);
    word += 0x9e3779b97f4a7c15u;
  }
  return true;
}

bool stamped_check(const struct fcache_value *value, uint64_t number, uint64_t *version) {
  uint64_t head[2], word, differences = 0, got = 0;
  size_t at = sizeof head;

  if (value->size < sizeof head)
    return false;
  memcpy(head, value->data, sizeof head);
  if (head[0] != number || value->size != size_of(number, head[1]))
    return false;
  word = mix(number, head[1]);
  for (; value->size - at >= sizeof word; at += sizeof word, word += 0x9e3779b97f4a7c15u) {
    memcpy(&got, (const char *)value->data + at, sizeof got);
    differences |= got ^ word;
  }
  *version = head[1];
  return differences == 0 && (at == value->size ||
                              memcmp((const char *)value->data + at, &word, value->size - at) == 0);
}

int stamped_put(struct fcache *cache, struct fcache_value *value, uint64_t number,
                uint64_t version) {
  struct fcache_key key = stamped_key(number);

  if (!stamped_make(value, number, version))
    return FCACHE_ENOMEM;
  return fcache_put(cache, &key, value->data, value->size, version, FCACHE_UNRECORDED);
}
