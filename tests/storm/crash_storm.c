#include "crash_storm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "crash_life.h"
#include "storm_keys.h"
#include "tests/support/child_process.h"

struct storm {
  const struct crash_plan *plan;
  struct crash_board *board;
  struct crash_result *result;
  uint64_t start_ns, random;
};

static double seconds_since(uint64_t start_ns) {
  return (double)(harness_now_ns() - start_ns) / 1e9;
}

static bool saw_fault(const struct storm *storm) {
  for (int i = 0; i < CRASH_FAULTS; i++)
    if ((storm->plan->until >> i & 1) != 0 && storm->board->faults[i] > 0)
      return true;
  return false;
}

static bool is_over(const struct storm *storm) {
  return storm->result->rounds >= storm->plan->rounds ||
         seconds_since(storm->start_ns) >= storm->plan->limit_s || saw_fault(storm);
}

static bool run_life(struct storm *storm, const struct crash_kind *kind) {
  static struct crash_life life; /* large */
  uint32_t end = storm->result->rounds + kind->rounds;
  bool good =
      crash_life_begin(&life, kind, storm->board, storm->result, storm_random(&storm->random));
  life.spares = storm->plan->spares;
  while (good && storm->result->rounds < end && !is_over(storm))
    good = crash_life_round(&life);
  crash_life_end(&life);
  return good;
}

void crash_storm_sum_up(const struct crash_board *board, struct crash_result *result) {
  result->checked = board->checked;
  result->puts = board->puts;
  result->hits = board->hits;
  result->clears = board->clears;
  result->deletes = board->deletes;
  result->grants = board->grants;
  result->inherited = board->inherited;
  result->snapshots = board->snapshots;
  result->resizes = board->resizes;
  for (int i = 0; i < CRASH_FAULTS; i++)
    result->faults[i] = board->faults[i];
}

bool crash_storm_run(const struct crash_plan *plan, struct crash_result *result) {
  struct storm storm = {.plan = plan,
                        .board = child_shared(sizeof(struct crash_board)),
                        .result = result,
                        .start_ns = harness_now_ns(),
                        .random = plan->seed};
  bool good = true;
  *result = (struct crash_result){0};
  for (uint32_t i = 0; good && !is_over(&storm); i++) {
    const struct crash_kind *kind = &crash_kinds[i % crash_kinds_n];
    if (plan->kind != NULL)
      kind = crash_kind_find(plan->kind);
    good = kind != NULL && run_life(&storm, kind);
  }
  crash_storm_sum_up(storm.board, result);
  result->took_s = seconds_since(storm.start_ns);
  (void)munmap(storm.board, sizeof *storm.board);
  return good;
}

uint32_t crash_storm_faults(const struct crash_result *result) {
  uint32_t sum = 0;
  for (int i = 0; i < CRASH_FAULTS; i++)
    sum += result->faults[i];
  return sum;
}

void crash_storm_print(const struct crash_result *result) {
  printf("%u kills (%u while adopting, %u in the ordered phase, %u starts from a file) in %.1f s, "
         "%llu entries checked",
         result->kills, result->adopting, result->ordered, result->restores, result->took_s,
         (unsigned long long)result->checked);
  for (int i = 0; i < CRASH_FAULTS; i++)
    printf(", %u %s", result->faults[i], crash_fault_names[i]);
  printf("; %u entries torn in their put; %llu puts, %llu hits, %llu clears, %llu deletes, %llu "
         "leases, %llu of them kept over a kill, %llu snapshots, %llu resizes\n",
         result->torn, (unsigned long long)result->puts, (unsigned long long)result->hits,
         (unsigned long long)result->clears, (unsigned long long)result->deletes,
         (unsigned long long)result->grants, (unsigned long long)result->inherited,
         (unsigned long long)result->snapshots, (unsigned long long)result->resizes);
}
