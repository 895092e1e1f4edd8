#include "proto/cli/option_check.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cli/each_option.h"
#include "proto/cli/usage_error.h"
#include "proto/nearest.h"

#define OPTIONS_MAX 64
#define LONG_FIRST 256 /* the value of the long option i is LONG_FIRST + i */

/* The options of argp and its children, as getopt_long takes them. */
struct known {
  struct option longs[OPTIONS_MAX + 1];
  const char *names[OPTIONS_MAX]; /* of the long options to suggest; NULL: hidden */
  const char *arguments[OPTIONS_MAX];
  bool ends[OPTIONS_MAX]; /* argp prints the help or the version and exits */
  size_t n;
  char letters[3 * OPTIONS_MAX + 3]; /* each with up to two colons */
  size_t n_letters;
};

static void add_long(struct known *known, const char *name, const char *argument, int flags) {
  int has_argument = !argument                     ? no_argument
                     : flags & OPTION_ARG_OPTIONAL ? optional_argument
                                                   : required_argument;

  assert(known->n < OPTIONS_MAX);
  known->longs[known->n] = (struct option){name, has_argument, NULL, LONG_FIRST + (int)known->n};
  known->names[known->n] = flags & OPTION_HIDDEN ? NULL : name;
  known->arguments[known->n] = argument;
  known->ends[known->n++] =
      strcmp(name, "help") == 0 || strcmp(name, "usage") == 0 || strcmp(name, "version") == 0;
}

static void add_letter(struct known *known, int letter, const char *argument, int flags) {
  assert(known->n_letters + 4 <= sizeof known->letters);
  known->letters[known->n_letters++] = (char)letter;
  for (int i = 0; argument && i < (flags & OPTION_ARG_OPTIONAL ? 2 : 1); i++)
    known->letters[known->n_letters++] = ':';
  known->letters[known->n_letters] = '\0';
}

static void add(void *arg, const struct argp_option *option) {
  struct known *known = arg;

  if (option->name)
    add_long(known, option->name, option->arg, option->flags);
  if (fc_option_has_letter(option) && option->key != '?') /* getopt_long's answer to others, too */
    add_letter(known, option->key, option->arg, option->flags);
}

/* Returns whether argp exits at the option, so that it never looks at those that follow. */
static bool ends_parsing(const struct known *known, int value) {
  return value >= LONG_FIRST ? known->ends[value - LONG_FIRST] : value == 'h' || value == 'V';
}

/* ---- errors ---- */

/* The word begins several options, or none. */
static void fail_long(const char *program, const struct known *known, const char *word) {
  const char *nearest, *first = NULL, *second = NULL;
  char name[256];

  (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
  for (size_t i = 0; i < known->n; i++)
    if (known->names[i] && strncmp(known->names[i], name, strlen(name)) == 0)
      *(first ? &second : &first) = known->names[i];
  if (second)
    fc_usage_error(program, "--%s is short for --%s and --%s: give more of the name", name, first,
                   second);
  nearest = fc_nearest(name, known->names, known->n);
  if (nearest)
    fc_usage_error(program, "there is no option --%s: did you mean --%s?", name, nearest);
  fc_usage_error(program, "there is no option --%s", name);
}

/* Reports the option at which getopt_long stopped: `word`, where it is a long one. */
static _Noreturn void fail_at(const char *program, const char *word, const struct known *known,
                              bool lacks_argument) {
  bool is_long = optopt == 0 || optopt >= LONG_FIRST;
  size_t i = optopt >= LONG_FIRST ? (size_t)(optopt - LONG_FIRST) : 0;

  if (lacks_argument && is_long)
    fc_usage_error(program, "--%s needs a value: give --%s %s", known->longs[i].name,
                   known->longs[i].name, known->arguments[i]);
  if (lacks_argument)
    fc_usage_error(program, "-%c needs a value", optopt);
  if (optopt >= LONG_FIRST)
    fc_usage_error(program, "--%s takes no value", known->longs[i].name);
  if (is_long)
    fail_long(program, known, word + 2);
  fc_usage_error(program, "there is no option -%c", optopt);
}

void fc_option_check(const struct argp *argp, int argc, char **argv, bool in_order) {
  struct known known = {.letters = "+:"};
  char **words = calloc((size_t)argc + 1, sizeof *words); /* getopt_long reorders them */
  int value;

  if (!words)
    return; /* argp has its own errors */
  memcpy(words, argv, (size_t)argc * sizeof *words);
  known.n_letters = 2;
  fc_each_option(argp, add, &known);
  opterr = 0;
  optind = 0; /* a new scan, in glibc */
  do {
    value =
        getopt_long(argc, words, in_order ? known.letters : known.letters + 1, known.longs, NULL);
    if (value == ':' || (value == '?' && optopt != '?')) {
      assert(optind <= argc);
      const char *word = words[optind - 1];
      free(words);
      fail_at(argv[0], word, &known, value == ':'); /* exits */
    }
  } while (value != -1 && value != '?' && !ends_parsing(&known, value));
  free(words);
}
