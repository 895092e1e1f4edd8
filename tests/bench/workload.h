/* workload.h - the keys and values of all peers.
 *
 * A set has values of one size, under prompts of 60 bytes. A value's length, first and last byte
 * identify its key.
 *
 * A large set is in memory in the order in which it is read, and goes into the stores in another
 * order. A real caller has just made its prompt, so the prompt is in the processor's cache. Here
 * too, reading the prompt costs no cache miss, and finding the entry does. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORKLOAD_NAMESPACE "bench"
#define WORKLOAD_OP "next_token_dist"
#define WORKLOAD_VIEW "base"
enum {
  WORKLOAD_TOP_K = 50,
  WORKLOAD_BATCH = 64,    /* keys of one get_many */
  WORKLOAD_PROMPT = 60,   /* bytes of a prompt */
  WORKLOAD_KEY_BYTES = 64 /* room for a key's text, and for a NUL behind it */
};

/* Takes the time of computing a value. */
typedef void workload_compute_fn(void *arg);

struct workload {
  uint32_t size;                    /* bytes of each value */
  uint32_t n;                       /* keys */
  uint32_t pick_step, store_step;   /* from one key to the next, in either order; below n */
  char (*prompts)[WORKLOAD_PROMPT]; /* n of them, without NUL */
  size_t key_bytes;                 /* length of every key's text */
  char size_text[16];               /* `size` in decimal, so that no peer formats numbers */
  size_t size_digits;               /* its length */
  uint8_t *value;                   /* buffer of workload_value */
};

/* Makes `n` keys (at least 1). Returns 0, or -1 with a message on stderr if memory ran out; deinit
 * is allowed then. */
int workload_init(struct workload *load, uint32_t size, uint32_t n);
void workload_deinit(struct workload *load);

/* Returns the key to read after key `index`: all in turn, far apart in the store. */
uint32_t workload_next(const struct workload *load, uint32_t index);

/* Returns the `i`th key to store when a store is filled. */
uint32_t workload_stored(const struct workload *load, uint32_t i);

/* Hashes the prompt of key `index` and writes the key of stores with text keys to `to`, which has
 * room for WORKLOAD_KEY_BYTES: key_bytes bytes and no NUL. Returns their end. */
char *workload_key_text(const struct workload *load, uint32_t index, char *to);

/* Returns the value of key `index`, `size` bytes, valid until the next call. */
const uint8_t *workload_value(struct workload *load, uint32_t index);

/* Writes it to `to`. */
void workload_write_value(const struct workload *load, uint32_t index, uint8_t *to);

/* Returns true if these bytes are the value of key `index`; else prints that they are not. */
bool workload_check(const struct workload *load, uint32_t index, const void *data, size_t size);

#endif
