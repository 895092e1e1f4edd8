#include "client/demo/compare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/demo/util.h"

enum { HASH_AND_TOP_K = 16 + 4 };

/* Cuts the record at *at. False where the bytes are not one. */
static bool next_record(const char *bytes, size_t size, size_t *at, struct record *out) {
  const char *start = bytes + *at, *end = bytes + size;
  const char *op_end = memchr(start, '\0', (size_t)(end - start));
  const char *view_end = op_end ? memchr(op_end + 1, '\0', (size_t)(end - op_end - 1)) : NULL;
  uint32_t value_size;
  if (!view_end || (size_t)(end - view_end - 1) < HASH_AND_TOP_K + sizeof value_size)
    return false;
  const char *after_key = view_end + 1 + HASH_AND_TOP_K;
  memcpy(&value_size, after_key, sizeof value_size);
  const char *value = after_key + sizeof value_size;
  if ((size_t)(end - value) < value_size)
    return false;
  *out = (struct record){start, (size_t)(after_key - start), value, value_size};
  *at = (size_t)(value - bytes) + value_size;
  return true;
}

static char *read_whole(const char *path, size_t *size) {
  struct stat status;
  char *bytes = NULL;
  FILE *file = fopen(path, "re");
  if (file && fstat(fileno(file), &status) == 0) {
    *size = (size_t)status.st_size;
    bytes = demo_alloc(*size + 1, 1);
    if (fread(bytes, 1, *size, file) != *size) {
      free(bytes);
      bytes = NULL;
    }
  }
  if (!bytes)
    fprintf(stderr, "demo: cannot read %s: %s\n", path, strerror(errno));
  if (file)
    (void)fclose(file); /* only read from */
  return bytes;
}

int results_load(struct results *results, const char *path) {
  size_t size = 0, at = 0, capacity = 0;
  *results = (struct results){.bytes = read_whole(path, &size)};
  if (!results->bytes)
    return -1;
  while (at < size) {
    if (results->n == capacity) {
      capacity = capacity ? 2 * capacity : 1024;
      results->records = demo_realloc(results->records, capacity, sizeof *results->records);
    }
    if (!next_record(results->bytes, size, &at, &results->records[results->n])) {
      fprintf(stderr, "demo: %s is not a file of results\n", path);
      results_deinit(results);
      return -1;
    }
    results->n++;
  }
  return 0;
}

void results_deinit(struct results *results) {
  free(results->records);
  free(results->bytes);
  *results = (struct results){0};
}

static bool same_value(const struct record *a, const struct record *b) {
  return a->value_size == b->value_size && memcmp(a->value, b->value, a->value_size) == 0;
}

static int by_key(const void *a, const void *b) {
  const struct record *x = a, *y = b;
  size_t shorter = x->key_size < y->key_size ? x->key_size : y->key_size;
  int order = memcmp(x->key, y->key, shorter);
  if (order != 0)
    return order;
  return x->key_size < y->key_size ? -1 : x->key_size > y->key_size;
}

bool results_same(const struct results *a, const struct results *b, const char *what) {
  if (a->n != b->n) {
    fprintf(stderr, "demo: %s: %zu results one way, %zu the other\n", what, a->n, b->n);
    return false;
  }
  for (size_t i = 0; i < a->n; i++) {
    const struct record *x = &a->records[i], *y = &b->records[i];
    if (by_key(x, y) != 0 || !same_value(x, y)) {
      fprintf(stderr, "demo: %s: lookup %zu (%s of %s) differs between the runs\n", what, i, x->key,
              x->key + strlen(x->key) + 1);
      return false;
    }
  }
  return true;
}

size_t results_distinct(const struct results *lists, size_t n_lists, bool *consistent) {
  size_t total = 0, n = 0, distinct = 0;
  for (size_t i = 0; i < n_lists; i++)
    total += lists[i].n;
  struct record *all = demo_alloc(total, sizeof *all);
  for (size_t i = 0; i < n_lists; i++)
    for (size_t k = 0; k < lists[i].n; k++)
      all[n++] = lists[i].records[k];
  qsort(all, n, sizeof *all, by_key);
  *consistent = true;
  for (size_t i = 0; i < n; i++) {
    if (i == 0 || by_key(&all[i - 1], &all[i]) != 0)
      distinct++;
    else if (!same_value(&all[i - 1], &all[i]))
      *consistent = false;
  }
  free(all);
  return distinct;
}
