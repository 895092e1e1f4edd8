#include "tests/support/lives.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/expect.h"

void lives_open(struct lives *lives, uint64_t max_bytes) {
  *lives =
      (struct lives){.max_bytes = max_bytes, .max_namespaces = 8, .boot_id = 100, .catalog_fd = -1};
}

void lives_close(struct lives *lives) {
  for (size_t i = 0; i < lives->n_fds; i++)
    (void)close(lives->fds[i]);
  if (lives->catalog_fd >= 0)
    (void)close(lives->catalog_fd);
  lives->n_fds = 0;
  lives->catalog_fd = -1;
}

static void keep(struct lives *lives, int fd) {
  EXPECT(lives->n_fds < LIVES_FDS_MAX);
  lives->fds[lives->n_fds] = dup(fd);
  EXPECT(lives->fds[lives->n_fds++] >= 0);
}

void lives_prepare(struct lives *lives, struct life *life) {
  struct catalog_sizes sizes = {.areas[CATALOG_LEASES] = {256, 64}};
  struct error_text error = {0};
  memset(life, 0, sizeof *life);
  EXPECT_EQUAL(region_writer_init(&life->region, lives->max_bytes, LIVES_VALUE_MAX,
                                  ++lives->boot_id, true, &error),
               0);
  EXPECT(life->region.index_fd >= 0);
  store_catalog_sizes(&sizes);
  uint64_t chunks = life->region.arena_size / CATALOG_CHUNK_BYTES;
  if (lives->catalog_fd < 0) {
    EXPECT_EQUAL(catalog_create(&life->catalog, &sizes, chunks, true, &error), 0);
    lives->catalog_fd = dup(life->catalog.fd);
  } else {
    int rc = catalog_open(&life->catalog, dup(lives->catalog_fd), &sizes, chunks, &error);
    if (rc != 0)
      ck_abort_msg("%s", error.text);
  }
}

/* The descriptors of files that the catalog forgot are closed, as a server removes them. */
static void forget_released(struct lives *lives, const int *left) {
  size_t n = 0;
  for (size_t i = 0; i < lives->n_fds; i++)
    if (left[i] < 0)
      lives->fds[n++] = lives->fds[i];
    else
      (void)close(lives->fds[i]);
  lives->n_fds = n;
}

void lives_keep(struct lives *lives, const struct life *life) {
  int fds[FC_REGION_FDS_MAX];
  unsigned n = region_writer_fds(&life->region, fds);
  for (unsigned i = 0; i < n; i++)
    keep(lives, fds[i]);
}

void lives_start(struct lives *lives, struct life *life) {
  int fds[LIVES_FDS_MAX];
  EXPECT_EQUAL(store_init(&life->store, &life->region, &life->catalog, lives->max_bytes,
                          LIVES_VALUE_MAX, 7, 8),
               0);
  namespace_table_init(&life->table, &life->store, lives->max_namespaces);
  for (size_t i = 0; i < lives->n_fds; i++)
    fds[i] = dup(lives->fds[i]);
  EXPECT_EQUAL(store_adopt(&life->store, &life->table, fds, lives->n_fds, &life->report), 0);
  for (size_t i = 0; i < lives->n_fds; i++)
    if (fds[i] >= 0)
      (void)close(fds[i]);
  forget_released(lives, fds);
  lives_keep(lives, life);
}

void lives_begin(struct lives *lives, struct life *life) {
  lives_prepare(lives, life);
  lives_start(lives, life);
}

void lives_migrate(struct life *life) {
  while (store_background_step(&life->store))
    ;
}

void lives_kill(struct life *life) {
  int catalog_fd = dup(life->catalog.fd);
  heap_deinit(&life->store.heap);
  delete_log_deinit(&life->store.deletes);
  free(life->store.migration.clears);
  region_writer_deinit(&life->region);
  catalog_deinit(&life->catalog);
  (void)close(catalog_fd);
}

struct namespace *lives_namespace(struct life *life, const char *name) {
  struct namespace *ns = NULL;
  EXPECT_EQUAL(namespace_table_open(&life->table, fc_str_of(name), NULL, &ns), 0);
  return ns;
}

/* seeded_bytes sends messages of Check. */
static const uint8_t *bytes_of(uint64_t seed, uint32_t size) {
  static uint64_t words[LIVES_VALUE_MAX / 8 + 1];
  uint64_t x = seed * 0x9e3779b97f4a7c15u + size + 1;
  for (uint32_t i = 0; i <= size / 8; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    words[i] = x;
  }
  return (const uint8_t *)words;
}

int lives_put(struct life *life, struct namespace *ns, const struct fc_key *key, uint64_t seed,
              uint32_t size) {
  struct store_put_info info = {.origin = 5, .compute_ns = seed, .now_ns = seed};
  return store_put(&life->store, ns, key, bytes_of(seed, size), size, &info);
}

bool lives_has_value(const struct entry *entry, uint64_t seed, uint32_t size) {
  struct iovec pieces[FC_REGION_PIECES_MAX];
  const uint8_t *expected = bytes_of(seed, size);
  size_t n = entry_value(entry, pieces), done = 0;
  if (entry_value_size(entry) != size)
    return false;
  for (size_t i = 0; i < n; done += pieces[i++].iov_len)
    if (pieces[i].iov_len > size - done ||
        (pieces[i].iov_len > 0 &&
         memcmp(pieces[i].iov_base, expected + done, pieces[i].iov_len) != 0))
      return false;
  return done == size;
}
