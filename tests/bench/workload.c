#include "tests/bench/workload.h"

#include "tests/bench/key_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The distance from one key to the next, or somewhat more. A large set is one whose prompts exceed
 * the processor's nearer caches. */
enum { STEP = 617, LARGE_STEP = 618033, LARGE_SET = 10000 };

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

static void write_prompt(struct workload *load, uint32_t index) {
  char text[WORKLOAD_PROMPT + 64];
  int length =
      snprintf(text, sizeof(text), "Of %07u and %07u it is likely that the next word would be",
               load->size, index);
  memset(load->prompts[index], '.', WORKLOAD_PROMPT);
  memcpy(load->prompts[index], text,
         (size_t)length < WORKLOAD_PROMPT ? (size_t)length : WORKLOAD_PROMPT);
}

int workload_init(struct workload *load, uint32_t size, uint32_t n) {
  bool large = n >= LARGE_SET;
  char key[WORKLOAD_KEY_BYTES];
  *load = (struct workload){.size = size,
                            .n = n,
                            .pick_step = large ? 1 : step_through(STEP, n) % n,
                            .store_step = large ? step_through(LARGE_STEP, n) % n : 1};
  load->size_digits = (size_t)snprintf(load->size_text, sizeof(load->size_text), "%" PRIu32, size);
  load->prompts = calloc(n, sizeof(*load->prompts));
  load->value = malloc(size);
  if (load->prompts == NULL || load->value == NULL) {
    fprintf(stderr, "bench: out of memory for %u keys with values of %u bytes\n", n, size);
    return -1;
  }
  for (uint32_t i = 0; i < n; i++)
    write_prompt(load, i);
  load->key_bytes = (size_t)(workload_key_text(load, 0, key) - key);
  for (uint32_t i = 0; i < size; i++)
    load->value[i] = (uint8_t)(i * 31u);
  return 0;
}

void workload_deinit(struct workload *load) {
  free(load->prompts);
  free(load->value);
  *load = (struct workload){0};
}

uint32_t workload_next(const struct workload *load, uint32_t index) {
  uint32_t next = index + load->pick_step;
  return next < load->n ? next : next - load->n; /* without a division, which all rows would pay */
}

uint32_t workload_stored(const struct workload *load, uint32_t i) {
  return (uint32_t)((uint64_t)i * load->store_step % load->n);
}

char *workload_key_text(const struct workload *load, uint32_t index, char *to) {
  return key_text(to, WORKLOAD_NAMESPACE, WORKLOAD_OP, WORKLOAD_VIEW, WORKLOAD_TOP_K,
                  load->prompts[index], WORKLOAD_PROMPT);
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
