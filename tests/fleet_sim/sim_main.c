/* Simulates fleets on the real code of daemon/fleet, and prints a table for each scene. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fleet_sim/sim_scene.h"

#define SIZES_MAX 16u

struct arguments {
  uint64_t seed;
  uint32_t sizes[SIZES_MAX], n_sizes; /* numbers of nodes */
  uint32_t workers, keys, servers;    /* 0: as usual */
  const struct sim_scene *scene;      /* NULL: all */
  bool verbose;
};

static void fail(const char *what, const char *text) {
  (void)fprintf(stderr, "fleet_sim: %s \"%s\": see --help\n", what, text);
  exit(2);
}

static uint32_t number(const char *text, uint32_t max) {
  char *end;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  if (errno != 0 || end == text || (*end != '\0' && *end != ',') || n < 1 || n > max)
    fail("not a number, or out of range:", text);
  return (uint32_t)n;
}

static void parse_sizes(struct arguments *arguments, const char *text) {
  for (arguments->n_sizes = 0; text != NULL; text = strchr(text, ',')) {
    text += *text == ',';
    if (arguments->n_sizes == SIZES_MAX)
      fail("too many numbers:", text);
    arguments->sizes[arguments->n_sizes++] = number(text, 100000);
  }
}

static void help(void) {
  (void)puts(
      "Usage: fleet_sim [--nodes N,N,...] [--scene NAME] [--seed N] [--workers N] [--keys N]\n"
      "                 [--servers N] [--verbose]\n"
      "Simulates fleets of N nodes (10,100,1000,10000) with N workers each (2), which get N keys\n"
      "(50). The tier has N servers (1 for each 1000 nodes). The same seed gives the same "
      "output.\n"
      "Scenes (all):");
  for (uint32_t i = 0; i < sim_n_scenes; i++)
    (void)printf("  %-9s %s\n", sim_scenes[i].name, sim_scenes[i].help);
  (void)puts("Columns:");
  sim_print_help();
}

static struct arguments parse(int argc, char **argv) {
  static const struct option options[] = {
      {"nodes", 1, NULL, 'n'}, {"scene", 1, NULL, 's'},   {"seed", 1, NULL, 'r'},
      {"keys", 1, NULL, 'k'},  {"workers", 1, NULL, 'w'}, {"servers", 1, NULL, 't'},
      {"help", 0, NULL, 'h'},  {"verbose", 0, NULL, 'v'}, {NULL, 0, NULL, 0}};
  struct arguments arguments = {.seed = 1, .sizes = {10, 100, 1000, 10000}, .n_sizes = 4};
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 'n')
      parse_sizes(&arguments, optarg);
    else if (option == 's' && (arguments.scene = sim_scene_find(optarg)) == NULL)
      fail("no scene", optarg);
    else if (option == 'r')
      arguments.seed = number(optarg, UINT32_MAX);
    else if (option == 'k')
      arguments.keys = number(optarg, 1000000);
    else if (option == 'w')
      arguments.workers = number(optarg, 1000);
    else if (option == 't')
      arguments.servers = number(optarg, 1000);
    else if (option == 'v')
      arguments.verbose = true;
    else if (option == 'h') {
      help();
      exit(0);
    } else if (option == '?')
      exit(2);
  }
  if (optind < argc)
    fail("unexpected argument", argv[optind]);
  return arguments;
}

static void print_more(const struct sim_results *results) {
  (void)printf(
      "       lookups %llu, local hits %llu, waits %llu, wrong %llu, stale %llu, took %.1f s, "
      "longest queue %.1f ms, dropped %llu, events %llu\n",
      (unsigned long long)results->lookups, (unsigned long long)results->hits,
      (unsigned long long)results->waits, (unsigned long long)results->wrong,
      (unsigned long long)results->stale, (double)results->took_ns / 1e9,
      (double)results->longest_queue_ns / 1e6, (unsigned long long)results->dropped,
      (unsigned long long)results->events);
}

static void run(const struct arguments *arguments, const struct sim_scene *scene) {
  static struct sim_results results;
  sim_print_head(scene);
  for (uint32_t i = 0; i < arguments->n_sizes; i++) {
    struct sim_params params = sim_params_usual(arguments->sizes[i]);
    params.seed = arguments->seed;
    params.workers = arguments->workers != 0 ? arguments->workers : params.workers;
    params.keys = arguments->keys != 0 ? arguments->keys : params.keys;
    params.servers = arguments->servers != 0 ? arguments->servers : params.servers;
    scene->set(&params);
    sim_run(&params, &results);
    sim_print_row(&params, &results);
    if (arguments->verbose)
      print_more(&results);
  }
}

int main(int argc, char **argv) {
  struct arguments arguments = parse(argc, argv);
  for (uint32_t i = 0; i < sim_n_scenes; i++)
    if (arguments.scene == NULL || arguments.scene == &sim_scenes[i])
      run(&arguments, &sim_scenes[i]);
  return 0;
}
