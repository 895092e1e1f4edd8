/* key_text.h - the key of a result in a store with text keys.
 *
 * It has the same parts as fcached's key: "NAMESPACE:OP:VIEW:TOP_K:" and the hash of the prompt in
 * hexadecimal digits, by the hash function of <fcache.h>. A user of such a store makes it for each
 * call, as fcache_get does its own. */
#ifndef BENCH_KEY_TEXT_H
#define BENCH_KEY_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Writes the key to `to`, without a NUL, in one pass. Returns its end. The caller has room for the
 * names, 10 digits, 4 colons and 32 digits. */
char *key_text(char *to, const char *name_space, const char *op, const char *view, uint32_t top_k,
               const void *prompt, size_t prompt_bytes);

#endif
