#include "proto/nearest.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/runner.h"

static const char *const names[] = {"stats",   "status",    NULL,        "list",
                                    "leases",  "max-bytes", "max-value", "snapshot-interval",
                                    "snapshot"};
#define N_NAMES (sizeof names / sizeof names[0])

/* A word, and the name that it is near to. NULL: none. */
static const struct {
  const char *word, *nearest;
} words[] = {
    {"stats", "stats"},                         /* itself */
    {"stat", "stats"},                          /* a byte is missing: the first of two such names */
    {"sttats", "stats"},                        /* one too many */
    {"stets", "stats"},                         /* another */
    {"satts", "stats"},                         /* swapped */
    {"statsu", "stats"},                        /* the first of two at the same distance */
    {"lits", "list"},                           /* swapped: one edit, not two */
    {"lost", "list"},                           /* one of four */
    {"lot", NULL},                              /* two of four */
    {"max-byts", "max-bytes"},                  /* not max-value */
    {"max_bytes", "max-bytes"},                 /* the spelling of Python and of statistics */
    {"max-vlaue", "max-value"},                 /* */
    {"mx-btes", "max-bytes"},                   /* two */
    {"maxbites", "max-bytes"},                  /* two */
    {"axbits", NULL},                           /* four of nine */
    {"snapshot-intreval", "snapshot-interval"}, /* not the shorter one */
    {"snap", NULL},                             /* begins two names */
    {"snapshot-i", "snapshot"},                 /* near */
    {"le", "leases"},                           /* begins one name */
    {"l", NULL},                                /* too short for a beginning */
    {"", NULL},
    {"frobnicate", NULL},
};

START_TEST(word_finds_its_nearest_name) {
  const char *nearest = fc_nearest(words[_i].word, names, N_NAMES);

  ck_assert_pstr_eq(nearest, words[_i].nearest);
}
END_TEST

START_TEST(no_names_have_no_nearest) {
  ck_assert_ptr_null(fc_nearest("stats", names, 0));
}
END_TEST

/* A name of 255 bytes is compared, and a longer one is near to nothing. */
START_TEST(long_names_are_bounded) {
  char *word = malloc(300), *name = malloc(300);
  const char *one[] = {name};

  memset(word, 'x', 300);
  memset(name, 'x', 300);
  word[254] = name[255] = '\0';
  ck_assert_ptr_eq(fc_nearest(word, one, 1), name);
  word[254] = 'x';
  word[256] = '\0';
  ck_assert_ptr_null(fc_nearest(word, one, 1));
  word[255] = '\0';
  name[255] = 'x';
  name[256] = '\0';
  ck_assert_ptr_eq(fc_nearest(word, one, 1), name); /* begins with the word */
  word[0] = 'y';
  ck_assert_ptr_null(fc_nearest(word, one, 1));
  free(word);
  free(name);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nearest");
  TCase *tests = tcase_create("nearest");

  tcase_add_loop_test(tests, word_finds_its_nearest_name, 0, sizeof words / sizeof words[0]);
  tcase_add_test(tests, no_names_have_no_nearest);
  tcase_add_test(tests, long_names_are_bounded);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
