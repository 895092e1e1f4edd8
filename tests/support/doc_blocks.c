#include "doc_blocks.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint8_t digit(char c) {
  return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

const char *doc_take_hex(struct fc_buf *bytes, const char *line) {
  const char *digits = "0123456789abcdef";
  while (line[0] && strchr(digits, line[0]) && line[1] && strchr(digits, line[1])) {
    uint8_t byte = (uint8_t)(digit(line[0]) << 4 | digit(line[1]));
    ck_assert_int_eq(fc_buf_append(bytes, &byte, 1), 0);
    line += 2;
    if (*line == ' ')
      line++;
  }
  return line;
}

void doc_each_line(const char *path, const char *title, void (*fn)(void *arg, const char *line),
                   void *arg) {
  FILE *doc = fopen(path, "r");
  char line[DOC_LINE_MAX], fence[64];
  bool inside = false, found = false;
  ck_assert_msg(doc != NULL, "%s cannot be opened: run the test from the project's root", path);
  ck_assert_int_lt(snprintf(fence, sizeof fence, "```%s\n", title), (int)sizeof fence);
  while (fgets(line, sizeof line, doc)) {
    if (inside && !strcmp(line, "```\n"))
      inside = false;
    else if (inside)
      fn(arg, line);
    else if (!strcmp(line, fence))
      inside = found = true;
  }
  (void)fclose(doc); /* it was only read */
  ck_assert_msg(found && !inside, "%s has no whole block %s", path, title);
}

static void add_hex(void *bytes, const char *line) {
  (void)doc_take_hex(bytes, line);
}

void doc_hex(const char *path, const char *title, struct fc_buf *bytes) {
  doc_each_line(path, title, add_hex, bytes);
}

static void print_bytes(const uint8_t *bytes, size_t size) {
  for (size_t i = 0; i < size; i++)
    (void)printf("%02x%c", bytes[i], i % 16 == 15 || i + 1 == size ? '\n' : ' ');
}

void doc_check_hex(const char *path, const char *title, const void *made, size_t size) {
  struct fc_buf bytes = {0};
  char block[64];
  ck_assert_int_lt(snprintf(block, sizeof block, "hex %s", title), (int)sizeof block);
  doc_hex(path, block, &bytes);
  bool same = bytes.data != NULL && bytes.size == size && !memcmp(bytes.data, made, size);
  if (!same)
    print_bytes(made, size);
  ck_assert_msg(same, "%s: the block %s is not what the code makes (above)", path, block);
  fc_buf_free(&bytes);
}
