/* resp_reader.h - decodes replies in RESP2, the protocol of Valkey and Redis, with hiredis's
 * reader. No I/O: bytes come in pieces of any size.
 *
 * Replies are hostile input. A reply that is larger than the limit, nested deeper than
 * RESP_DEPTH_MAX, of a type that RESP2 does not have, or no RESP at all is an error. After an error
 * the connection cannot be used, because the start of the next reply is unknown.
 *
 * A value is not copied: the callback gets it in the reader's buffer. Memory: the received part of
 * a reply, at most the limit and RESP_SLACK_BYTES of it, with the allocator's growth (twice, or
 * 1 MiB more, whichever is less). It is freed after twice RESP_LARGE_BYTES have been in it.
 * One thread. */
#ifndef FC_DAEMON_RESP_READER_H
#define FC_DAEMON_RESP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESP_DEPTH_MAX 5u       /* CLUSTER SLOTS has 4 */
#define RESP_LARGE_BYTES 32768u /* replies from this size on are large */
#define RESP_SLACK_BYTES 256u   /* lengths and ends of lines, beside the limit */
#define RESP_ERROR_BYTES 128u

enum resp_type { RESP_NIL, RESP_INTEGER, RESP_TEXT, RESP_STATUS, RESP_ERROR, RESP_ARRAY };

struct resp_item {
  enum resp_type type;
  const char *text; /* RESP_TEXT, RESP_STATUS, RESP_ERROR: not NUL-terminated */
  size_t size;      /* of the text, or the number of elements of an array */
  int64_t number;   /* RESP_INTEGER */
};

/* A reply: its item, and behind each array its elements in order, with theirs. Valid during the
 * callback. */
struct resp_reply {
  const struct resp_item *items;
  size_t n;
};

struct redisReader;

struct resp_reader {
  /* Called for each reply, within resp_reader_feed. It may call resp_reader_stop and set the limit,
   * but no other function of this reader. */
  void (*on_reply)(void *arg, const struct resp_reply *reply);
  void *arg;
  size_t limit; /* bytes of the next reply's texts; the owner may change it at any time */
  /* private */
  struct redisReader *hiredis;
  struct resp_item *items; /* of the array that is being read */
  size_t n_items, items_capacity;
  char *texts; /* of these items */
  size_t texts_size, texts_capacity;
  size_t peak; /* the most bytes that `hiredis` held since it was made */
  bool stopped, too_large;
  char error[RESP_ERROR_BYTES];
};

/* Returns 0 or FC_ENOMEM. */
int resp_reader_init(struct resp_reader *reader,
                     void (*on_reply)(void *arg, const struct resp_reply *reply), void *arg);
/* Idempotent. */
void resp_reader_deinit(struct resp_reader *reader);

/* Decodes `size` more bytes and calls on_reply for each reply that they complete. Returns 0,
 * FC_EPROTOCOL (resp_reader_error says why) or FC_ENOMEM. */
int resp_reader_feed(struct resp_reader *reader, const char *bytes, size_t size);

/* Drops the bytes behind the present reply, and all later ones. */
void resp_reader_stop(struct resp_reader *reader);

/* Returns the bytes that the reader holds of a reply that is not complete, with its items. */
size_t resp_reader_partial(const struct resp_reader *reader);

/* Returns the text of the last error. */
const char *resp_reader_error(const struct resp_reader *reader);

#endif
