/* workload.h - the keys and values that every peer is asked for.
 *
 * A set is a working set with values of one size: prompts of 60 bytes, the key text
 * that a store with string keys would use for the same lookup, and values whose
 * length, first and last byte say whose they are.
 *
 * A large set lies in memory in the order in which it is picked, and goes into the
 * stores in another. Who asks has his prompt in the processor's cache, because he
 * just made it; so here reading it costs no miss of that cache, and finding the
 * entry does.
 */
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

/* Takes the time that computing a value takes. */
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
  uint8_t *value;                   /* what workload_value hands out */
};

/* `n` keys, 1 or more. 0, or -1 after saying on stderr that memory ran out (deinit is
 * then allowed). */
int workload_init(struct workload *load, uint32_t size, uint32_t n);
void workload_deinit(struct workload *load);

/* The key that the `i`th operation uses: all of them in turn, far apart in the store. */
uint32_t workload_pick(const struct workload *load, uint64_t i);

/* The key that is stored as the `i`th when a store is filled. */
uint32_t workload_stored(const struct workload *load, uint32_t i);

/* The value of key `index`, `size` bytes; valid until the next call. */
const uint8_t *workload_value(struct workload *load, uint32_t index);

/* Writes it to `to`. */
void workload_write_value(const struct workload *load, uint32_t index, uint8_t *to);

/* Whether these bytes are the value of key `index`; says on stderr if not. */
bool workload_check(const struct workload *load, uint32_t index, const void *data, size_t size);

#endif
