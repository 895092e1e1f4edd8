/* key.h - names, prompt hashes and keys, with their rules and digests. */
#ifndef FC_PROTO_KEY_H
#define FC_PROTO_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FC_HASH_SIZE 16u
#define FC_HASH_HEX_SIZE 33u /* 32 digits and a NUL */

/* Borrowed bytes, not terminated; {NULL, 0} is "none". */
struct fc_str {
  const char *data;
  uint32_t size;
};

struct fc_hash {
  uint8_t bytes[FC_HASH_SIZE];
};

/* A key within a namespace. Borrows its names. */
struct fc_key {
  struct fc_str op;
  struct fc_str view;
  uint32_t top_k;
  struct fc_hash prompt;
};

/* Returns whether a name has 1 to FC_NAME_MAX bytes of UTF-8 (no overlong forms, no surrogates)
 * without control characters (U+0000..1F, U+7F..9F). */
bool fc_name_valid(struct fc_str name);

/* Returns whether a manifest has 1 to FC_MANIFEST_MAX bytes of UTF-8 (as above) without U+0000. */
bool fc_manifest_valid(struct fc_str manifest);

/* Borrows a NUL-terminated string. NULL gives none. */
struct fc_str fc_str_of(const char *text);
bool fc_str_equal(struct fc_str a, struct fc_str b);

/* Returns the XXH3-128 with seed 0, canonical big-endian. */
struct fc_hash fc_hash_prompt(const void *prompt, size_t size);
void fc_hash_hex(const struct fc_hash *hash, char hex[FC_HASH_HEX_SIZE]);
/* Returns false if `hex` is not 32 hex digits (either case). */
bool fc_hash_parse(const char *hex, size_t size, struct fc_hash *hash);

/* Returns the XXH3-64 of a whole key with its namespace's seed, for hash tables. */
uint64_t fc_key_digest(uint64_t namespace_seed, const struct fc_key *key);

/* Compute fc_key_digest in two steps, for many prompts under the same names:
 * fc_key_digest_finish(fc_key_digest_names(seed, op, view), prompt, top_k). */
uint64_t fc_key_digest_names(uint64_t namespace_seed, struct fc_str op, struct fc_str view);
uint64_t fc_key_digest_finish(uint64_t names, const struct fc_hash *prompt, uint32_t top_k);

#endif
