/* units.h - formats numbers with their units for people. Pure functions.
 *
 * Those with a `text` fill it, NUL-terminated, and return it. UNITS_SIZE bytes hold any result. */
#ifndef FC_CTL_UNITS_H
#define FC_CTL_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define UNITS_SIZE 96u

/* "0 B", "1.50 KiB", "256 MiB": at most 8 columns. */
const char *units_bytes(uint64_t bytes, char text[UNITS_SIZE]);

/* "12.3 us", "4.56 ms", "1.23 s", "12m 03s", "3h 05m", "12d 4h", "120d": at most 7 columns below a
 * million days, which exceeds 64 bits of nanoseconds. "-" if negative or not a number. */
const char *units_seconds(double seconds, char text[UNITS_SIZE]);
const char *units_ns(uint64_t ns, char text[UNITS_SIZE]);

/* Exact below 10 million, then "12.3M", "4.56G": at most 7 columns. */
const char *units_count(uint64_t count, char text[UNITS_SIZE]);

/* Returns the ending of a noun after a number: "" for 1, else "s". A static string. */
static inline const char *units_plural(uint64_t n) {
  return n == 1 ? "" : "s";
}

/* A pid up to 4194304, Linux's largest, or "-" for any other number, such as 0 for an unknown pid.
 */
const char *units_pid(int64_t pid, char text[UNITS_SIZE]);

/* "80.00%", or "-" if `whole` is 0. */
const char *units_percent(uint64_t part, uint64_t whole, char text[UNITS_SIZE]);

/* "8 / 10 (80.00%)" or "0 / 0 (-)": exact, by units_count, or by units_bytes. */
const char *units_share(uint64_t part, uint64_t whole, char text[UNITS_SIZE]);
const char *units_share_short(uint64_t part, uint64_t whole, char text[UNITS_SIZE]);
const char *units_share_bytes(uint64_t part, uint64_t whole, char text[UNITS_SIZE]);

#endif
