/* ops.h - the three questions that can be put to a view of the model. Each is one
 * forward pass; the answer is the bytes of result.h. */
#ifndef DEMO_OPS_H
#define DEMO_OPS_H

#include "client/demo/forward.h"
#include "client/demo/result.h"

#define OP_NEXT_TOKEN_DIST "next_token_dist" /* the top_k most probable next tokens; 0: all */
#define OP_ROLLING_LOGPROB "rolling_logprob" /* every token of a text, and their sum */
#define OP_LOGPROB_OF "logprob_of"           /* a completion, given a prompt */

/* Computes `op`. For OP_LOGPROB_OF the bytes are ops_join's. 0, FCACHE_EINVAL
 * for a name or bytes that it does not know, or FCACHE_ENOMEM. */
int ops_compute(const struct model *model, const char *op, const char *view,
                struct fcache_bytes prompt, uint32_t top_k, struct fcache_value *value);

/* A prompt and its completion as one string of bytes, so that no two pairs give
 * the same: u64 size of the prompt (little-endian), prompt, completion.
 * `data` is the caller's to free. */
struct fcache_bytes ops_join(struct fcache_bytes prompt, struct fcache_bytes completion);

#endif
