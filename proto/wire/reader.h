/* reader.h - a reader of msgpack over bytes that it borrows.
 *
 * Why not msgpack-c's unpacker, which the project links anyway for its packer:
 * the unpacker allocates 24 bytes for each element that an array's head
 * announces, before it has seen one of them, so that a hostile message of five
 * bytes asks for gigabytes. We also want values and names where they lie in the
 * body, without a tree of objects in between: no copy and no allocation at all.
 *
 * Errors stick: the first one is kept in `error` and moves the cursor to the
 * end, and every read after it fails too and returns 0 or none. A decoder reads
 * all its fields in a row and looks at `error` once. Nothing outside the body is
 * ever read, and no head that announces more elements than bytes are left is
 * accepted, so a loop over a list is bounded by the body's size. */
#ifndef FC_PROTO_CURSOR_H
#define FC_PROTO_CURSOR_H

#include "proto/key.h"

struct fc_cursor {
  const uint8_t *at;
  const uint8_t *end;
  int error; /* 0, or the first error: FC_EPROTOCOL unless fc_cursor_fail gave another */
};

struct fc_cursor fc_cursor_init(const uint8_t *data, size_t size);

/* Notes an error, unless there is one already. */
void fc_cursor_fail(struct fc_cursor *cursor, int error);

size_t fc_cursor_left(const struct fc_cursor *cursor);

/* Takes a nil and returns true, or leaves what is there and returns false. */
bool fc_cursor_nil(struct fc_cursor *cursor);

bool fc_cursor_bool(struct fc_cursor *cursor);

/* An integer of any msgpack encoding, in range; else FC_EPROTOCOL. */
uint64_t fc_cursor_u64(struct fc_cursor *cursor);
uint32_t fc_cursor_u32(struct fc_cursor *cursor);
int64_t fc_cursor_i64(struct fc_cursor *cursor);

/* float 32 or float 64. */
double fc_cursor_real(struct fc_cursor *cursor);

/* Borrowed. The bytes of a str are not checked for UTF-8. */
struct fc_str fc_cursor_str(struct fc_cursor *cursor);
const uint8_t *fc_cursor_bin(struct fc_cursor *cursor, uint32_t *size);
/* The size alone of a bin whose bytes follow, whether or not they are there yet. */
uint32_t fc_cursor_bin_head(struct fc_cursor *cursor);

/* The number of elements (of pairs, for a map) that follow. */
uint32_t fc_cursor_array(struct fc_cursor *cursor);
uint32_t fc_cursor_map(struct fc_cursor *cursor);

/* Passes over `n` whole values, whatever they hold. Nesting costs a counter and
 * no stack, so its depth is bounded by the body's size alone. */
void fc_cursor_skip(struct fc_cursor *cursor, uint32_t n);

/* What stands next, for a reader that takes several kinds. */
enum fc_kind { FC_KIND_INTEGER, FC_KIND_REAL, FC_KIND_STR, FC_KIND_OTHER, FC_KIND_END };
enum fc_kind fc_cursor_kind(const struct fc_cursor *cursor);

#endif
