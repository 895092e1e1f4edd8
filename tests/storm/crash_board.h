/* crash_board.h - the common knowledge of the processes of the crash storm, in shared memory: which
 * puts and clears began and were acknowledged, on one clock. The versions that a lookup may find
 * follow from it.
 *
 * The clock counts ticks, so an event that ended before another one began has the smaller tick. A
 * key's slot is written by its owner, except for `used_*` and the leased keys, which are maxima.
 * The selectors of clears are written by the one process that clears. While all workers are parked,
 * the checker may write all of it.
 *
 * A judgement is sound at any time. It allows every state that the board does not exclude. */
#ifndef FC_TESTS_CRASH_BOARD_H
#define FC_TESTS_CRASH_BOARD_H

#include <stdatomic.h>

#include "crash_keys.h"

#define CRASH_UNENDED UINT64_MAX /* the tick at the end of an event that has not ended */
#define CRASH_PAST 8u            /* puts that a slot remembers */
#define CRASH_SELECTORS ((CRASH_SPACES + 1) * (CRASH_VIEWS + 1) * (CRASH_OPS + 1))
#define CRASH_STEPS 4096u        /* of the ordered phase */
#define CRASH_DEADLINE_MS 20000u /* of all calls: no daemon takes as long to start */

struct crash_put {
  _Atomic uint64_t version, ended; /* `ended` may be CRASH_UNENDED */
};

struct crash_slot {
  _Atomic uint64_t begun; /* the version of the latest put; 0: none */
  _Atomic uint64_t acked; /* of the latest put that was acknowledged as stored; 0: none */
  struct crash_put past[CRASH_PAST];
  _Atomic uint32_t n_past;
  _Atomic uint64_t used_begun; /* when the latest use began whose promotion was acknowledged */
  _Atomic uint64_t used_ended; /* when the latest use ended that may have promoted the entry */
  _Atomic bool crossed;        /* the latest put was in progress at a kill, and was repeated */
  _Atomic uint64_t missed;     /* when the latest lookup began to which the daemon replied a miss */
  _Atomic uint32_t holder;     /* of a leased key: the worker that computes, and 1; 0: none */
  _Atomic uint64_t held;       /* the tick of the latest grant */
};

struct crash_selector {
  _Atomic uint64_t acked_begun; /* when the latest clear began that was acknowledged */
  _Atomic uint64_t ended;       /* when the latest clear ended, acknowledged or not */
};

/* The work of all processes at a time. */
enum crash_phase { CRASH_RUN, CRASH_PARK, CRASH_ORDER, CRASH_STOP };

enum crash_fault {
  CRASH_LOST,     /* an entry is missing */
  CRASH_WRONG,    /* a value of no put, or one that was replaced */
  CRASH_REVIVED,  /* an entry that a clear had removed */
  CRASH_DISORDER, /* the LRU order differs from the model's */
  CRASH_FELL,     /* a counter or the generation fell, or counts less than was acknowledged */
  CRASH_LEASE,    /* a second computation, or a put of a lease's owner was rejected */
  CRASH_OTHER,    /* the daemon failed otherwise */
  CRASH_FAULTS
};
extern const char *const crash_fault_names[CRASH_FAULTS];

/* One step of the ordered phase. */
struct crash_step {
  uint32_t key;
  bool is_put;
  bool without_effect; /* a put that the daemon rejected, or a miss */
  bool in_ring;        /* a hit from the region: nothing but its record in the ring tells of it */
};

struct crash_board {
  _Atomic uint64_t clock;
  _Atomic uint32_t phase;    /* enum crash_phase; a futex */
  _Atomic uint32_t parked;   /* processes that wait for another phase */
  _Atomic uint64_t daemons;  /* that began to serve */
  _Atomic uint64_t starts;   /* of daemons */
  bool evicts;               /* entries are evicted in this life, so any may be missing */
  _Atomic uint64_t restored; /* the tick at which the cache came from a file; 0: it did not */
  _Atomic uint64_t snapshot; /* when the latest snapshot began that is complete; 0: none */
  _Atomic bool rebasing;     /* the memory was lost, and no check has run since */
  struct crash_slot slots[CRASH_KEYS];
  struct crash_selector selectors[CRASH_SELECTORS + CRASH_KEYS]; /* of clears, then of deletes */
  _Atomic uint64_t manifest_begun[CRASH_SPACES], manifest_acked[CRASH_SPACES];
  _Atomic uint64_t life_puts, life_clears, life_deletes, life_socket_hits; /* acknowledged in this
                                                                              life */
  /* In all lives. */
  _Atomic uint64_t puts, hits, clears, deletes, grants, inherited, checked, snapshots, resizes;
  _Atomic uint64_t clears_begun;
  /* A clear that was sent and not acknowledged: its selector and 1, and when it began. 0: none, or
   * it is unknown which clears have changed the generation. */
  _Atomic uint64_t half_clear, half_begun;
  /* The ordered phase: the steps, and the numbers of those that began and of those known to be
   * complete. */
  _Atomic uint32_t steps, steps_done;
  _Atomic bool last_step_done; /* the last one was completed, perhaps by the next daemon */
  struct crash_step step[CRASH_STEPS];
  _Atomic uint32_t faults[CRASH_FAULTS];
};

/* Returns the next tick. */
uint64_t crash_tick(struct crash_board *board);

/* Forgets a cache: its keys, clears and counts of this life. No worker runs. */
void crash_board_forget(struct crash_board *board);

/* Sets the acknowledged counts of this life to 0, for counters that may be lower now. */
void crash_board_reset_counts(struct crash_board *board);

/* Counts a fault, and prints the first ones, printf-like. */
void crash_report(struct crash_board *board, enum crash_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint32_t crash_fault_sum(const struct crash_board *board);

/* ---- phases ---- */

void crash_phase_set(struct crash_board *board, enum crash_phase phase);
/* Waits while the phase is `phase`, and counts the process as parked. Returns the next phase. */
enum crash_phase crash_phase_wait(struct crash_board *board, enum crash_phase phase);

/* ---- events ---- */

/* A put of `version` begins, and ends. The owner calls them. */
void crash_put_begin(struct crash_board *board, uint32_t key, uint64_t version);
void crash_put_end(struct crash_board *board, uint32_t key, uint64_t version, bool acked);
/* A put of a leased key ended. */
void crash_leased_put_end(struct crash_board *board, uint32_t key, uint64_t version, bool acked);

/* A clear begins, and ends. Numbers past the last name select any. */
void crash_clear_begin(struct crash_board *board, struct crash_place place);
void crash_clear_end(struct crash_board *board, struct crash_place place, uint64_t begun,
                     bool acked);

/* A delete of one key begins, and ends. If it was not acknowledged, it is unknown whether it has
 * changed the generation. */
void crash_delete_begin(struct crash_board *board, uint32_t key);
void crash_delete_end(struct crash_board *board, uint32_t key, uint64_t begun, bool acked);

/* The latest clear was not acknowledged, and the generation shows whether it began. */
void crash_clear_half(struct crash_board *board, struct crash_place place, uint64_t begun);
/* It did. So the next daemon has finished it, as if it was acknowledged. */
void crash_clear_finished(struct crash_board *board);

/* A use of the entry began and ended at these ticks. `acked`: its promotion is acknowledged. */
void crash_used(struct crash_board *board, uint32_t key, uint64_t begun, uint64_t ended,
                bool acked);

/* The daemon replied a miss to a lookup that began at this tick. */
void crash_missed(struct crash_board *board, uint32_t key, uint64_t begun);

/* ---- judgements ---- */

/* The state of a key before a lookup, for the judgement of its result. */
struct crash_before {
  uint64_t begun, acked;
  uint64_t cleared; /* the tick at which the latest clear began that was acknowledged */
};
struct crash_before crash_look(const struct crash_board *board, uint32_t key);

/* Returns whether a lookup must find the key, if it ended at this moment. False if a put or a clear
 * was, or may have been, in progress since `before`. */
bool crash_must_find(const struct crash_board *board, uint32_t key,
                     const struct crash_before *before);
/* Returns whether a put of the key was in progress at the kill. */
bool crash_was_put(const struct crash_board *board, uint32_t key);
/* Returns whether the key's latest put was not acknowledged, and no clear explains its absence. */
bool crash_may_lose(const struct crash_board *board, uint32_t key);

/* Returns the tick at which the latest clear of the key ended, CRASH_UNENDED while one goes on. */
uint64_t crash_latest_clear(const struct crash_board *board, uint32_t key);

/* Judges a version that a lookup found. `restored`: the cache came from a file, so that an earlier
 * version may be found. Reports a fault, and returns whether there is none. */
bool crash_judge(struct crash_board *board, uint32_t key, uint64_t version,
                 const struct crash_before *before, bool restored);

/* Returns whether the latest complete snapshot has the key: nothing happened to it since. */
bool crash_in_snapshot(const struct crash_board *board, uint32_t key);

/* Returns whether the daemon has replied a miss since the put of this version, which is then gone
 * for good: not for leased keys, nor while clients read from the region, where cleared entries
 * remain until the clear is acknowledged. */
bool crash_was_gone(const struct crash_board *board, uint32_t key, uint64_t version);

/* Takes the version that the checker found as the state of the key. 0: none. A file may still have
 * earlier versions. */
void crash_rebase(struct crash_board *board, uint32_t key, uint64_t version);

#endif
