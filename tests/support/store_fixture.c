#include "tests/support/store_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fcache.h"
#include "tests/support/client_fixture.h"
#include "tests/support/scripted_daemon.h"
#include "tests/support/scripted_store.h"

struct scripted_store *scripted_store;
struct fcache *store_cache, *store_other;

void store_set_up(void) {
  client_set_up();
  scripted_store = malloc(sizeof *scripted_store);
  ck_assert_ptr_nonnull(scripted_store);
  scripted_store_start(scripted_store);
  store_cache = client_open(scripted_store->scripted.path, CLIENT_LONG_MS);
  store_other = client_open(scripted_store->scripted.path, CLIENT_LONG_MS);
}

void store_tear_down(void) {
  fcache_close(store_cache);
  fcache_close(store_other);
  scripted_store_stop(scripted_store);
  free(scripted_store);
}

void store_lock(void) {
  ck_assert_int_eq(pthread_mutex_lock(&scripted_store->lock), 0);
}

void store_unlock(void) {
  ck_assert_int_eq(pthread_mutex_unlock(&scripted_store->lock), 0);
}

struct scripted_put store_last_put(void) {
  store_lock();
  ck_assert_uint_gt(scripted_store->n_puts, 0);
  struct scripted_put put = scripted_store->puts[scripted_store->n_puts - 1];
  store_unlock();
  return put;
}

unsigned store_puts_seen(void) {
  store_lock();
  unsigned n = scripted_store->n_puts;
  store_unlock();
  return n;
}

struct fcache_key store_key(const char *prompt) {
  return (struct fcache_key){
      .op = "op", .view = "base", .prompt = fcache_hash(prompt, strlen(prompt)), .top_k = 3};
}

void store_check_get(struct fcache *from, const char *prompt, const char *want) {
  struct fcache_key key = store_key(prompt);
  struct fcache_value value = {0};
  int rc = fcache_get(from, &key, FCACHE_UNRECORDED, &value);
  ck_assert_int_eq(rc, want == NULL ? FCACHE_MISS : FCACHE_OK);
  if (want != NULL) {
    ck_assert_uint_eq(value.size, strlen(want));
    if (value.size > 0)
      ck_assert_mem_eq(value.data, want, value.size);
  }
  fcache_value_free(&value);
}

void store_check_put(struct fcache *to, const char *prompt, const char *text, int want) {
  struct fcache_key key = store_key(prompt);
  ck_assert_int_eq(fcache_put(to, &key, text, strlen(text), 1000, 0), want);
}
