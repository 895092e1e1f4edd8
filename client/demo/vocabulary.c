#include "client/demo/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "client/demo/util.h"

#define LONGEST_WORD 63u /* what is longer is compared and stored up to here */

static char fold(char c) {
  if (c >= 'A' && c <= 'Z')
    return (char)(c - 'A' + 'a');
  return c;
}

static void fold_word(char out[LONGEST_WORD + 1], const char *word, size_t size) {
  if (size > LONGEST_WORD)
    size = LONGEST_WORD;
  for (size_t i = 0; i < size; i++)
    out[i] = fold(word[i]);
  out[size] = '\0';
}

static int by_text(const void *a, const void *b) {
  return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

/* Ties are broken by the text: every worker must give the same ids. */
static int by_count(const void *a, const void *b) {
  const struct word *x = a, *y = b;
  if (x->count != y->count)
    return x->count < y->count ? 1 : -1;
  return strcmp(x->text, y->text);
}

/* Every token as a word of count 1. */
static struct word *collect(const struct corpus *corpus, size_t *n) {
  size_t total = 0;
  for (size_t i = 0; i < corpus->n; i++)
    total += corpus->texts[i].n;
  struct word *words = demo_alloc(total, sizeof *words);
  *n = 0;
  for (size_t i = 0; i < corpus->n; i++) {
    const struct text *text = &corpus->texts[i];
    size_t end = i + 1 == corpus->n ? corpus->held_out : text->n;
    for (size_t k = 0; k < end; k++) {
      struct word *word = &words[(*n)++];
      word->text = demo_alloc(LONGEST_WORD + 1, 1);
      word->count = 1;
      fold_word(word->text, text->bytes + text->spans[k].start, text->spans[k].size);
    }
  }
  return words;
}

/* Equal neighbours become one; returns the new number. */
static size_t merge(struct word *words, size_t n) {
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (kept > 0 && strcmp(words[kept - 1].text, words[i].text) == 0) {
      words[kept - 1].count += words[i].count;
      free(words[i].text);
    } else {
      words[kept++] = words[i];
    }
  }
  return kept;
}

void vocabulary_init(struct vocabulary *vocabulary, const struct corpus *corpus) {
  size_t n = 0;
  struct word *words = collect(corpus, &n);
  qsort(words, n, sizeof *words, by_text);
  n = merge(words, n);
  qsort(words, n, sizeof *words, by_count);
  size_t kept = 0;
  while (kept < n && kept < VOCABULARY_MAX_WORDS && words[kept].count >= 2) {
    words[kept].id = (uint32_t)kept + 1;
    kept++;
  }
  for (size_t i = kept; i < n; i++)
    free(words[i].text);
  qsort(words, kept, sizeof *words, by_text);
  *vocabulary = (struct vocabulary){words, (uint32_t)kept, (uint32_t)kept + 1};
}

void vocabulary_deinit(struct vocabulary *vocabulary) {
  for (size_t i = 0; i < vocabulary->n_words; i++)
    free(vocabulary->words[i].text);
  free(vocabulary->words);
  *vocabulary = (struct vocabulary){0};
}

uint32_t vocabulary_id(const struct vocabulary *vocabulary, const char *word, size_t size) {
  char folded[LONGEST_WORD + 1];
  fold_word(folded, word, size);
  struct word wanted = {.text = folded};
  const struct word *found =
      bsearch(&wanted, vocabulary->words, vocabulary->n_words, sizeof wanted, by_text);
  return found ? found->id : VOCABULARY_UNKNOWN;
}

size_t vocabulary_encode(const struct vocabulary *vocabulary, const char *bytes, size_t size,
                         uint32_t **ids) {
  size_t n = 0, at = 0;
  struct span span;
  *ids = demo_alloc(size, sizeof **ids); /* no token is shorter than a byte */
  while (text_next_token(bytes, size, &at, &span))
    (*ids)[n++] = vocabulary_id(vocabulary, bytes + span.start, span.size);
  return n;
}
