/* prompts.h - what a worker asks about: stretches of the texts, drawn with seeds.
 *
 * Every worker has the same shared prompts, a slice of its own, and a part of the
 * next worker's slice; so what one computes, others need too. */
#ifndef DEMO_PROMPTS_H
#define DEMO_PROMPTS_H

#include <fcache.h>

#include "client/demo/text.h"

/* A list of borrowed bytes. */
struct prompt_list {
  struct fcache_bytes *items;
  size_t n;
};

struct prompts {
  struct prompt_list contexts;    /* from all texts: what comes next? */
  struct prompt_list passages;    /* from the part that no view has seen: how likely is this? */
  struct prompt_list openings;    /* from there too: the text up to a point ... */
  struct prompt_list completions; /* ... and how it goes on, as many */
};

/* Draws for worker `index` of `workers`: first what all share, so that workers that start together
 * ask the same at the same time. No list has an item twice. The items point into the corpus, which
 * must live longer. */
void prompts_init(struct prompts *prompts, const struct corpus *corpus, unsigned index,
                  unsigned workers);
void prompts_deinit(struct prompts *prompts);

#endif
