#include "daemon/trace_line.h"

#include "proto/limits.h"

#include <assert.h>
#include <string.h>

static_assert(5 * 2 * FC_NAME_MAX + 400 < TRACE_LINE_MAX, "five escaped names and the rest fit");

#define LITERAL(at, text) put_bytes(at, text, sizeof(text) - 1)

static char *put_bytes(char *at, const char *data, size_t size) {
  memcpy(at, data, size);
  return at + size;
}

static char *put_number(char *at, uint64_t n) {
  char digits[20];
  size_t i = sizeof digits;
  do {
    digits[--i] = (char)('0' + n % 10);
    n /= 10;
  } while (n != 0);
  return put_bytes(at, digits + i, sizeof digits - i);
}

static char *put_6_digits(char *at, uint32_t n) {
  for (int i = 5; i >= 0; i--) {
    at[i] = (char)('0' + n % 10);
    n /= 10;
  }
  return at + 6;
}

/* n / 1,000,000 with six decimals */
static char *put_millionths(char *at, uint64_t n) {
  at = put_number(at, n / 1000000);
  *at++ = '.';
  return put_6_digits(at, (uint32_t)(n % 1000000));
}

/* Names have no control characters: only the quote and the backslash need care.
 * The bound on the size keeps a caller's mistake inside the line. */
static char *put_string(char *at, struct fc_str text) {
  *at++ = '"';
  for (uint32_t i = 0; i < text.size && i < FC_NAME_MAX; i++) {
    char c = text.data[i];
    if (c == '"' || c == '\\')
      *at++ = '\\';
    *at++ = c;
  }
  *at++ = '"';
  return at;
}

static char *put_hex(char *at, const struct fc_hash *hash) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < FC_HASH_SIZE; i++) {
    *at++ = digits[hash->bytes[i] >> 4];
    *at++ = digits[hash->bytes[i] & 15];
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
  return (size_t)(at - line);
}
