#include "tests/bench/workload.h"

#include "fcache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The distance from one key to the next, or somewhat more. */
enum { STEP = 617, LARGE_STEP = 618033, LARGE_SET = 100000 };

/* Returns the first step from `least` on that reaches every one of `n` keys. */
static uint32_t step_through(uint32_t least, uint32_t n) {
  for (uint32_t step = least;; step++) {
    uint32_t a = step;
    uint32_t b = n;
    while (b != 0) {
      uint32_t rest = a % b;
      a = b;
      b = rest;
    }
    if (a == 1)
      return step;
  }
}

static uint8_t first_byte(uint32_t index) {
  return (uint8_t)(index * 7u + 1u);
}

static uint8_t last_byte(uint32_t index) {
  return (uint8_t)(index * 13u + 2u);
}

static void name_key(struct workload *load, uint32_t index) {
  char text[WORKLOAD_PROMPT + 64];
  int length =
      snprintf(text, sizeof(text), "Of %07u and %07u it is likely that the next word would be",
               load->size, index);
  memset(load->prompts[index], '.', WORKLOAD_PROMPT);
  memcpy(load->prompts[index], text,
         (size_t)length < WORKLOAD_PROMPT ? (size_t)length : WORKLOAD_PROMPT);

  struct fcache_hash hash = fcache_hash(load->prompts[index], WORKLOAD_PROMPT);
  static const char digits[] = "0123456789abcdef";
  char hex[33] = "";
  for (size_t i = 0; i < sizeof(hash.bytes); i++) {
    hex[2 * i] = digits[hash.bytes[i] >> 4];
    hex[2 * i + 1] = digits[hash.bytes[i] & 15];
  }
  (void)snprintf(load->keys[index], WORKLOAD_KEY_BYTES, "bench:%s:%s:%d:%s", WORKLOAD_OP,
                 WORKLOAD_VIEW, WORKLOAD_TOP_K, hex); /* 62 bytes */
}

int workload_init(struct workload *load, uint32_t size, uint32_t n) {
  bool large = n >= LARGE_SET;
  *load = (struct workload){.size = size,
                            .n = n,
                            .pick_step = large ? 1 : step_through(STEP, n),
                            .store_step = large ? step_through(LARGE_STEP, n) : 1};
  load->size_digits = (size_t)snprintf(load->size_text, sizeof(load->size_text), "%" PRIu32, size);
  load->prompts = calloc(n, sizeof(*load->prompts));
  load->keys = calloc(n, sizeof(*load->keys));
  load->value = malloc(size);
  if (load->prompts == NULL || load->keys == NULL || load->value == NULL) {
    fprintf(stderr, "bench: out of memory for %u keys with values of %u bytes\n", n, size);
    return -1;
  }
  for (uint32_t i = 0; i < n; i++)
    name_key(load, i);
  load->key_bytes = strlen(load->keys[0]);
  for (uint32_t i = 0; i < size; i++)
    load->value[i] = (uint8_t)(i * 31u);
  return 0;
}

void workload_deinit(struct workload *load) {
  free(load->prompts);
  free(load->keys);
  free(load->value);
  *load = (struct workload){0};
}

uint32_t workload_pick(const struct workload *load, uint64_t i) {
  return (uint32_t)(i * load->pick_step % load->n);
}

uint32_t workload_stored(const struct workload *load, uint32_t i) {
  return (uint32_t)((uint64_t)i * load->store_step % load->n);
}

const uint8_t *workload_value(struct workload *load, uint32_t index) {
  load->value[0] = first_byte(index);
  load->value[load->size - 1] = last_byte(index);
  return load->value;
}

void workload_write_value(const struct workload *load, uint32_t index, uint8_t *to) {
  memcpy(to, load->value, load->size);
  to[0] = first_byte(index);
  to[load->size - 1] = last_byte(index);
}

bool workload_check(const struct workload *load, uint32_t index, const void *data, size_t size) {
  const uint8_t *bytes = data;
  if (size == load->size && bytes[0] == first_byte(index) && bytes[size - 1] == last_byte(index))
    return true;
  fprintf(stderr, "bench: a wrong value for key %u of %u bytes: %zu bytes came\n", index,
          load->size, size);
  return false;
}
