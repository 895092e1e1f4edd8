#include "daemon/trace/trace_line.h"

#include "daemon/base/check.h"
#include "proto/limits.h"
#include "proto/utf8.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* Parts of a template are copied in blocks of this size, with what lies behind the part. That is
 * faster than a copy of the exact size, and the next part of the line overwrites it. */
#define BLOCK 32u

/* Two or four bytes of UTF-8 become at most three times as many of ASCII. */
static_assert(5 * 3 * FC_NAME_MAX + 400 + BLOCK < TRACE_LINE_MAX,
              "five escaped names, the rest, and a block behind it fit");

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

/* Makes eight digits a step: each byte is spread to 16 bits, each half of it becomes one of their
 * bytes, and all eight bytes become digits at once. */
static char *put_hex(char *at, const struct fc_hash *hash) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  for (size_t i = 0; i < FC_HASH_SIZE; i += 4) {
    uint32_t four;
    memcpy(&four, hash->bytes + i, sizeof four);
    uint64_t x = le32toh(four);
    x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
    x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
    x = (x >> 4 | x << 8) & (ones * 15);
    uint64_t letters = (x + ones * 6) >> 4 & ones; /* 1 in each byte of 10 or more */
    x = htole64(x + ones * '0' + letters * ('a' - '0' - 10));
    at = put_bytes(at, (const char *)&x, sizeof x);
  }
  return at;
}

/* ---- templates ---- */

void trace_template_init(struct trace_template *template, const struct trace_context *context) {
  char *text = template->text;
  char *at = LITERAL(text, ", \"probe\": ");
  at = context->probe.data == NULL ? LITERAL(at, "null") : put_string(at, context->probe);
  at = LITERAL(at, ", \"view_id\": ");
  at = put_string(at, context->view);
  at = LITERAL(at, ", \"prompt_hash\": \"");
  template->op = (size_t)(at - text);
  at = LITERAL(at, ", \"op\": ");
  at = put_string(at, context->op);
  at = LITERAL(at, ", \"wall_ms\": ");
  template->hit = (size_t)(at - text);
  at = context->hit ? LITERAL(at, ", \"hit\": true") : LITERAL(at, ", \"hit\": false");
  at = LITERAL(at, ", \"namespace\": ");
  at = put_string(at, context->name_space);
  at = LITERAL(at, ", \"client\": ");
  at = put_string(at, context->client);
  at = LITERAL(at, "}\n");
  template->end = (size_t)(at - text);
  check_le(template->end + BLOCK, sizeof template->text);
  template->time_size = 0;
}

static char *put_part(char *at, const char *part, size_t size) {
  for (size_t i = 0; i < size; i += BLOCK)
    memcpy(at + i, part + i, BLOCK);
  return at + size;
}

/* Writes seconds from microseconds. Its seconds are mostly those of the line before. */
static char *put_time(char *at, struct trace_template *template, uint64_t us) {
  uint64_t seconds = us / 1000000;
  static_assert(sizeof "{\"ts\": 18446744073709551615." <= BLOCK && sizeof template->time == BLOCK,
                "the largest number of seconds fits into the one block");
  if (template->time_size == 0 || seconds != template->seconds) {
    char *end = LITERAL(template->time, "{\"ts\": ");
    end = put_number(end, seconds);
    *end++ = '.';
    template->time_size = (size_t)(end - template->time);
    template->seconds = seconds;
  }
  memcpy(at, template->time, BLOCK);
  return put_6_digits(at + template->time_size, (uint32_t)(us % 1000000));
}

size_t trace_template_line(struct trace_template *template, char line[TRACE_LINE_MAX],
                           const struct trace_event *event) {
  char *at = put_time(line, template, event->ts_ns / 1000);
  at = put_part(at, template->text, template->op);
  at = put_hex(at, &event->prompt);
  at = LITERAL(at, "\", \"top_k\": ");
  at = put_number(at, event->top_k);
  at = put_part(at, template->text + template->op, template->hit - template->op);
  at = put_millionths(at, event->wall_ns);
  at = put_part(at, template->text + template->hit, template->end - template->hit);
  check_le(at - line, TRACE_LINE_MAX);
  return (size_t)(at - line);
}
