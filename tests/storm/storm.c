#include "storm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "storm_reader.h"
#include "storm_writer.h"
#include "tests/support/shared_region.h"

#define STEPS 64u /* of the writer, between two reads of the clock */

struct storm {
  const struct storm_plan *plan;
  struct storm_board *board;
  struct storm_writer writer;
  struct region_reader map; /* that threads share */
  struct storm_reader readers[STORM_READERS_MAX];
  pthread_t threads[STORM_READERS_MAX];
  pid_t children[STORM_READERS_MAX];
  uint32_t begun; /* readers */
};

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- readers ---- */

static void *run_thread(void *reader) {
  storm_reader_run(reader);
  return NULL;
}

/* In the child, with its own read-only mapping. */
static _Noreturn void run_process(const struct storm_reader *inherited,
                                  const struct region *region) {
  struct region_reader map;
  struct storm_reader reader = *inherited;
  reader.map = &map;
  if (!shared_region_map(region, &map, STORM_BOOT_ID))
    _exit(1);
  storm_reader_run(&reader);
  region_reader_unmap(&map);
  _exit(0);
}

static bool begin_reader(struct storm *storm, uint32_t number) {
  const struct storm_plan *plan = storm->plan;
  struct storm_reader *reader = &storm->readers[number];
  *reader = (struct storm_reader){
      .map = &storm->map,
      .board = storm->board,
      .keys = storm->writer.keys,
      .name_space = STORM_NAMESPACE,
      .n_reads = plan->reads / plan->readers + (number < plan->reads % plan->readers),
      .number = number,
      .until_wrong = plan->until_wrong,
  };
  if (!plan->processes)
    return pthread_create(&storm->threads[number], NULL, run_thread, reader) == 0;
  fflush(NULL);
  storm->children[number] = fork();
  if (storm->children[number] == 0)
    run_process(reader, &storm->writer.region);
  return storm->children[number] > 0;
}

static bool begin_readers(struct storm *storm) {
  if (!region_reader_attach(&storm->map, storm->writer.region.base, storm->writer.region.size))
    return false;
  atomic_store(&storm->board->running, storm->plan->readers);
  while (storm->begun < storm->plan->readers && begin_reader(storm, storm->begun))
    storm->begun++;
  return storm->begun == storm->plan->readers;
}

/* Waits for all readers. Returns false if one crashed. */
static bool end_readers(struct storm *storm) {
  bool good = true;
  atomic_store(&storm->board->stop, true);
  for (uint32_t i = 0; i < storm->begun; i++) {
    int status = 0;
    if (storm->plan->processes)
      good = waitpid(storm->children[i], &status, 0) == storm->children[i] && status == 0 && good;
    else
      good = pthread_join(storm->threads[i], NULL) == 0 && good;
  }
  return good;
}

/* ---- the storm ---- */

void storm_reads_add(struct storm_reads *sum, const struct storm_reads *reads) {
  sum->hits += reads->hits;
  sum->misses += reads->misses;
  sum->busy += reads->busy;
  sum->torn += reads->torn;
  sum->old += reads->old;
  sum->gone += reads->gone;
  sum->dead += reads->dead;
}

static void sum_up(const struct storm *storm, struct storm_result *result) {
  for (uint32_t i = 0; i < storm->begun; i++)
    storm_reads_add(&result->reads, &storm->board->reads[i]);
  result->writes = storm->writer.writes;
  result->finished = storm_answers(result) == storm->plan->reads;
}

static bool rage(struct storm *storm, struct storm_result *result) {
  double start = now_s();
  bool begun = begin_readers(storm);
  /* The time limit ends a wait for a reader that crashed. */
  while (begun && atomic_load_explicit(&storm->board->running, memory_order_acquire) > 0 &&
         now_s() - start < storm->plan->limit_s)
    for (uint32_t i = 0; i < STEPS; i++)
      storm_writer_step(&storm->writer);
  result->crashed = !end_readers(storm);
  result->took_s = now_s() - start;
  sum_up(storm, result);
  return begun;
}

bool storm_run(const struct storm_plan *plan, struct storm_result *result) {
  *result = (struct storm_result){0};
  void *board = mmap(NULL, sizeof(struct storm_board), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  struct storm *storm = calloc(1, sizeof *storm);
  bool good = board != MAP_FAILED && storm != NULL;
  if (good) {
    storm->plan = plan;
    storm->board = board;
    good = storm_writer_init(&storm->writer, board, plan->buckets);
  }
  if (good) {
    good = rage(storm, result);
    storm_writer_deinit(&storm->writer);
  }
  free(storm);
  if (board != MAP_FAILED)
    munmap(board, sizeof(struct storm_board));
  return good;
}

static double percent(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

void storm_print(const char *name, const struct storm_result *result) {
  const struct storm_reads *reads = &result->reads;
  const struct storm_writes *writes = &result->writes;
  uint64_t answers = storm_answers(result);
  printf("%s: %llu reads in %.1f s: %.1f%% hits, %.1f%% misses, %.2f%% busy; %llu torn, %llu old, "
         "%llu gone, %llu dead\n",
         name, (unsigned long long)answers, result->took_s, percent(reads->hits, answers),
         percent(reads->misses, answers), percent(reads->busy, answers),
         (unsigned long long)reads->torn, (unsigned long long)reads->old,
         (unsigned long long)reads->gone, (unsigned long long)reads->dead);
  printf("%s: meanwhile %llu puts, of them %llu replacements (%llu of the same size) and %llu in "
         "pieces, %llu kept, %llu "
         "failed; %llu evicted, %llu by force; %llu clears of %llu entries; %llu blocks moved\n",
         name, (unsigned long long)writes->puts, (unsigned long long)writes->replaced,
         (unsigned long long)writes->same_size, (unsigned long long)writes->in_pieces,
         (unsigned long long)writes->kept, (unsigned long long)writes->failed,
         (unsigned long long)writes->evicted, (unsigned long long)writes->forced,
         (unsigned long long)writes->clears, (unsigned long long)writes->cleared,
         (unsigned long long)writes->moves);
}
