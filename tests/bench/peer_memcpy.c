#include "tests/bench/peer_memcpy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETS = 8 };

/* The values of one set, one behind the other in the order of storing. */
struct values {
  const struct workload *load;
  uint8_t *bytes;
  const uint8_t **places; /* of each key's value */
  uint8_t *copy;          /* room for one value */
};

struct copying {
  struct values sets[MAX_SETS];
  size_t n;
};

static void copying_stop(struct bench_peer *peer) {
  struct copying *state = peer->state;
  if (state == NULL)
    return;
  for (size_t i = 0; i < state->n; i++) {
    free(state->sets[i].bytes);
    free(state->sets[i].places);
    free(state->sets[i].copy);
  }
  free(state);
  peer->state = NULL;
}

static int copying_start(struct bench_peer *peer, const struct bench_env *env) {
  (void)env; /* no server runs */
  peer->state = calloc(1, sizeof(struct copying));
  if (peer->state != NULL)
    return 0;
  fprintf(stderr, "bench: out of memory for %s\n", peer->name);
  return -1;
}

static int copying_fill(struct bench_peer *peer, struct workload *load) {
  struct copying *state = peer->state;
  if (state->n == MAX_SETS) {
    fprintf(stderr, "bench: %s has no room for another set\n", peer->name);
    return -1;
  }
  struct values *set = &state->sets[state->n++];
  *set = (struct values){.load = load,
                         .bytes = malloc((size_t)load->n * load->size),
                         .places = calloc(load->n, sizeof(*set->places)),
                         .copy = malloc(load->size)};
  if (set->bytes == NULL || set->places == NULL || set->copy == NULL) {
    fprintf(stderr, "bench: out of memory for %u values of %u bytes\n", load->n, load->size);
    return -1;
  }
  for (uint32_t i = 0; i < load->n; i++) {
    uint32_t index = workload_stored(load, i);
    set->places[index] = set->bytes + (size_t)i * load->size;
    workload_write_value(load, index, set->bytes + (size_t)i * load->size);
  }
  return 0;
}

static int copying_get(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct copying *state = peer->state;
  struct values *set = state->sets;
  while (set->load != load) /* few sets, found at once */
    set++;
  memcpy(set->copy, set->places[index], load->size);
  return workload_check(load, index, set->copy, load->size) ? 0 : -1;
}

void peer_memcpy_init(struct bench_peer *peer) {
  *peer = (struct bench_peer){.name = "memcpy",
                              .start = copying_start,
                              .stop = copying_stop,
                              .get = copying_get,
                              .fill = copying_fill};
}
