/* doc_blocks.h - reads the fenced blocks of the pages in docs/, for tests that compare them with
 * the code. Run from the project's root, as make does. A missing page or block fails the test. */
#ifndef TESTS_UNIT_DOC_BLOCKS_H
#define TESTS_UNIT_DOC_BLOCKS_H

#include "proto/wire/buf.h"

#define DOC_LINE_MAX 1024

/* Calls `fn` for each line between "```TITLE" and "```" of the page at `path`. Fails if there
 * is no such block. */
void doc_each_line(const char *path, const char *title, void (*fn)(void *arg, const char *line),
                   void *arg);

/* Appends the bytes at the start of a line: pairs of hex digits with one space between, ended by
 * two spaces or the line's end. Returns the rest of the line. */
const char *doc_take_hex(struct fc_buf *bytes, const char *line);

/* Appends the bytes of all lines of a block. */
void doc_hex(const char *path, const char *title, struct fc_buf *bytes);

/* Fails and prints the bytes unless the block "hex TITLE" has exactly these. */
void doc_check_hex(const char *path, const char *title, const void *made, size_t size);

#endif
