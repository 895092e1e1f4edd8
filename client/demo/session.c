#include "client/demo/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/demo/util.h"

/* What the callbacks need, on the stack of the call that they belong to. */
struct question {
  struct session *session;
  const char *op, *view;
  const struct fcache_bytes *prompts;
  uint32_t top_k;
  bool *computed; /* per prompt */
};

static void report_progress(struct session *session, bool computed) {
  char byte = computed ? PROGRESS_COMPUTED : PROGRESS_CACHED;
  if (session->progress >= 0 && write(session->progress, &byte, 1) != 1)
    session->progress = -1; /* nobody watches any more; the work goes on */
}

/* op NUL view NUL, 16 bytes of hash, u32 top_k, u32 size (both in this machine's
 * order: the file does not outlive the run), value. */
static int session_record(struct session *session, const struct fcache_key *key,
                          const struct fcache_value *value) {
  uint32_t size = (uint32_t)value->size;
  bool ok = fwrite(key->op, strlen(key->op) + 1, 1, session->results) == 1 &&
            fwrite(key->view, strlen(key->view) + 1, 1, session->results) == 1 &&
            fwrite(key->prompt.bytes, sizeof key->prompt.bytes, 1, session->results) == 1 &&
            fwrite(&key->top_k, sizeof key->top_k, 1, session->results) == 1 &&
            fwrite(&size, sizeof size, 1, session->results) == 1 &&
            (size == 0 || fwrite(value->data, size, 1, session->results) == 1);
  if (ok)
    return 0;
  fprintf(stderr, "demo: cannot write the results: %s\n", strerror(errno));
  return FCACHE_EINVAL;
}

static int compute_one(void *arg, struct fcache_value *value) {
  const struct question *q = arg;
  q->computed[0] = true;
  return ops_compute(q->session->model, q->op, q->view, q->prompts[0], q->top_k, value);
}

static int compute_misses(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  const struct question *q = arg;
  struct fcache_value value = {0};
  int r = 0;
  for (size_t i = 0; i < n && r == 0; i++) {
    q->computed[misses[i]] = true;
    r = ops_compute(q->session->model, q->op, q->view, q->prompts[misses[i]], q->top_k, &value);
    if (r == 0)
      r = fcache_batch_add(batch, value.data, value.size);
  }
  fcache_value_free(&value);
  return r;
}

/* Counts and records the answers of one question. */
static int finish(struct session *session, const struct question *q,
                  const struct fcache_hash *hashes, size_t n, const struct fcache_value *values) {
  for (size_t i = 0; i < n; i++) {
    struct fcache_key key = {q->op, q->view, hashes[i], q->top_k};
    session->lookups++;
    session->computed += q->computed[i];
    report_progress(session, q->computed[i]);
    int r = session_record(session, &key, &values[i]);
    if (r < 0)
      return r;
  }
  return 0;
}

static int failed(const struct question *q, int r) {
  fprintf(stderr, "demo: %s of %s failed: %s\n", q->op, q->view, fcache_strerror(r));
  return r;
}

int session_cached(struct session *session, const char *op, const char *view,
                   struct fcache_bytes prompt, uint32_t top_k, struct fcache_value *value) {
  bool computed = false;
  struct question q = {session, op, view, &prompt, top_k, &computed};
  struct fcache_key key = {op, view, fcache_hash(prompt.data, prompt.size), top_k};
  int r = fcache_cached(session->cache, &key, compute_one, &q, value);
  return r == 0 ? finish(session, &q, &key.prompt, 1, value) : failed(&q, r);
}

int session_batch(struct session *session, const char *op, const char *view,
                  const struct fcache_bytes *prompts, size_t n, uint32_t top_k,
                  struct fcache_value *values) {
  struct fcache_hash *hashes = demo_alloc(n, sizeof *hashes);
  bool *computed = demo_alloc(n, sizeof *computed);
  struct question q = {session, op, view, prompts, top_k, computed};
  for (size_t i = 0; i < n; i++)
    hashes[i] = fcache_hash(prompts[i].data, prompts[i].size);
  int r =
      fcache_cached_batch(session->cache, op, view, top_k, hashes, n, compute_misses, &q, values);
  r = r == 0 ? finish(session, &q, hashes, n, values) : failed(&q, r);
  free(computed);
  free(hashes);
  return r;
}
