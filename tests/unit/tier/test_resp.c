/* RESP in both directions: commands in buffers of any size, replies in pieces of any size, and
 * hostile replies. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tier/resp_reader.h"
#include "daemon/tier/resp_writer.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

#define LIMIT 10000u

/* ---- commands ---- */

static const char expected[] = "*4\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\na\0b\r\n\r\n$26\r\n"
                               "abcdefghijklmnopqrstuvwxyz\r\n";

/* Writes through buffers of `capacity`, and compares with `expected`. */
static void write_through(size_t capacity) {
  char bytes[256], all[256];
  size_t size = 0;
  struct resp_command command = {0};
  struct resp_position position = {0};
  resp_add_text(&command, "SET");
  resp_add(&command, NULL, 0);
  resp_add(&command, "a\0b\r\n", 5);
  resp_add_text(&command, "abcdefghijklmnopqrstuvwxyz");
  for (bool whole = false; !whole;) {
    struct resp_buffer buffer = {.bytes = bytes, .capacity = capacity};
    whole = resp_write(&command, &position, &buffer);
    ck_assert_uint_gt(buffer.size, 0);
    ck_assert_uint_le(size + buffer.size, sizeof all);
    memcpy(all + size, bytes, buffer.size);
    size += buffer.size;
  }
  ck_assert_uint_eq(size, sizeof expected - 1);
  ck_assert_int_eq(memcmp(all, expected, size), 0);
}

START_TEST(command_is_same_through_buffers_of_all_sizes) {
  for (size_t capacity = RESP_LENGTH_BYTES; capacity <= sizeof expected; capacity++)
    write_through(capacity);
}
END_TEST

/* ---- replies ---- */

/* The replies, as text: "nil", 42, 'text', +status, -error, [a b]. */
struct seen {
  struct resp_reader reader;
  char text[4096];
  size_t stop_after; /* replies; 0: never */
  size_t replies;
};

static void show(struct seen *seen, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void show(struct seen *seen, const char *format, ...) {
  size_t used = strlen(seen->text);
  va_list args;
  va_start(args, format);
  (void)vsnprintf(seen->text + used, sizeof seen->text - used, format, args);
  va_end(args);
}

static const struct resp_item *show_item(struct seen *seen, const struct resp_item *item) {
  switch (item->type) {
  case RESP_NIL:
    show(seen, "nil ");
    break;
  case RESP_INTEGER:
    show(seen, "%lld ", (long long)item->number);
    break;
  case RESP_TEXT:
    show(seen, "'%.*s' ", (int)(item->size < 40 ? item->size : 40), item->text);
    break;
  case RESP_STATUS:
    show(seen, "+%.*s ", (int)item->size, item->text);
    break;
  case RESP_ERROR:
    show(seen, "-%.*s ", (int)item->size, item->text);
    break;
  case RESP_ARRAY: {
    show(seen, "[ ");
    const struct resp_item *next = item + 1;
    for (size_t i = 0; i < item->size; i++)
      next = show_item(seen, next);
    show(seen, "] ");
    return next;
  }
  }
  return item + 1;
}

static void on_reply(void *arg, const struct resp_reply *reply) {
  struct seen *seen = arg;
  ck_assert_ptr_eq(show_item(seen, reply->items), reply->items + reply->n);
  if (++seen->replies == seen->stop_after)
    resp_reader_stop(&seen->reader);
}

/* Returns the code of the first piece that fails, or 0. */
static int feed(struct seen *seen, const char *bytes, size_t size, size_t piece) {
  int code = 0;
  for (size_t i = 0; i < size && code == 0; i += piece)
    code = resp_reader_feed(&seen->reader, bytes + i, size - i < piece ? size - i : piece);
  return code;
}

static void begin(struct seen *seen) {
  memset(seen, 0, sizeof *seen);
  ck_assert_int_eq(resp_reader_init(&seen->reader, on_reply, seen), 0);
  seen->reader.limit = LIMIT;
}

START_TEST(replies_are_same_in_pieces_of_all_sizes) {
  static const char bytes[] =
      "+OK\r\n:-42\r\n$-1\r\n*-1\r\n$0\r\n\r\n$4\r\na\r\nb\r\n-ERR bad\r\n*0\r\n"
      "*3\r\n$3\r\nfoo\r\n*2\r\n:1\r\n*2\r\n$-1\r\n*0\r\n$0\r\n\r\n*1\r\n*1\r\n*1\r\n+deep\r\n"
      "*2\r\n$0\r\n\r\n-\r\n";
  static const char text[] = "+OK -42 nil nil '' 'a\r\nb' -ERR bad [ ] "
                             "[ 'foo' [ 1 [ nil [ ] ] ] '' ] [ [ [ +deep ] ] ] [ '' - ] ";
  for (size_t piece = 1; piece <= sizeof bytes; piece++) {
    struct seen seen;
    begin(&seen);
    ck_assert_int_eq(feed(&seen, bytes, sizeof bytes - 1, piece), 0);
    ck_assert_str_eq(seen.text, text);
    ck_assert_uint_eq(resp_reader_partial(&seen.reader), 0);
    resp_reader_deinit(&seen.reader);
  }
}
END_TEST

/* Bytes that no server may send to this client. */
static const struct {
  const char *bytes;
  const char *error; /* part of it */
} hostile[] = {
    {"HTTP/1.1 400 Bad Request\r\n", "\"H\""},
    {"\x16\x03\x01", "\\x16"},
    {"$-2\r\n", "length"},
    {"$abc\r\n", "length"},
    {"$99999999999999999999\r\n", "length"},
    {":12a\r\n", "integer"},
    {":99999999999999999999\r\n", "integer"},
    {"*-2\r\n", "length"},
    {"*10001\r\n", "larger"},
    {"*2147483647\r\n", "larger"},
    {"*99999999999\r\n", ""}, /* each version of hiredis has another text */
    {"$10001\r\n", NULL},     /* refused when that much has come */
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", "unexpected"},
    {"%1\r\n+a\r\n+b\r\n", ""}, /* RESP3 */
    {">1\r\n+a\r\n", ""},
    {"#t\r\n", ""},
    {",1.5\r\n", ""},
    {"=5\r\ntxt:a\r\n", ""},
    {"(123\r\n", ""},
};

START_TEST(hostile_reply_is_error) {
  for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++)
    for (size_t piece = 1; piece < 20; piece += 9) {
      struct seen seen;
      begin(&seen);
      int code = feed(&seen, hostile[i].bytes, strlen(hostile[i].bytes), piece);
      ck_assert_msg(code == (hostile[i].error != NULL ? FC_EPROTOCOL : 0), "%s: %d",
                    hostile[i].bytes, code);
      if (hostile[i].error != NULL)
        ck_assert_msg(strstr(resp_reader_error(&seen.reader), hostile[i].error) != NULL, "%s: %s",
                      hostile[i].bytes, resp_reader_error(&seen.reader));
      ck_assert_uint_eq(seen.replies, 0);
      resp_reader_deinit(&seen.reader);
    }
}
END_TEST

/* Sends `n` bytes of one kind behind a beginning. Returns the code. */
static int feed_flood(struct seen *seen, const char *beginning, char byte, size_t n) {
  char bytes[4096];
  memset(bytes, byte, sizeof bytes);
  int code = resp_reader_feed(&seen->reader, beginning, strlen(beginning));
  for (size_t i = 0; i < n && code == 0; i += sizeof bytes)
    code = resp_reader_feed(&seen->reader, bytes, sizeof bytes);
  return code;
}

START_TEST(reply_over_limit_is_refused_before_it_is_whole) {
  struct seen seen;
  static const char *const beginnings[] = {"$1000000000\r\n", "+", "-", "*1\r\n$1000000000\r\n"};
  for (size_t i = 0; i < 4; i++) {
    begin(&seen);
    ck_assert_int_eq(feed_flood(&seen, beginnings[i], 'x', 1000000), FC_EPROTOCOL);
    ck_assert_uint_le(resp_reader_partial(&seen.reader), LIMIT + RESP_SLACK_BYTES + 4096);
    resp_reader_deinit(&seen.reader);
  }
  /* A list of many small texts. */
  begin(&seen);
  int code = resp_reader_feed(&seen.reader, "*9000\r\n", 7);
  for (int i = 0; i < 9000 && code == 0; i++)
    code = resp_reader_feed(&seen.reader, "+\r\n", 3);
  ck_assert_int_eq(code, FC_EPROTOCOL);
  ck_assert_uint_eq(seen.replies, 0);
  resp_reader_deinit(&seen.reader);
}
END_TEST

/* An element without a text takes a few bytes of the reply, and more of memory. */
START_TEST(partial_list_counts_its_items) {
  struct seen seen;
  begin(&seen);
  ck_assert_int_eq(resp_reader_feed(&seen.reader, "*250\r\n", 6), 0);
  for (int i = 0; i < 200; i++)
    ck_assert_int_eq(resp_reader_feed(&seen.reader, ":1\r\n", 4), 0);
  ck_assert_uint_ge(resp_reader_partial(&seen.reader), 200 * sizeof(struct resp_item));
  ck_assert_uint_eq(seen.replies, 0);
  resp_reader_deinit(&seen.reader);
}
END_TEST

START_TEST(large_reply_leaves_no_memory_behind) {
  struct seen seen;
  size_t size = 2000000;
  char *bytes = malloc(size + 40);
  begin(&seen);
  seen.reader.limit = size;
  int n = snprintf(bytes, 40, "$%zu\r\n", size);
  memset(bytes + n, 'x', size);
  memcpy(bytes + n + size, "\r\n+OK\r\n:", 8); /* with the beginning of the next but one */
  ck_assert_int_eq(feed(&seen, bytes, (size_t)n + size + 8, 65536), 0);
  ck_assert_uint_eq(seen.replies, 2);
  ck_assert_uint_eq(resp_reader_partial(&seen.reader), 0); /* hiredis has taken the type */
  ck_assert_uint_le(seen.reader.peak, 2 * RESP_LARGE_BYTES);
  ck_assert_int_eq(resp_reader_feed(&seen.reader, "7\r\n", 3), 0);
  ck_assert_ptr_nonnull(strstr(seen.text, "+OK 7 "));
  resp_reader_deinit(&seen.reader);
  free(bytes);
}
END_TEST

START_TEST(stopped_reader_drops_the_rest) {
  struct seen seen;
  begin(&seen);
  seen.stop_after = 2;
  ck_assert_int_eq(feed(&seen, "+a\r\n+b\r\n+c\r\nHTTP", 16, 100), 0);
  ck_assert_str_eq(seen.text, "+a +b ");
  resp_reader_deinit(&seen.reader);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("resp");
  TCase *tc = tcase_create("resp");
  tcase_add_test(tc, command_is_same_through_buffers_of_all_sizes);
  tcase_add_test(tc, replies_are_same_in_pieces_of_all_sizes);
  tcase_add_test(tc, hostile_reply_is_error);
  tcase_add_test(tc, reply_over_limit_is_refused_before_it_is_whole);
  tcase_add_test(tc, partial_list_counts_its_items);
  tcase_add_test(tc, large_reply_leaves_no_memory_behind);
  tcase_add_test(tc, stopped_reader_drops_the_rest);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
