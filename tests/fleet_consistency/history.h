/* history.h - what workers of a fleet saw, and the checker of it.
 *
 * A history is a list of events with the times of their beginning and end, by the one monotonic
 * clock of the machine. Each value is put once, so it names its put. The checker reports what a
 * fleet must never do:
 *
 *   1. On one node, an older value after a newer one of the same key. A value is older if its put
 *      ended before the other's began. A node that was started again is another node. A clear that
 *      the node may have learned between the two begins anew: a node that learns late drops what it
 *      stored meanwhile, and takes what the fleet has computed since the clear.
 *   2. A value from before an acknowledged clear of the fleet, later than `bound_ns` after it, on a
 *      node that reached the tier all that time. On the node that cleared, at any later time.
 *   3. A value that nobody put.
 *
 * Events that overlap prove nothing, and are no fault. */
#ifndef FC_TESTS_HISTORY_H
#define FC_TESTS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_ANY 255u /* a part of a clear's scope */

enum history_kind {
  HISTORY_PUT,    /* from the beginning of its computation until it was stored or refused */
  HISTORY_STORED, /* the same value, which its node has stored: the node has seen it */
  HISTORY_HIT,
  HISTORY_CLEAR, /* acknowledged, or a delete of one key */
  /* A clear or delete that returned an error. Its node tries again, so it may be executed until
   * `bound_ns` after the faults around it have ended, or never. */
  HISTORY_FAILED_CLEAR,
  HISTORY_FAULT, /* a node (HISTORY_ANY: each) may not reach the tier */
};

struct history_event {
  uint64_t begin_ns, end_ns;
  uint64_t value;          /* of PUT, STORED and HIT: unique */
  uint8_t kind, node, key; /* node, key: not of a FAULT of all, and of a wide CLEAR */
  uint8_t view, op;        /* CLEAR: HISTORY_ANY or a part; else of the key */
  uint8_t reserved[3];
  uint32_t life; /* of the node: how often it had been started. 0: it was started meanwhile */
};

struct history {
  struct history_event *events; /* owned by the caller; sorted by the checker */
  size_t n;
  uint64_t bound_ns;
};

#define HISTORY_REPORT_SIZE 512u

/* Returns the number of faults of the fleet, and describes the first in `text`. */
size_t history_check(struct history *history, char text[HISTORY_REPORT_SIZE]);

#endif
