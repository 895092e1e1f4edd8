#include "client/demo/prompts.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "client/demo/util.h"

/* How many of a list all workers share, how many are a worker's own, and how many
 * of the next worker's own it asks about as well. */
enum { CONTEXTS_SHARED = 16, CONTEXTS_OWN = 12, CONTEXTS_NEXT = 6 };
enum { PASSAGES_SHARED = 8, PASSAGES_OWN = 6, PASSAGES_NEXT = 2 };
enum { OPENINGS_SHARED = 10, OPENINGS_OWN = 6, OPENINGS_NEXT = 2 };
enum { CONTEXT_MIN = 32, CONTEXT_MAX = 64 }; /* tokens */
enum { PASSAGE_MIN = 64, PASSAGE_MAX = 112, OPENING_MIN = 48, OPENING_MAX = 80, COMPLETION = 6 };

/* Seeds: the kind of list in the high bits, the worker (0: shared) in the low. */
enum { SEED_CONTEXTS = 0x10000, SEED_PASSAGES = 0x20000, SEED_OPENINGS = 0x30000 };

static struct fcache_bytes cut(const struct text *text, size_t first, size_t n) {
  size_t start = text->spans[first].start;
  const struct span *last = &text->spans[first + n - 1];
  return (struct fcache_bytes){text->bytes + start, last->start + last->size - start};
}

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Draws one item, and for openings what follows it. */
typedef struct fcache_bytes draw_fn(const struct corpus *corpus, uint64_t *state,
                                    struct fcache_bytes *after);

static struct fcache_bytes draw_context(const struct corpus *corpus, uint64_t *state,
                                        struct fcache_bytes *after) {
  (void)after; /* contexts have none */
  const struct text *text;
  do
    text = &corpus->texts[demo_random_between(state, 0, corpus->n - 1)];
  while (text->n == 0); /* ends: the last text has enough, or corpus_load had refused it */
  size_t n = smaller(text->n, demo_random_between(state, CONTEXT_MIN, CONTEXT_MAX));
  return cut(text, demo_random_between(state, 0, text->n - n), n);
}

/* The first token of `n` in the held-out part, which has 250 at least. */
static size_t draw_held_out(const struct corpus *corpus, uint64_t *state, size_t n) {
  return demo_random_between(state, corpus->held_out, corpus->texts[corpus->n - 1].n - n);
}

static struct fcache_bytes draw_passage(const struct corpus *corpus, uint64_t *state,
                                        struct fcache_bytes *after) {
  (void)after; /* passages have none */
  size_t n = demo_random_between(state, PASSAGE_MIN, PASSAGE_MAX);
  return cut(&corpus->texts[corpus->n - 1], draw_held_out(corpus, state, n), n);
}

static struct fcache_bytes draw_opening(const struct corpus *corpus, uint64_t *state,
                                        struct fcache_bytes *after) {
  const struct text *text = &corpus->texts[corpus->n - 1];
  size_t n = demo_random_between(state, OPENING_MIN, OPENING_MAX);
  size_t first = draw_held_out(corpus, state, n + COMPLETION);
  *after = cut(text, first + n, COMPLETION);
  return cut(text, first, n);
}

struct share {
  size_t shared, own, next;
  uint64_t seed;
  draw_fn *draw;
};

static bool has(const struct prompt_list *list, struct fcache_bytes item) {
  for (size_t i = 0; i < list->n; i++)
    if (list->items[i].size == item.size && memcmp(list->items[i].data, item.data, item.size) == 0)
      return true;
  return false;
}

/* What is drawn a second time is left out: a batch has its misses computed as often as they stand
 * in it, and the demo counts. */
static void draw_some(struct prompt_list *list, struct prompt_list *after, draw_fn *draw,
                      const struct corpus *corpus, uint64_t seed, size_t n) {
  uint64_t state = seed;
  for (size_t i = 0; i < n; i++) {
    struct fcache_bytes follows = {0}, item = draw(corpus, &state, &follows);
    if (has(list, item))
      continue;
    if (after)
      after->items[after->n++] = follows;
    list->items[list->n++] = item;
  }
}

static void fill(struct prompt_list *list, struct prompt_list *after, const struct share *share,
                 const struct corpus *corpus, unsigned index, unsigned workers) {
  size_t n = share->shared + share->own + share->next;
  *list = (struct prompt_list){demo_alloc(n, sizeof *list->items), 0};
  if (after)
    *after = (struct prompt_list){demo_alloc(n, sizeof *after->items), 0};
  unsigned next = (index + 1) % workers;
  draw_some(list, after, share->draw, corpus, share->seed, share->shared);
  draw_some(list, after, share->draw, corpus, share->seed + 1 + index, share->own);
  draw_some(list, after, share->draw, corpus, share->seed + 1 + next, share->next);
}

void prompts_init(struct prompts *prompts, const struct corpus *corpus, unsigned index,
                  unsigned workers) {
  static const struct share contexts = {CONTEXTS_SHARED, CONTEXTS_OWN, CONTEXTS_NEXT, SEED_CONTEXTS,
                                        draw_context};
  static const struct share passages = {PASSAGES_SHARED, PASSAGES_OWN, PASSAGES_NEXT, SEED_PASSAGES,
                                        draw_passage};
  static const struct share openings = {OPENINGS_SHARED, OPENINGS_OWN, OPENINGS_NEXT, SEED_OPENINGS,
                                        draw_opening};
  *prompts = (struct prompts){0};
  fill(&prompts->contexts, NULL, &contexts, corpus, index, workers);
  fill(&prompts->passages, NULL, &passages, corpus, index, workers);
  fill(&prompts->openings, &prompts->completions, &openings, corpus, index, workers);
}

void prompts_deinit(struct prompts *prompts) {
  free(prompts->contexts.items);
  free(prompts->passages.items);
  free(prompts->openings.items);
  free(prompts->completions.items);
  *prompts = (struct prompts){0};
}
