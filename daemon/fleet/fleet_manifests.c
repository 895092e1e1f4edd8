/* fleet_manifests.c - compares the manifests of this node's namespaces with those of the fleet. */
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/fleet_clears_internal.h"

#define IN_FLIGHT_MAX 4u

struct fleet_manifest {
  struct fleet_op op; /* first: `done` finds it by it */
  struct fleet_clears *clears;
  struct fleet_manifest *next;
  uint64_t hash;
  struct fleet_text detail;
  struct fc_str name_space; /* points into `detail` */
  char id[FLEET_HEX_SIZE], tag[FLEET_HEX_SIZE], node[FLEET_HEX_SIZE];
  char text[]; /* the manifest */
};

static void release(struct fleet_manifest *manifest) {
  struct fleet_manifest **link = &manifest->clears->manifests;
  while (*link != manifest)
    link = &(*link)->next;
  *link = manifest->next;
  free(manifest);
}

void fleet_manifests_deinit(struct fleet_clears *clears) {
  while (clears->manifests != NULL) {
    fleet_io_cancel(clears->config.io, &clears->manifests->op);
    release(clears->manifests);
  }
}

/* Also of one that is on its way. */
static bool is_compared(const struct fleet_clears *clears, uint64_t hash) {
  for (const struct fleet_manifest *other = clears->manifests; other != NULL; other = other->next)
    if (other->hash == hash)
      return true;
  for (unsigned i = 0; i < FLEET_MANIFESTS_KNOWN; i++)
    if (clears->compared[i] == hash)
      return true;
  return false;
}

static void done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_manifest *manifest = (struct fleet_manifest *)op;
  struct fleet_clears *clears = manifest->clears;
  const struct fleet_clears_config *config = &clears->config;
  bool is_known = reply->status == FLEET_OK && reply->number >= FLEET_SCRIPT_NONE;
  (void)now_ns;
  if (is_known)
    clears->compared[clears->n_compared++ % FLEET_MANIFESTS_KNOWN] = manifest->hash;
  if (is_known && reply->number > 0 && config->manifest_differs != NULL)
    config->manifest_differs(config->arg, manifest->name_space, config->node);
  release(manifest);
}

void fleet_clears_manifest(struct fleet_clears *clears, struct fc_str name_space,
                           struct fc_str text, uint64_t now_ns) {
  struct fc_hash hash = fc_hash_prompt(text.data, text.size);
  struct fleet_manifest *manifest;
  struct fleet_text detail;
  unsigned n = 0;
  for (manifest = clears->manifests; manifest != NULL; manifest = manifest->next)
    n++;
  fleet_manifest_encode(name_space, &hash, &detail);
  hash = fc_hash_prompt(detail.data, detail.size);
  uint64_t known = 0;
  memcpy(&known, hash.bytes, sizeof known);
  if (!clears->is_known || !clears->config.writes || n >= IN_FLIGHT_MAX ||
      is_compared(clears, known))
    return;
  manifest = calloc(1, sizeof *manifest + text.size);
  if (manifest == NULL)
    return;
  manifest->clears = clears;
  manifest->hash = known;
  manifest->detail = detail;
  manifest->name_space = (struct fc_str){manifest->detail.data, name_space.size};
  memcpy(manifest->text, text.data, text.size);
  fleet_hex(clears->own.id, manifest->id);
  fleet_hex(fleet_clears_random(clears), manifest->tag);
  fleet_hex(clears->config.node, manifest->node);
  manifest->op = (struct fleet_op){.kind = FLEET_OP_SCRIPT,
                                   .class = FLEET_WRITES,
                                   .key = fleet_key_str(&clears->hash_key),
                                   .script = &fleet_script_manifest,
                                   .args = {fc_str_of(manifest->id),
                                            fc_str_of(manifest->tag),
                                            fc_str_of(manifest->node),
                                            fleet_text_str(&manifest->detail),
                                            manifest->name_space,
                                            {manifest->text, text.size}},
                                   .n_args = 6,
                                   .done = done,
                                   .deadline_ns = now_ns + clears->config.deadline_ns};
  manifest->next = clears->manifests;
  clears->manifests = manifest;
  if (!fleet_io_submit(clears->config.io, &manifest->op, now_ns))
    release(manifest);
}
