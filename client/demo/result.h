/* result.h - what the three ops return, and the bytes that are cached of it.
 *
 * All numbers are little-endian, floats IEEE 754; nothing is aligned or padded.
 *
 *   next_token_dist   u8 'D', u8 1 if there is a tail, u32 vocabulary size,
 *                     u32 n, f32 tail log-prob (0 where there is none),
 *                     n x i64 token id, n x f32 log-prob, most probable first
 *   rolling_logprob   u8 'R', u32 n, f64 sum, n x f32 log-prob of each token
 *   logprob_of        u8 'C', f64 log-prob
 *
 * The decoders take any bytes: what is not exactly one result is FCACHE_EINVAL. */
#ifndef DEMO_RESULT_H
#define DEMO_RESULT_H

#include <fcache.h>

struct distribution {
  uint32_t vocabulary_size;
  uint32_t n;
  int64_t *ids;
  float *logprobs;
  bool has_tail;      /* false where all of the vocabulary is listed */
  float tail_logprob; /* of all words that are not listed, together */
};

struct rolling {
  uint32_t n;
  double total;
  float *logprobs;
};

/* Each replaces the value's bytes. 0 or FCACHE_ENOMEM. */
int result_encode_distribution(const struct distribution *in, struct fcache_value *value);
int result_encode_rolling(const struct rolling *in, struct fcache_value *value);
int result_encode_completion(double logprob, struct fcache_value *value);

/* 0, with arrays that result_free_... frees; or FCACHE_EINVAL and nothing to free. */
int result_decode_distribution(const void *data, size_t size, struct distribution *out);
int result_decode_rolling(const void *data, size_t size, struct rolling *out);
int result_decode_completion(const void *data, size_t size, double *out);

void result_free_distribution(struct distribution *result);
void result_free_rolling(struct rolling *result);

#endif
