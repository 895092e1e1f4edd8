/* compare.h - the workers' files of results, held against each other. */
#ifndef DEMO_COMPARE_H
#define DEMO_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One lookup. `key` is op NUL view NUL hash top_k: equal bytes, equal keys. Both
 * point into the file's bytes. */
struct record {
  const char *key;
  size_t key_size;
  const char *value;
  size_t value_size;
};

struct results {
  char *bytes;
  struct record *records; /* in the order of the lookups */
  size_t n;
};

/* Reads a file that session.c wrote. 0, or -1 after a line on stderr and nothing
 * to free. */
int results_load(struct results *results, const char *path);
void results_deinit(struct results *results);

/* True where both have the same keys in the same order with the same values, bit
 * for bit. Else says on stderr, with `what`, where they first differ. */
bool results_same(const struct results *a, const struct results *b, const char *what);

/* How many different keys the lists have together. *consistent is false where one
 * key has two values. */
size_t results_distinct(const struct results *lists, size_t n_lists, bool *consistent);

#endif
