#include "client/demo/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcache.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/demo/util.h"

static const char advice[] = "DEMO_TEXT=\"FILE ...\" names the files to use";

static bool is_space(unsigned char c) {
  return c <= ' ' || c == 0x7f;
}

static bool is_word(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;
}

bool text_next_token(const char *bytes, size_t size, size_t *at, struct span *out) {
  size_t i = *at;
  while (i < size && is_space((unsigned char)bytes[i]))
    i++;
  if (i == size) {
    *at = size;
    return false;
  }
  size_t start = i++;
  if (is_word((unsigned char)bytes[start])) {
    while (i < size && (is_word((unsigned char)bytes[i]) ||
                        (bytes[i] == '\'' && i + 1 < size && is_word((unsigned char)bytes[i + 1]))))
      i++;
  }
  *out = (struct span){start, i - start};
  *at = i;
  return true;
}

static void text_tokenise(struct text *text) {
  size_t capacity = 0, at = 0;
  struct span span;
  while (text_next_token(text->bytes, text->size, &at, &span)) {
    if (text->n == capacity) {
      capacity = capacity ? 2 * capacity : 1024;
      text->spans = demo_realloc(text->spans, capacity, sizeof *text->spans);
    }
    text->spans[text->n++] = span;
  }
}

static void text_deinit(struct text *text) {
  free(text->path);
  free(text->bytes);
  free(text->spans);
  *text = (struct text){0};
}

/* 0, or a text for `error` where the file cannot be what was meant. */
static int text_read(struct text *text, const char *path, char error[DEMO_ERROR_SIZE]) {
  *text = (struct text){0};
  struct stat status;
  FILE *file = fopen(path, "re");
  if (!file || fstat(fileno(file), &status) != 0) {
    snprintf(error, DEMO_ERROR_SIZE, "cannot read %s: %s; %s", path, strerror(errno), advice);
  } else if (!S_ISREG(status.st_mode)) {
    snprintf(error, DEMO_ERROR_SIZE, "cannot read %s: not a regular file; %s", path, advice);
  } else if (status.st_size > (off_t)DEMO_MAX_BYTES) {
    snprintf(error, DEMO_ERROR_SIZE, "%s is larger than the %u MiB that the demo takes; %s", path,
             DEMO_MAX_BYTES >> 20, advice);
  } else {
    size_t room = (size_t)status.st_size;
    text->bytes = demo_alloc(room + 1, 1);
    text->size = fread(text->bytes, 1, room, file);
    if (ferror(file))
      snprintf(error, DEMO_ERROR_SIZE, "cannot read %s: %s; %s", path, strerror(errno), advice);
    else if (memchr(text->bytes, '\0', text->size))
      snprintf(error, DEMO_ERROR_SIZE, "%s is not a text: it has a zero byte; %s", path, advice);
  }
  if (file)
    (void)fclose(file); /* only read from */
  if (error[0]) {
    text_deinit(text);
    return FCACHE_EINVAL;
  }
  text->path = demo_alloc(strlen(path) + 1, 1);
  strcpy(text->path, path); /* NOLINT: the room was just made */
  text_tokenise(text);
  return 0;
}

static int corpus_add(struct corpus *corpus, const char *path, char error[DEMO_ERROR_SIZE]) {
  struct text text;
  int r = text_read(&text, path, error);
  if (r < 0)
    return r;
  corpus->texts = demo_realloc(corpus->texts, corpus->n + 1, sizeof text);
  corpus->texts[corpus->n++] = text;
  return 0;
}

/* Every regular file of the folder; scandir sorts by bytes, whatever the locale
 * of the user, so that all workers see the same order. */
static int by_bytes(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_folder(struct corpus *corpus, char error[DEMO_ERROR_SIZE]) {
  struct dirent **names = NULL;
  int n = scandir(DEMO_TEXT_FOLDER, &names, NULL, by_bytes), r = 0;
  if (n < 0) {
    snprintf(error, DEMO_ERROR_SIZE, "cannot read %s: %s; %s", DEMO_TEXT_FOLDER, strerror(errno),
             advice);
    return FCACHE_EINVAL;
  }
  for (int i = 0; i < n; i++) {
    char path[sizeof DEMO_TEXT_FOLDER + 1 + sizeof names[i]->d_name];
    snprintf(path, sizeof path, "%s/%s", DEMO_TEXT_FOLDER, names[i]->d_name);
    struct stat status;
    if (r == 0 && lstat(path, &status) == 0 && S_ISREG(status.st_mode))
      r = corpus_add(corpus, path, error);
    free(names[i]);
  }
  free(names);
  return r;
}

static int load_list(struct corpus *corpus, const char *list, char error[DEMO_ERROR_SIZE]) {
  static const char blanks[] = " \t\n";
  char *copy = demo_alloc(strlen(list) + 1, 1), *rest = NULL;
  strcpy(copy, list); /* NOLINT: the room was just made */
  int r = 0;
  for (char *word = strtok_r(copy, blanks, &rest); word && r == 0;
       word = strtok_r(NULL, blanks, &rest)) {
    glob_t found;
    /* NOCHECK: a pattern that fits nothing stays as it is, and is then reported by name. */
    if (glob(word, GLOB_NOCHECK | GLOB_TILDE, NULL, &found) != 0) {
      snprintf(error, DEMO_ERROR_SIZE, "cannot look for %s; %s", word, advice);
      r = FCACHE_EINVAL;
      break;
    }
    for (size_t i = 0; i < found.gl_pathc && r == 0; i++)
      r = corpus_add(corpus, found.gl_pathv[i], error);
    globfree(&found);
  }
  free(copy);
  return r;
}

/* Makes two texts of the only one, so that there is one that base has not seen. */
static void split_single(struct corpus *corpus) {
  struct text whole = corpus->texts[0];
  size_t cut = whole.spans[whole.n * 2 / 3].start;
  corpus->texts = demo_realloc(corpus->texts, 2, sizeof whole);
  corpus->n = 2;
  for (size_t i = 0; i < 2; i++) {
    struct text *part = &corpus->texts[i];
    *part = (struct text){.size = i ? whole.size - cut : cut};
    part->path = demo_alloc(strlen(whole.path) + 1, 1);
    strcpy(part->path, whole.path); /* NOLINT: the room was just made */
    part->bytes = demo_alloc(part->size + 1, 1);
    memcpy(part->bytes, whole.bytes + (i ? cut : 0), part->size);
    text_tokenise(part);
  }
  text_deinit(&whole);
}

/* Enough to learn from, in the last text (split for adapting and judging) and in the others. */
static int corpus_check(struct corpus *corpus, char error[DEMO_ERROR_SIZE]) {
  size_t bytes = 0, tokens = 0;
  for (size_t i = 0; i < corpus->n; i++) {
    bytes += corpus->texts[i].size;
    tokens += corpus->texts[i].n;
  }
  if (bytes > DEMO_MAX_BYTES)
    snprintf(error, DEMO_ERROR_SIZE, "the texts are larger than the %u MiB that the demo takes; %s",
             DEMO_MAX_BYTES >> 20, advice);
  else if (tokens < DEMO_MIN_TOKENS)
    snprintf(error, DEMO_ERROR_SIZE, "the texts have %zu tokens, the model needs %u; %s", tokens,
             DEMO_MIN_TOKENS, advice);
  else if (corpus->n == 1)
    split_single(corpus);
  if (error[0])
    return FCACHE_EINVAL;
  const struct text *last = &corpus->texts[corpus->n - 1];
  size_t least = DEMO_MIN_TOKENS / 4;
  if (last->n < least || tokens - last->n < least) {
    snprintf(error, DEMO_ERROR_SIZE,
             "the last text (%s) and the others together need %zu tokens each, they have %zu and "
             "%zu; %s",
             last->path, least, last->n, tokens - last->n, advice);
    return FCACHE_EINVAL;
  }
  corpus->held_out = last->n * 3 / 4;
  return 0;
}

int corpus_load(struct corpus *corpus, const char *list, char error[DEMO_ERROR_SIZE]) {
  *corpus = (struct corpus){0};
  error[0] = '\0';
  bool blank = !list || list[strspn(list, " \t\n")] == '\0';
  int r = blank ? load_folder(corpus, error) : load_list(corpus, list, error);
  if (r == 0)
    r = corpus_check(corpus, error);
  if (r < 0)
    corpus_deinit(corpus);
  return r;
}

void corpus_deinit(struct corpus *corpus) {
  for (size_t i = 0; i < corpus->n; i++)
    text_deinit(&corpus->texts[i]);
  free(corpus->texts);
  *corpus = (struct corpus){0};
}
