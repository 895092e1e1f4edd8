/* reader.h - a reader of MessagePack for the protocol, over bytes that it borrows.
 *
 * The first error stays in `error` and moves the reader to the end of the bytes. Every later read
 * fails too and returns 0, false or {NULL, 0}. So a decoder may read several values before it looks
 * at `error`. The reader allocates nothing, never reads outside the bytes, and rejects a head that
 * announces more elements than bytes are left. */
#ifndef FC_PROTO_READER_H
#define FC_PROTO_READER_H

#include "proto/key.h"
#include "proto/wire/msgpack.h"

struct fc_reader {
  const uint8_t *at;
  const uint8_t *end;
  int error;           /* 0, or the first error: FC_EPROTOCOL unless fc_reader_fail gave another */
  bool values_checked; /* an earlier decoding has checked the list of values */
};

static inline struct fc_reader fc_reader_init(const uint8_t *data, size_t size) {
  return (struct fc_reader){.at = data, .end = data + size};
}

static inline size_t fc_reader_left(const struct fc_reader *reader) {
  return (size_t)(reader->end - reader->at);
}

/* Sets `error`, unless it is set, and moves to the end. */
void fc_reader_fail(struct fc_reader *reader, int error);

/* Passes a nil and returns true. Leaves any other value, and returns false. */
static inline bool fc_read_nil(struct fc_reader *reader) {
  if (reader->at == reader->end || *reader->at != MP_NIL)
    return false;
  reader->at++;
  return true;
}

bool fc_read_bool(struct fc_reader *reader);

/* Read an integer in any of its forms. FC_EPROTOCOL where it is not in the type's range. */
uint64_t fc_read_u64(struct fc_reader *reader);
uint32_t fc_read_u32(struct fc_reader *reader);
int64_t fc_read_i64(struct fc_reader *reader);

/* Reads a float 32 or float 64. */
double fc_read_real(struct fc_reader *reader);

/* Return bytes within the reader's. Those of a str are not checked for UTF-8. */
struct fc_str fc_read_str(struct fc_reader *reader);
const uint8_t *fc_read_bin(struct fc_reader *reader, uint32_t *size);

/* Reads the head of a bin alone and returns its size, whether or not the bytes are there. */
uint32_t fc_read_bin_head(struct fc_reader *reader);

/* Return the number of elements that follow, of a map the number of pairs. */
uint32_t fc_read_array(struct fc_reader *reader);
uint32_t fc_read_map(struct fc_reader *reader);

/* Passes `n` whole values of any type. Nesting costs a counter and no stack, so only the size of
 * the bytes bounds its depth. */
void fc_read_skip(struct fc_reader *reader, uint64_t n);

enum fc_value_type { FC_TYPE_INTEGER, FC_TYPE_REAL, FC_TYPE_STR, FC_TYPE_OTHER, FC_TYPE_END };

/* Returns the type of the next value, or FC_TYPE_END behind the last one. */
enum fc_value_type fc_reader_type(const struct fc_reader *reader);

#endif
