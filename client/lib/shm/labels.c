#include "client/lib/shm/labels.h"

#include <string.h>

static bool is_it(const struct context *context, const struct fc_key *key, struct fc_str probe) {
  const uint8_t *names = context->names;
  return context->op_size == key->op.size && context->view_size == key->view.size &&
         context->probe_size == probe.size && memcmp(names, key->op.data, key->op.size) == 0 &&
         memcmp(names + key->op.size, key->view.data, key->view.size) == 0 &&
         (probe.size == 0 ||
          memcmp(names + key->op.size + key->view.size, probe.data, probe.size) == 0);
}

static void make(struct context *context, const struct fc_key *key, struct fc_str probe) {
  context->op_size = (uint8_t)key->op.size;
  context->view_size = (uint8_t)key->view.size;
  context->probe_size = (uint8_t)probe.size;
  memcpy(context->names, key->op.data, key->op.size);
  memcpy(context->names + key->op.size, key->view.data, key->view.size);
  if (probe.size > 0)
    memcpy(context->names + key->op.size + key->view.size, probe.data, probe.size);
}

const struct context *context_find(struct contexts *contexts, const struct fc_key *key,
                                   struct fc_str probe) {
  if (is_it(&contexts->list[contexts->latest], key, probe)) /* an unused one has no op */
    return &contexts->list[contexts->latest];
  for (uint8_t i = 0; i < FC_RING_CONTEXTS; i++)
    if (is_it(&contexts->list[i], key, probe)) {
      contexts->latest = i;
      return &contexts->list[i];
    }
  contexts->latest = (uint8_t)(contexts->serials++ % FC_RING_CONTEXTS);
  struct context *context = &contexts->list[contexts->latest];
  make(context, key, probe);
  context->serial = contexts->serials;
  context->index = contexts->latest;
  context->digest = fc_key_digest_names(contexts->seed, key->op, key->view);
  return context;
}

void context_reseed(struct contexts *contexts, uint64_t seed) {
  uint64_t serials = contexts->serials; /* a serial never stands for other names */
  memset(contexts, 0, sizeof *contexts);
  contexts->serials = serials;
  contexts->seed = seed;
}
