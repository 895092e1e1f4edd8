/* parse_size.h - sizes as people write them. Units are binary: 1K = 1024 bytes. */
#ifndef FC_DAEMON_SIZE_H
#define FC_DAEMON_SIZE_H

#include <stdint.h>

#define SIZE_TEXT_SIZE 48 /* two whole numbers, as the compiler counts */

/* Reads "1048576", "64k", "512M", "1.5G", "2TiB", "10kb", "7B": a decimal number,
 * then none or one of K M G T (either case), then an optional "iB" or "B". No
 * sign, no space, no exponent. A fraction of a byte is cut. 0, or FC_EINVAL for
 * anything else and for what does not fit in 64 bits; *bytes is then unchanged. */
int size_parse(const char *text, uint64_t *bytes);

/* Writes for people: "0 B", "1023 B", "1 KiB", "256 MiB", "1.5 GiB". Exact
 * multiples have no fraction, others one digit, rounded down. Returns `text`. */
const char *size_format(uint64_t bytes, char text[SIZE_TEXT_SIZE]);

#endif
