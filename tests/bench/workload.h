/* workload.h - the keys and values of all peers.
 *
 * A set has values of one size: prompts of 60 bytes, the key text that a store with string keys
 * would use, and values whose length, first and last byte identify their key.
 *
 * A large set is in memory in the order in which it is read, and goes into the stores in another
 * order. A real caller has just made its prompt, so the prompt is in the processor's cache. Here
 * too, reading the prompt costs no cache miss, and finding the entry does. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKLOAD_OP "next_token_dist"
#define WORKLOAD_VIEW "base"
enum {
  WORKLOAD_TOP_K = 50,
  WORKLOAD_BATCH = 64,    /* keys of one get_many */
  WORKLOAD_PROMPT = 60,   /* bytes of a prompt */
  WORKLOAD_KEY_BYTES = 64 /* room for a key's text and its NUL */
};

/* Takes the time of computing a value. */
typedef void workload_compute_fn(void *arg);

struct workload {
  uint32_t size;                    /* bytes of each value */
  uint32_t n;                       /* keys */
  uint32_t pick_step, store_step;   /* from one key to the next, in either order */
  char (*prompts)[WORKLOAD_PROMPT]; /* n of them, without NUL */
  char (*keys)[WORKLOAD_KEY_BYTES]; /* n of them, NUL-terminated */
  size_t key_bytes;                 /* length of every key */
  char size_text[16];               /* `size` in decimal, so that no peer formats numbers */
  size_t size_digits;               /* its length */
  uint8_t *value;                   /* buffer of workload_value */
};

/* Makes `n` keys (at least 1). Returns 0, or -1 with a message on stderr if memory ran out; deinit
 * is allowed then. */
int workload_init(struct workload *load, uint32_t size, uint32_t n);
void workload_deinit(struct workload *load);

/* Returns the key of the `i`th operation: all in turn, far apart in the store. */
uint32_t workload_pick(const struct workload *load, uint64_t i);

/* Returns the `i`th key to store when a store is filled. */
uint32_t workload_stored(const struct workload *load, uint32_t i);

/* Returns the value of key `index`, `size` bytes, valid until the next call. */
const uint8_t *workload_value(struct workload *load, uint32_t index);

/* Writes it to `to`. */
void workload_write_value(const struct workload *load, uint32_t index, uint8_t *to);

/* Returns true if these bytes are the value of key `index`; else prints that they are not. */
bool workload_check(const struct workload *load, uint32_t index, const void *data, size_t size);

#endif
