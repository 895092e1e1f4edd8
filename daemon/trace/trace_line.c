#include "daemon/trace/trace_line.h"

#include "daemon/base/check.h"
#include "proto/limits.h"
#include "proto/utf8.h"

#include <assert.h>
#include <string.h>

/* Two or four bytes of UTF-8 become at most three times as many of ASCII. */
static_assert(5 * 3 * FC_NAME_MAX + 400 < TRACE_LINE_MAX, "five escaped names and the rest fit");

#define LITERAL(at, text) put_bytes(at, text, sizeof(text) - 1)

static char *put_bytes(char *at, const char *data, size_t size) {
  memcpy(at, data, size);
  return at + size;
}

static void put_pair(char *at, uint32_t n) {
  at[0] = (char)('0' + n / 10);
  at[1] = (char)('0' + n % 10);
}

/* Counts the digits first, so that each is stored at its final place: copying bytes that were just
 * stored would wait for those stores. Makes two digits a division, because each division waits for
 * the one before. */
static char *put_number(char *at, uint64_t n) {
  size_t size = 1;
  for (uint64_t limit = 10; n >= limit; limit *= 10)
    if (++size == 20) /* 10^20 is no uint64_t */
      break;
  size_t i = size;
  for (; i >= 2; i -= 2, n /= 100)
    put_pair(at + i - 2, (uint32_t)(n % 100));
  if (i == 1)
    at[0] = (char)('0' + n);
  return at + size;
}

static char *put_6_digits(char *at, uint32_t n) {
  put_pair(at, n / 10000);
  put_pair(at + 2, n / 100 % 100);
  put_pair(at + 4, n % 100);
  return at + 6;
}

/* n / 1,000,000 with six decimals */
static char *put_millionths(char *at, uint64_t n) {
  at = put_number(at, n / 1000000);
  *at++ = '.';
  return put_6_digits(at, (uint32_t)(n % 1000000));
}

/* Returns whether one of these eight bytes is a quote, a backslash, a control character or not
 * ASCII. Bytes equal to the first two become zero, and the subtraction borrows from their highest
 * bit. It may borrow above them too, which only costs a slow turn. */
static bool needs_escape(uint64_t eight) {
  const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
  uint64_t quotes = eight ^ (ones * '"'), slashes = eight ^ (ones * '\\');
  return (((quotes - ones) & ~quotes) | ((slashes - ones) & ~slashes) | (eight - ones * ' ') |
          eight) &
         highs;
}

static const char hex_digits[] = "0123456789abcdef";

static char *put_u16(char *at, uint32_t unit) {
  at = LITERAL(at, "\\u");
  for (int shift = 12; shift >= 0; shift -= 4)
    *at++ = hex_digits[unit >> shift & 15];
  return at;
}

/* Beyond U+FFFF: a pair of surrogates. */
static char *put_code(char *at, uint32_t code) {
  if (code < 0x10000)
    return put_u16(at, code);
  at = put_u16(at, 0xd800 + ((code - 0x10000) >> 10));
  return put_u16(at, 0xdc00 + ((code - 0x10000) & 0x3ff));
}

/* Writes one character of a name with `left` bytes left, and stores its size in *length. A byte
 * that is not valid in a name becomes a '?', so that a caller's mistake keeps the line whole and
 * ASCII. */
static char *put_char(char *at, const char *data, size_t left, size_t *length) {
  uint32_t code = 0;
  size_t size = fc_utf8_char((const uint8_t *)data, left, &code);
  *length = size == 0 ? 1 : size;
  if (size == 0 || fc_utf8_is_control(code))
    return LITERAL(at, "?");
  if (size > 1)
    return put_code(at, code);
  if (data[0] == '"' || data[0] == '\\')
    *at++ = '\\';
  *at++ = data[0];
  return at;
}

/* Writes a string as Python's json.dumps does: ASCII, so that neither a reader's locale nor a line
 * separator (U+2028) matters. The bound on its size keeps a caller's mistake within the line. */
static char *put_string(char *at, struct fc_str text) {
  size_t size = text.size < FC_NAME_MAX ? text.size : FC_NAME_MAX, i = 0;
  *at++ = '"';
  while (i < size) {
    uint64_t eight = UINT64_MAX; /* with fewer bytes left, one character at a time */
    size_t length = sizeof eight;
    if (size - i >= sizeof eight)
      memcpy(&eight, text.data + i, sizeof eight);
    if (needs_escape(eight))
      at = put_char(at, text.data + i, size - i, &length);
    else
      at = put_bytes(at, text.data + i, sizeof eight);
    i += length;
  }
  *at++ = '"';
  return at;
}

static char *put_hex(char *at, const struct fc_hash *hash) {
  for (size_t i = 0; i < FC_HASH_SIZE; i++) {
    *at++ = hex_digits[hash->bytes[i] >> 4];
    *at++ = hex_digits[hash->bytes[i] & 15];
  }
  return at;
}

size_t trace_line_format(char line[TRACE_LINE_MAX], const struct trace_event *event) {
  char *at = LITERAL(line, "{\"ts\": ");
  at = put_millionths(at, event->ts_ns / 1000); /* seconds from microseconds */
  at = LITERAL(at, ", \"probe\": ");
  at = event->probe.data == NULL ? LITERAL(at, "null") : put_string(at, event->probe);
  at = LITERAL(at, ", \"view_id\": ");
  at = put_string(at, event->view);
  at = LITERAL(at, ", \"prompt_hash\": \"");
  at = put_hex(at, &event->prompt);
  at = LITERAL(at, "\", \"top_k\": ");
  at = put_number(at, event->top_k);
  at = LITERAL(at, ", \"op\": ");
  at = put_string(at, event->op);
  at = LITERAL(at, ", \"wall_ms\": ");
  at = put_millionths(at, event->wall_ns);
  at = event->hit ? LITERAL(at, ", \"hit\": true") : LITERAL(at, ", \"hit\": false");
  at = LITERAL(at, ", \"namespace\": ");
  at = put_string(at, event->name_space);
  at = LITERAL(at, ", \"client\": ");
  at = put_string(at, event->client);
  at = LITERAL(at, "}\n");
  check_le(at - line, TRACE_LINE_MAX);
  return (size_t)(at - line);
}
