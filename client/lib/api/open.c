/* Opening, closing, and puts of one key. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/api/handle.h"
#include "client/lib/util/fork_check.h"
#include "client/lib/util/value.h"
#include "proto/errors.h"
#include "proto/wall.h"

#define DEADLINE_DEFAULT_MS 250u

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

static int fail_open(struct fcache *cache, int code, const char *text, struct fcache_error *error) {
  if (error != NULL) {
    error->code = handle_code(code);
    (void)snprintf(error->text, sizeof error->text, "%s", text); /* cut where longer */
  }
  fcache_close(cache);
  return handle_code(code);
}

void fcache_set_wait(struct fcache *cache, uint32_t wait_ms) {
  cache->wait_ms = wait_ms == 0 ? cache->lease_ms : wait_ms == FCACHE_NO_WAIT ? 0 : wait_ms;
}

static int open_handle(const struct fcache_options *options, struct fcache *cache) {
  const char *disable = environment("FCACHE_DISABLE"), *region = environment("FCACHE_REGION");
  uint32_t deadline_ms = options->deadline_ms != 0 ? options->deadline_ms : DEADLINE_DEFAULT_MS;
  struct link_options link_options = {
      .socket = options->socket,
      .name_space =
          options->name_space != NULL ? options->name_space : environment("FCACHE_NAMESPACE"),
      .client = options->client,
      .deadline_ns = (uint64_t)deadline_ms * 1000000u,
      .max_entries = options->max_entries,
      .max_bytes = options->max_bytes,
      .manifest = options->manifest,
      .log = options->log,
      .log_arg = options->log_arg,
      .disabled = disable != NULL && strcmp(disable, "0") != 0,
      .region = region == NULL || strcmp(region, "0") != 0,
  };
  cache->asker = (struct wait_asker){.ask = options->waiting, .arg = options->waiting_arg};
  cache->lease_ms = options->lease_ms != 0 ? options->lease_ms : FC_LEASE_MS_DEFAULT;
  fcache_set_wait(cache, options->wait_ms);
  int rc = link_init(&cache->link, &link_options);
  if (rc < 0)
    return rc;
  if (link_options.name_space == NULL && !link_options.disabled)
    return link_fault(&cache->link, FC_ENONAMESPACE, "%s", fc_error_text(FC_ENONAMESPACE));
  rc = link_open(&cache->link);
  bool is_ours = rc == FC_EMAXENTRIES || rc == FC_ENAME || rc == FC_ENONAMESPACE || rc == FC_EINVAL;
  return is_ours ? rc : 0; /* a daemon that is absent, full or of another version is no error */
}

int fcache_open(const struct fcache_options *options, struct fcache **out,
                struct fcache_error *error) {
  static const struct fcache_options defaults = FCACHE_OPTIONS_INIT;
  if (out == NULL)
    return FCACHE_EINVAL;
  *out = NULL;
  if (options == NULL)
    options = &defaults;
  if (options->struct_size != sizeof *options)
    return fail_open(NULL, FC_EINVAL,
                     "the options' struct_size is not this library's: use FCACHE_OPTIONS_INIT, and "
                     "build against the header of the library that is loaded",
                     error);
  struct fcache *cache = calloc(1, sizeof *cache);
  if (cache == NULL)
    return fail_open(NULL, FC_ENOMEM, "no memory for a handle", error);
  int rc = open_handle(options, cache);
  if (rc < 0)
    return fail_open(cache, rc, cache->link.error, error);
  *out = cache;
  return FCACHE_OK;
}

void fcache_close(struct fcache *cache) {
  if (cache == NULL)
    return;
  link_deinit(&cache->link);
  recent_clear(&cache->misses);
  free(cache);
}

const char *fcache_last_error(const struct fcache *cache) {
  return cache->link.error;
}

bool fcache_connected(const struct fcache *cache) {
  return cache->link.state == LINK_UP && !fork_mark_is_child(cache->link.fork_mark);
}

void fcache_get_counters(const struct fcache *cache, struct fcache_counters *out) {
  if (fork_mark_is_child(cache->link.fork_mark)) {
    *out = (struct fcache_counters){0}; /* a child that has not used the handle yet */
    return;
  }
  *out = cache->counters;
  out->reconnects = cache->link.connections > 0 ? cache->link.connections - 1 : 0;
  out->unrecorded = cache->link.plane.unrecorded;
}

struct fcache_hash fcache_hash(const void *prompt, size_t size) {
  struct fc_hash hash = fc_hash_prompt(prompt, size);
  struct fcache_hash out;
  static_assert(sizeof out == sizeof hash, "the public hash is the protocol's");
  memcpy(&out, &hash, sizeof out);
  return out;
}

int fcache_set_probe(struct fcache *cache, const char *probe) {
  if (probe == NULL) {
    cache->probe[0] = '\0';
    return FCACHE_OK;
  }
  struct fc_str text = fc_str_of(probe);
  if (!fc_name_valid(text))
    return link_fault(&cache->link, FC_ENAME, "probe \"%.64s\": %s", probe,
                      fc_error_text(FC_ENAME));
  memcpy(cache->probe, probe, text.size + 1u);
  return FCACHE_OK;
}

struct fc_str handle_probe(const struct fcache *cache) {
  return cache->probe[0] == '\0' ? (struct fc_str){0} : fc_str_of(cache->probe);
}

void handle_enter(struct fcache *cache) {
  if (!link_forked(&cache->link)) {
    plane_release_dead(&cache->link.plane);
    return;
  }
  cache->counters = (struct fcache_counters){0};
  recent_clear(&cache->misses);
}

void handle_charge(struct fcache *cache, uint64_t wall_ns) {
  fc_sum_add(&cache->counters.scoring_wall_ns, wall_ns);
}

uint64_t handle_compute_ns(const struct fcache *cache, uint64_t start_ns, uint64_t before_ns) {
  uint64_t took_ns = channel_clock_ns() - start_ns, now_ns = cache->counters.scoring_wall_ns;
  uint64_t nested_ns = now_ns > before_ns ? now_ns - before_ns : 0; /* a child's start at 0 */
  return took_ns > nested_ns ? took_ns - nested_ns : 0;
}

bool handle_ready(struct fcache *cache) {
  if (link_ready(&cache->link))
    return true;
  if (!cache->link.disabled)
    cache->counters.degraded++;
  return false;
}

bool handle_insist(struct fcache *cache) {
  if (link_open(&cache->link) == 0)
    return true;
  if (!cache->link.disabled)
    cache->counters.degraded++;
  return false;
}

int handle_outcome(struct fcache *cache, int rc, int degraded) {
  if (rc == 0 || rc == FC_EINVAL || rc == FC_ENAME || rc == FC_ETOOBIG || rc == FC_ENONAMESPACE)
    return rc;
  cache->counters.degraded++;
  return degraded;
}

/* An epoch of another daemon is older than any of this one. */
static bool is_older(const struct fcache *cache, struct fc_epoch a, struct fc_epoch b) {
  if (a.boot_id != b.boot_id)
    return a.boot_id != cache->link.epoch.boot_id;
  return a.clear_generation < b.clear_generation;
}

bool handle_missed(struct fcache *cache, const struct fc_key *key,
                   const struct fcache_hash *prompts, size_t n, struct recent_miss *out) {
  struct fc_key one = *key;
  bool any = false, reached = true, leased = n > 0;
  *out = (struct recent_miss){0};
  for (size_t i = 0; i < n; i++) {
    struct recent_miss noted = {0};
    if (prompts != NULL)
      memcpy(one.prompt.bytes, prompts[i].bytes, FC_HASH_SIZE);
    bool found = recent_find(&cache->misses, &one, &noted);
    leased = leased && noted.leased;
    if (!found)
      continue; /* never looked up: as far as we know it is computed right now */
    reached = reached && noted.epoch.boot_id != 0;
    if (!any || is_older(cache, noted.epoch, out->epoch))
      out->epoch = noted.epoch;
    any = true;
  }
  out->leased = leased;
  return reached;
}

int handle_key(struct fcache *cache, const struct fcache_key *key, struct fc_key *out) {
  if (key == NULL || key->op == NULL || key->view == NULL)
    return link_fault(&cache->link, FC_EINVAL, "a key needs an op and a view; one is NULL");
  *out =
      (struct fc_key){.op = fc_str_of(key->op), .view = fc_str_of(key->view), .top_k = key->top_k};
  memcpy(out->prompt.bytes, key->prompt.bytes, FC_HASH_SIZE);
  if (!fc_name_valid(out->op))
    return link_fault(&cache->link, FC_ENAME, "op \"%.64s\": %s", key->op, fc_error_text(FC_ENAME));
  if (!fc_name_valid(out->view))
    return link_fault(&cache->link, FC_ENAME, "view \"%.64s\": %s", key->view,
                      fc_error_text(FC_ENAME));
  return 0;
}

int handle_put(struct fcache *cache, struct fc_put *put, const void *data, size_t size) {
  struct link *link = &cache->link;
  struct fc_reply reply;
  if (!handle_ready(cache))
    return FCACHE_NOT_STORED;
  put->probe = handle_probe(cache);
  put->withheld = size > link->max_value; /* told all the same: the pass was made */
  put->value_size = put->withheld ? 0 : (uint32_t)size;
  uint32_t id = link_begin(link, FC_PUT);
  (void)fc_encode_put_head(&link->request, id, put); /* the exchange looks at `failed` */
  int rc = link_exchange(link, id, data, put->value_size, &reply);
  if (rc == FC_ETOOBIG) {
    cache->counters.too_big++;
    return link_too_big(link, size);
  }
  if (rc < 0)
    return handle_outcome(cache, rc, FCACHE_NOT_STORED);
  return reply.put == FC_STORED ? FCACHE_OK : FCACHE_NOT_STORED;
}

int fcache_put(struct fcache *cache, const struct fcache_key *key, const void *data, size_t size,
               uint64_t compute_ns, unsigned flags) {
  struct fc_put put = {.flags = flags & (FCACHE_UNRECORDED | FCACHE_KEEP_FIRST),
                       .compute_ns = compute_ns};
  handle_enter(cache);
  int rc = handle_key(cache, key, &put.key);
  if (rc < 0)
    return rc;
  if (data == NULL && size > 0)
    return link_fault(&cache->link, FC_EINVAL, "a value of %zu bytes needs its address; it is NULL",
                      size);
  if ((flags & FCACHE_UNRECORDED) == 0) {
    cache->counters.cache_misses++;
    cache->counters.forward_passes++;
    handle_charge(cache, compute_ns);
  }
  struct recent_miss miss;
  rc = FCACHE_NOT_STORED;
  if (handle_missed(cache, &put.key, NULL, 1, &miss)) {
    put.epoch = miss.epoch;
    put.flags |= miss.leased ? FC_KEEP_FIRST : 0;
    rc = handle_put(cache, &put, data, size);
  }
  return handle_put_done(cache, &put.key, &key->prompt, 1, rc);
}
