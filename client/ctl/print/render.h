/* render.h - figures as people read them. Pure functions.
 *
 * Those that fill `text` return it; it is always NUL-terminated, and no text of a
 * RENDER_SIZE is ever cut. */
#ifndef FC_CTL_RENDER_H
#define FC_CTL_RENDER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RENDER_SIZE 96u
#define RENDER_COLUMNS 80u

/* "0 B", "1.50 KiB", "256 MiB": at most 8 columns. */
const char *render_bytes(uint64_t bytes, char text[RENDER_SIZE]);

/* "12.3 us", "4.56 ms", "1.23 s", "12m 03s", "3h 05m", "12d 4h", "120d": at most 7
 * columns below a million days (more than 64 bits of nanoseconds). Not a number, or
 * negative: "-". */
const char *render_seconds(double seconds, char text[RENDER_SIZE]);

/* Exact below 10 million, then "12.3M", "4.56G": at most 7 columns. */
const char *render_count(uint64_t count, char text[RENDER_SIZE]);

/* "4194304", the largest that Linux gives; what is no such pid, as 0 is for one that is not known:
 * "-". At most 7 columns. */
const char *render_pid(int64_t pid, char text[RENDER_SIZE]);

/* "80.00%", or "-" where `whole` is 0. */
const char *render_percent(uint64_t part, uint64_t whole, char text[RENDER_SIZE]);

/* "8 / 10 (80.00%)", "0 / 0 (-)"; exact, as render_count, or as render_bytes. */
const char *render_share(uint64_t part, uint64_t whole, char text[RENDER_SIZE]);
const char *render_share_short(uint64_t part, uint64_t whole, char text[RENDER_SIZE]);
const char *render_share_bytes(uint64_t part, uint64_t whole, char text[RENDER_SIZE]);

/* The columns that `name` takes on a terminal: wide characters count two,
 * combining ones none (if the locale knows them: else one each). */
size_t render_width(const char *name);

/* Prints `name` in at most `columns` (at least 1), cut with an ellipsis where it is
 * wider, and filled with spaces up to `columns` where `pad` is not 0. Characters that
 * do not fit a line (fc_utf8_fits_line), and bytes that are not UTF-8, are shown as
 * '?': a name comes from strangers, and must not steer the terminal. */
void render_fit(FILE *out, const char *name, size_t columns, int pad);

/* Copies `from` with '?' for the same characters; cut to `size`. Returns `to`. */
char *render_clean(char *to, size_t size, const char *from);

#endif
