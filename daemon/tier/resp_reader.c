#include "daemon/tier/resp_reader.h"

#include <hiredis/read.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "proto/errors.h"

/* The longest line with a length or a number. A longer one is no RESP. */
#define LINE_MAX_BYTES 4096u

/* The functions below return its address: hiredis only compares it with NULL, which stops the
 * reader. */
static char created;

static struct resp_reader *reader_of(const redisReadTask *task) {
  return task->privdata;
}

static bool is_root(const redisReadTask *task) {
  return task->parent == NULL;
}

static unsigned depth_of(const redisReadTask *task) {
  unsigned depth = 1;
  while ((task = task->parent) != NULL)
    depth++;
  return depth;
}

/* Delivers a reply that is no array at once: hiredis moves its bytes when the call returns. */
static void *deliver(struct resp_reader *reader, const struct resp_item *item) {
  const struct resp_reply reply = {.items = item, .n = 1};
  reader->on_reply(reader->arg, &reply);
  return &created;
}

static bool reserve(void *memory, size_t *capacity, size_t wanted, size_t unit) {
  void **pointer = memory;
  if (wanted <= *capacity)
    return true;
  size_t larger = *capacity * 2 > wanted ? *capacity * 2 : wanted + 16;
  void *moved = realloc(*pointer, larger * unit);
  if (moved == NULL)
    return false;
  *pointer = moved;
  *capacity = larger;
  return true;
}

/* Appends an element of the array that is being read, with a copy of its text. */
static void *append(struct resp_reader *reader, const struct resp_item *item, size_t text_size) {
  size_t used = reader->texts_size + (reader->n_items + 1) * sizeof *item;
  if (text_size > reader->limit || used > reader->limit + RESP_SLACK_BYTES ||
      text_size > reader->limit + RESP_SLACK_BYTES - used) {
    reader->too_large = true;
    return NULL;
  }
  if (!reserve(&reader->items, &reader->items_capacity, reader->n_items + 1, sizeof *item) ||
      !reserve(&reader->texts, &reader->texts_capacity, reader->texts_size + text_size, 1))
    return NULL;
  if (text_size > 0)
    memcpy(reader->texts + reader->texts_size, item->text, text_size);
  reader->texts_size += text_size;
  reader->items[reader->n_items++] = *item; /* its text is set when the array is complete */
  return &created;
}

/* ---- called by hiredis ---- */

static void *create_string(const redisReadTask *task, char *text, size_t size) {
  struct resp_reader *reader = reader_of(task);
  struct resp_item item = {.text = text, .size = size};
  switch (task->type) {
  case REDIS_REPLY_STRING:
    item.type = RESP_TEXT;
    break;
  case REDIS_REPLY_STATUS:
    item.type = RESP_STATUS;
    break;
  case REDIS_REPLY_ERROR:
    item.type = RESP_ERROR;
    break;
  default: /* of RESP3, which this client never asks for */
    return NULL;
  }
  if (size > reader->limit && item.type == RESP_TEXT) {
    reader->too_large = true;
    return NULL;
  }
  return is_root(task) ? deliver(reader, &item) : append(reader, &item, size);
}

static void *create_integer(const redisReadTask *task, long long number) {
  const struct resp_item item = {.type = RESP_INTEGER, .number = number};
  return is_root(task) ? deliver(reader_of(task), &item) : append(reader_of(task), &item, 0);
}

static void *create_nil(const redisReadTask *task) {
  const struct resp_item item = {.type = RESP_NIL};
  return is_root(task) ? deliver(reader_of(task), &item) : append(reader_of(task), &item, 0);
}

static void *create_elements(const redisReadTask *task, size_t n) {
  struct resp_reader *reader = reader_of(task);
  const struct resp_item item = {.type = RESP_ARRAY, .size = n};
  if (task->type != REDIS_REPLY_ARRAY || depth_of(task) > RESP_DEPTH_MAX)
    return NULL;
  if (n > reader->limit) { /* an element takes more than a byte */
    reader->too_large = true;
    return NULL;
  }
  return append(reader, &item, 0);
}

#ifdef REDIS_REPLY_DOUBLE /* hiredis 1.0 and later */
static void *create_array(const redisReadTask *task, size_t n) {
  return create_elements(task, n);
}
static void *refuse_double(const redisReadTask *task, double number, char *text, size_t size) {
  (void)task, (void)number, (void)text, (void)size;
  return NULL;
}
static void *refuse_bool(const redisReadTask *task, int truth) {
  (void)task, (void)truth;
  return NULL;
}
#else
static void *create_array(const redisReadTask *task, int n) {
  return create_elements(task, (size_t)n);
}
#endif

static void free_nothing(void *object) {
  (void)object;
}

static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = free_nothing,
#ifdef REDIS_REPLY_DOUBLE
    .createDouble = refuse_double,
    .createBool = refuse_bool,
#endif
};

/* ---- the reader ---- */

static redisReader *new_hiredis(struct resp_reader *reader) {
  redisReader *hiredis = redisReaderCreateWithFunctions(&functions);
  if (hiredis != NULL)
    hiredis->privdata = reader;
  return hiredis;
}

int resp_reader_init(struct resp_reader *reader,
                     void (*on_reply)(void *arg, const struct resp_reply *reply), void *arg) {
  *reader = (struct resp_reader){.on_reply = on_reply, .arg = arg, .limit = RESP_LARGE_BYTES};
  reader->hiredis = new_hiredis(reader);
  return reader->hiredis != NULL ? 0 : FC_ENOMEM;
}

static void free_array(struct resp_reader *reader) {
  free(reader->items);
  free(reader->texts);
  reader->items = NULL;
  reader->texts = NULL;
  reader->n_items = reader->items_capacity = 0;
  reader->texts_size = reader->texts_capacity = 0;
}

void resp_reader_deinit(struct resp_reader *reader) {
  redisReaderFree(reader->hiredis);
  reader->hiredis = NULL;
  free_array(reader);
}

static int fail(struct resp_reader *reader, int code, const char *text) {
  (void)snprintf(reader->error, sizeof reader->error, "%s", text);
  return code;
}

/* A root that is an array is complete. Its texts no longer move. */
static void deliver_array(struct resp_reader *reader) {
  const char *text = reader->texts;
  for (size_t i = 0; i < reader->n_items; i++) {
    struct resp_item *item = &reader->items[i];
    if (item->type == RESP_NIL || item->type == RESP_INTEGER || item->type == RESP_ARRAY)
      continue;
    item->text = "";
    if (item->size == 0) /* without texts there is no memory for them */
      continue;
    item->text = text;
    text += item->size;
  }
  const struct resp_reply reply = {.items = reader->items, .n = reader->n_items};
  reader->on_reply(reader->arg, &reply);
  free_array(reader);
}

/* Replaces the buffer after a large reply, which hiredis would keep until it is empty. */
static int shrink(struct resp_reader *reader) {
  redisReader *old = reader->hiredis;
  if (reader->peak <= 2 * RESP_LARGE_BYTES) /* pieces of small replies take no more */
    return 0;
  redisReader *fresh = new_hiredis(reader);
  if (fresh == NULL ||
      redisReaderFeed(fresh, old->buf + old->pos, old->len - old->pos) != REDIS_OK) {
    redisReaderFree(fresh);
    return fail(reader, FC_ENOMEM, "out of memory");
  }
  redisReaderFree(old);
  reader->hiredis = fresh;
  reader->peak = fresh->len;
  return 0;
}

/* Explains why hiredis stopped. */
static int explain(struct resp_reader *reader) {
  if (reader->too_large)
    return fail(reader, FC_EPROTOCOL, "a reply is larger than what was asked for");
  if (reader->hiredis->err == REDIS_ERR_OOM)
    return fail(reader, FC_EPROTOCOL, "a reply of an unexpected type, or out of memory");
  return fail(reader, FC_EPROTOCOL, reader->hiredis->errstr);
}

/* Refuses an incomplete reply that exceeds the limit, or that begins with an endless line. */
static int check_partial(struct resp_reader *reader) {
  const redisReader *hiredis = reader->hiredis;
  size_t held = hiredis->len - hiredis->pos;
  if (hiredis->ridx < 0)
    return 0;
  if (held > reader->limit + RESP_SLACK_BYTES)
    return fail(reader, FC_EPROTOCOL, "a reply is larger than what was asked for");
  if (held > LINE_MAX_BYTES && memchr(hiredis->buf + hiredis->pos, '\n', LINE_MAX_BYTES) == NULL)
    return fail(reader, FC_EPROTOCOL, "a line of a reply has no end");
  return 0;
}

int resp_reader_feed(struct resp_reader *reader, const char *bytes, size_t size) {
  if (reader->stopped)
    return 0;
  if (redisReaderFeed(reader->hiredis, bytes, size) != REDIS_OK)
    return fail(reader, FC_ENOMEM, "out of memory");
  while (!reader->stopped) {
    void *root = NULL;
    if (reader->hiredis->len > reader->peak)
      reader->peak = reader->hiredis->len;
    if (redisReaderGetReply(reader->hiredis, &root) != REDIS_OK)
      return explain(reader);
    if (root == NULL)
      return check_partial(reader);
    if (reader->n_items > 0)
      deliver_array(reader);
    int error = shrink(reader);
    if (error)
      return error;
  }
  return 0;
}

void resp_reader_stop(struct resp_reader *reader) {
  reader->stopped = true;
}

size_t resp_reader_partial(const struct resp_reader *reader) {
  return reader->hiredis->len - reader->hiredis->pos + reader->texts_size +
         reader->n_items * sizeof *reader->items;
}

const char *resp_reader_error(const struct resp_reader *reader) {
  return reader->error;
}
