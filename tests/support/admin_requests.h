/* admin_requests.h - requests of administrators over a raw connection. Each returns the code of an
 * error reply, 0 for any other reply, or a positive raw_result. */
#ifndef FC_TESTS_ADMIN_REQUESTS_H
#define FC_TESTS_ADMIN_REQUESTS_H

#include "tests/support/raw.h"

/* `name_space` NULL: all. */
int admin_request_clear(struct raw *raw, const char *name_space);

/* FC_TRACE_ON traces to the file `path`; else `path` is ignored. */
int admin_request_trace(struct raw *raw, enum fc_trace_action action, const char *path);

/* Requests the times of requests, and with `reset` to empty them. */
int admin_request_latency(struct raw *raw, bool reset);

int admin_request_shutdown(struct raw *raw);

#endif
