#include "daemon/config/config_text.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

struct parse {
  const struct config_text_reader *reader;
  const char *at, *end;
  unsigned line; /* the latest that inih was given */
};

static void wrong(const struct parse *parse, const char *text) {
  parse->reader->wrong(parse->reader->arg, parse->line, text);
}

/* Returns the reason to refuse a line that inih would accept, or NULL. */
static const char *refusal(const char *line, size_t size, size_t most) {
  static char too_long[96];
  if (memchr(line, '\0', size) != NULL)
    return "the line contains a NUL byte: this is no text file";
  if (size > 0 && line[0] == '[')
    return "there are no sections here: remove this line";
  if (size <= most || line[0] == '#' || line[0] == ';')
    return NULL;
  (void)snprintf(too_long, sizeof too_long, "the line has %zu bytes: shorten it to %zu", size,
                 most); /* fits */
  return too_long;
}

/* An ini_reader. Gives inih one line without the spaces before it, which would make it the rest of
 * the line before. A line that is refused, or too long a comment, becomes an empty one. */
static char *read_line(char *buffer, int capacity, void *arg) {
  struct parse *parse = arg;
  if (parse->at == parse->end || capacity < 3)
    return NULL;
  size_t most = (size_t)capacity - 2; /* a newline and a NUL; inih's buffer decides */
  const char *line = parse->at, *end = memchr(line, '\n', (size_t)(parse->end - line));
  if (end == NULL)
    end = parse->end;
  parse->at = end < parse->end ? end + 1 : end;
  parse->line++;
  while (line < end && (*line == ' ' || *line == '\t' || *line == '\r'))
    line++;
  size_t size = (size_t)(end - line);
  const char *reason = refusal(line, size, most);
  if (reason != NULL)
    wrong(parse, reason);
  if (reason != NULL || size > most)
    size = 0;
  memcpy(buffer, line, size);
  memcpy(buffer + size, "\n", 2);
  return buffer;
}

/* An ini_handler. Returns 1, as inih's result is about lines that it cannot split. */
static int on_key(void *arg, const char *section, const char *name, const char *value) {
  const struct parse *parse = arg;
  (void)section; /* always "" */
  if (name[0] == '\0')
    wrong(parse, "there is no key before the \"=\": write KEY = VALUE");
  else
    parse->reader->key(parse->reader->arg, parse->line, name, value != NULL ? value : "");
  return 1;
}

void config_text_parse(const char *text, size_t size, const struct config_text_reader *reader) {
  struct parse parse = {.reader = reader, .at = text, .end = text + size};
  int rc = ini_parse_stream(read_line, &parse, on_key, &parse);
  if (rc > 0) { /* the number of the first line that inih cannot split */
    parse.line = (unsigned)rc;
    wrong(&parse, "there is no \"=\": write KEY = VALUE");
  } else if (rc < 0) {
    wrong(&parse, "out of memory");
  }
}
