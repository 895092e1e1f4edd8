/* vocabulary.h - words and their ids: what a tokeniser is to a language model.
 * Case is folded (ASCII); id 0 stands for every word that is not known. */
#ifndef DEMO_VOCABULARY_H
#define DEMO_VOCABULARY_H

#include "client/demo/text.h"

#define VOCABULARY_UNKNOWN 0u
#define VOCABULARY_MAX_WORDS 4000u /* the most frequent ones */

struct word {
  char *text; /* folded, NUL-terminated */
  uint32_t id;
  size_t count;
};

struct vocabulary {
  struct word *words; /* sorted by text */
  uint32_t n_words;
  uint32_t size; /* ids are below this: the words and the unknown one */
};

/* Takes the words that stand at least twice in the texts, held-out part
 * excepted; ids by falling frequency. vocabulary_deinit frees. */
void vocabulary_init(struct vocabulary *vocabulary, const struct corpus *corpus);
void vocabulary_deinit(struct vocabulary *vocabulary);

uint32_t vocabulary_id(const struct vocabulary *vocabulary, const char *word, size_t size);

/* Cuts any bytes into ids. *ids is the caller's to free (never NULL). */
size_t vocabulary_encode(const struct vocabulary *vocabulary, const char *bytes, size_t size,
                         uint32_t **ids);

#endif
