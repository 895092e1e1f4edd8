/* demo - `make demo`: four processes share one daemon's results; then the same
 * without it, and every result compared.
 *
 *   demo                          the whole of it
 *   demo --gang FOLDER [--plain]  (its own use) the workers of one run
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/demo/child.h"
#include "client/demo/show.h"
#include "client/demo/temp_folder.h"

#define TRACE_LINES_SHOWN 3u

/* The programs, all in one folder. */
struct programs {
  char self[DEMO_PATH_SIZE], worker[DEMO_PATH_SIZE], ctl[DEMO_PATH_SIZE];
};

static int find_programs(struct programs *programs) {
  ssize_t size = readlink("/proc/self/exe", programs->self, sizeof programs->self - 1);
  char *slash = NULL;
  if (size > 0) {
    programs->self[size] = '\0';
    slash = strrchr(programs->self, '/');
  }
  /* 16: the longest of the names, with a NUL */
  if (!slash || (size_t)(slash - programs->self) + 16 > sizeof programs->self) {
    fprintf(stderr, "demo: cannot find its own folder: %s\n", strerror(errno));
    return -1;
  }
  int folder = (int)(slash + 1 - programs->self);
  snprintf(programs->worker, sizeof programs->worker, "%.*sdemo-worker", folder, programs->self);
  snprintf(programs->ctl, sizeof programs->ctl, "%.*sfcachectl", folder, programs->self);
  return 0;
}

/* The two runs; argv wants char *, and none of these is written to. */
static int run_shared(struct programs *programs, char *folder, char *trace) {
  char run[] = "run", no_stats[] = "--no-stats", trace_option[] = "--trace", rest[] = "--",
       gang[] = "--gang";
  char *argv[] = {programs->ctl,  run,  no_stats, trace_option, trace, rest,
                  programs->self, gang, folder,   NULL};
  return child_run(argv, NULL);
}

static int run_plain(struct programs *programs, char *folder) {
  char gang[] = "--gang", plain[] = "--plain";
  char *argv[] = {programs->self, gang, folder, plain, NULL};
  return child_run(argv, NULL);
}

static int failed(const char *what, int status) {
  if (status == CHILD_INTERRUPTED)
    fputs("demo: interrupted\n", stderr);
  else
    fprintf(stderr, "demo: the run %s failed\n", what);
  return 1;
}

static int demo_in(struct programs *programs, char *folder) {
  char trace[DEMO_PATH_SIZE], stats[DEMO_PATH_SIZE];
  struct run_outcome shared, plain;
  uint64_t trace_lines = 0;
  demo_path(trace, "%s/trace.jsonl", folder);
  demo_path(stats, "%s/stats.txt", folder);
  int status = run_shared(programs, folder, trace);
  if (status != 0)
    return failed("with a daemon", status);
  if (outcome_read(&shared, folder, false) != 0)
    return 1;
  show_probes(&shared);
  printf("\n$ fcachectl stats\n");
  if (show_file(stats) != 0 || show_trace(trace, TRACE_LINES_SHOWN, &trace_lines) != 0)
    return 1;
  status = run_plain(programs, folder);
  if (status != 0)
    return failed("without a daemon", status);
  if (outcome_read(&plain, folder, true) != 0)
    return 1;
  show_times(&shared, &plain);
  return verdict_give(&shared, &plain, folder, trace_lines);
}

static int demo(struct programs *programs) {
  struct corpus corpus;
  char error[DEMO_ERROR_SIZE], folder[DEMO_PATH_SIZE];
  if (corpus_load(&corpus, getenv("DEMO_TEXT"), error) != 0) {
    fprintf(stderr, "demo: %s\n", error);
    return 1;
  }
  show_plan(&corpus);
  corpus_deinit(&corpus);
  /* The demo is about sharing: what would point its workers elsewhere is not for it. */
  if (unsetenv("FCACHE_DISABLE") != 0 || temp_folder_make(folder, sizeof folder) != 0)
    return 1;
  int r = demo_in(programs, folder);
  temp_folder_remove(folder);
  return r;
}

int main(int argc, char **argv) {
  static const struct option known[] = {{"gang", required_argument, NULL, 'g'},
                                        {"plain", no_argument, NULL, 'p'},
                                        {NULL, 0, NULL, 0}};
  struct programs programs;
  struct gang_options gang = {0};
  int letter;
  while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
    if (letter == 'g')
      gang.folder = optarg;
    else if (letter == 'p')
      gang.plain = true;
    else
      return 2;
  }
  if (find_programs(&programs) != 0)
    return 1;
  if (!gang.folder)
    return demo(&programs);
  gang.worker = programs.worker;
  gang.ctl = programs.ctl;
  return gang_run(&gang) == 0 ? 0 : 1;
}
