/* parse.h - parses numbers and sizes, and formats sizes. Units are binary: 1K = 1024 bytes. */
#ifndef FC_DAEMON_PARSE_H
#define FC_DAEMON_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#define FORMAT_SIZE_MAX 48 /* two whole numbers, by the compiler's count */

/* Parses the decimal digits at the start of `text`, which may be NULL. Returns their end, or NULL
 * where there are no digits or the number exceeds 64 bits; *n is then unchanged. */
const char *parse_number(const char *text, uint64_t *n);

/* Parses the number at the start of `text` (NULL: false), which a space, a newline or the end of
 * the text must follow: a field of a file in /proc or /sys. */
bool parse_number_field(const char *text, uint64_t *n);

/* Parses `text` (NULL: false) as one decimal number with nothing after it. */
bool parse_whole_number(const char *text, uint64_t *n);

/* Parses a size such as "1048576", "64k", "512M", "1.5G", "2TiB", "10kb" or "7B": a decimal number,
 * an optional letter K, M, G or T in either case, and an optional "iB" or "B". There is no sign, no
 * space and no exponent. A fraction of a byte is cut. Returns 0, or FC_EINVAL for any other text
 * and for a size that exceeds 64 bits; *bytes is then unchanged. */
int parse_size(const char *text, uint64_t *bytes);

/* Formats "0 B", "1023 B", "1 KiB", "256 MiB" or "1.5 GiB": exact multiples have no fraction,
 * others one digit, rounded down. Returns `text`. */
const char *format_size(uint64_t bytes, char text[FORMAT_SIZE_MAX]);

#endif
