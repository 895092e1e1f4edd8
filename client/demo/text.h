/* text.h - the texts that the demo's model learns from, cut into tokens.
 *
 * A token is a word (letters, digits, bytes of UTF-8 beyond ASCII, and an
 * apostrophe inside), or one other printable character. Nothing here interprets
 * case or spelling: vocabulary.h does. */
#ifndef DEMO_TEXT_H
#define DEMO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEMO_TEXT_FOLDER "/usr/share/common-licenses"
#define DEMO_MIN_TOKENS 4000u /* of all texts together: less teaches a model nothing */
#define DEMO_MAX_BYTES (8u * 1024u * 1024u) /* of all texts together: more would take minutes */
#define DEMO_ERROR_SIZE 512

/* Where a token stands in its text: bytes [start, start + size). */
struct span {
  size_t start, size;
};

struct text {
  char *path;
  char *bytes;
  size_t size;
  struct span *spans; /* the tokens */
  size_t n;
};

/* The texts, in order. The last is the one that `ft` is adapted on: its tokens
 * before `held_out` are learned from by `ft` alone, those from there on by no
 * view at all, to judge them all. */
struct corpus {
  struct text *texts;
  size_t n;
  size_t held_out; /* token index in the last text */
};

/* Finds the token at or after *at. False at the end. */
bool text_next_token(const char *bytes, size_t size, size_t *at, struct span *out);

/* Reads the files that `list` names (separated by white space, patterns
 * allowed), or, where it is NULL or blank, every regular file of
 * DEMO_TEXT_FOLDER in the order of their names (its symbolic links are second
 * names of the same texts). A single file is cut in two texts, 2 : 1. 0, or
 * FCACHE_EINVAL with the reason in `error`, and nothing to free. */
int corpus_load(struct corpus *corpus, const char *list, char error[DEMO_ERROR_SIZE]);

/* Frees what corpus_load made. A zeroed corpus is allowed. */
void corpus_deinit(struct corpus *corpus);

#endif
