/* fcachectl doctor */
#include <stdio.h>
#include <string.h>

#include "client/ctl/command.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/print/text.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"
#include "client/lib/doctor/doctor.h"

static struct { bool json, quiet; } args;

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "A JSON array, one finding a line", 0},
    {"quiet", 'q', NULL, 0, "Only warnings and problems", 0},
    {0}};

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's type */
static error_t parse(int key, char *arg, struct argp_state *state) {
  (void)arg;
  (void)state;
  switch (key) {
  case 'j':
    args.json = true;
    return 0;
  case 'q':
    args.quiet = true;
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

struct printing {
  unsigned n, levels[DOCTOR_PROBLEM + 1];
  bool failed; /* out of memory */
};

static void print_json(struct printing *printing, const struct doctor_finding *finding) {
  json_t *object =
      json_pack("{s:s, s:s, s:s, s:s}", "level", doctor_level_names[finding->level], "check",
                finding->check, "text", finding->text, "advice", finding->advice);

  (void)printf("%s\n  ", printing->n > 0 ? "," : "["); /* main checks the stream at the end */
  printing->failed |= !json_value_print(stdout, object, 0);
}

/* Prints `text` behind `head`, in lines of at most `columns` that are broken at spaces. Further
 * lines are behind INDENT spaces. A word that is longer has a line of its own. */
#define INDENT 12
static void print_words(const char *head, const char *text, size_t columns) {
  size_t at = text_width(head);
  bool begun = false;

  (void)fputs(head, stdout); /* main checks the stream at the end */
  while (*text) {
    char word[sizeof((struct doctor_finding *)0)->text];
    size_t size = strcspn(text, " ");

    (void)snprintf(word, sizeof word, "%.*s", (int)size, text);
    if (begun && at + 1 + text_width(word) > columns) {
      (void)printf("\n%*s", INDENT, "");
      at = INDENT;
      begun = false;
    }
    (void)printf("%s%s", begun ? " " : "", word);
    at += begun + text_width(word);
    begun = true;
    text += size + (text[size] == ' ');
  }
  (void)putchar('\n');
}

static void print_text(const struct doctor_finding *finding) {
  size_t columns = text_columns_of(stdout);
  char head[40];

  (void)snprintf(head, sizeof head, "%-8s %s: ", doctor_level_names[finding->level],
                 finding->check);
  print_words(head, finding->text, columns);
  if (finding->advice[0] != '\0')
    print_words("         -> ", finding->advice, columns);
}

static void print(void *arg, const struct doctor_finding *finding) {
  struct printing *printing = arg;

  printing->levels[finding->level]++;
  if (args.quiet && finding->level == DOCTOR_OK)
    return;
  if (args.json)
    print_json(printing, finding);
  else
    print_text(finding);
  printing->n++;
}

static int run_at(const char *socket) {
  struct doctor_options doctor = {
      .socket = socket, .program = "fcachectl", .version = FC_VERSION, .deadline_ms = 3000};
  struct printing printing = {0};
  enum doctor_result result = doctor_run(&doctor, print, &printing);

  if (args.json)
    (void)printf("%s]\n", printing.n > 0 ? "\n" : "[");
  else
    (void)printf("%u ok, %u warning%s, %u problem%s\n", printing.levels[DOCTOR_OK],
                 printing.levels[DOCTOR_WARNING], units_plural(printing.levels[DOCTOR_WARNING]),
                 printing.levels[DOCTOR_PROBLEM], units_plural(printing.levels[DOCTOR_PROBLEM]));
  if (printing.failed)
    return report_error("out of memory for the findings");
  return (int)result; /* the values are exit statuses */
}

const struct command doctor_command = {
    .name = "doctor",
    .summary = "find out why workers share nothing, and what to do",
    .purpose = COMMAND_LOOK,
    .doc =
        "Check the environment, the socket, permissions, versions, shared memory, limits, "
        "namespaces, the trace and the snapshot. Each finding is ok, a warning or a problem, and "
        "says what to do. Run it as the user and in the place of the workers. It works without a "
        "daemon, and changes nothing. Exit status: 0 all is well, 1 something is not, 3 no "
        "daemon answers."
        "\v"
        "Examples:\n"
        "  fcachectl doctor\n"
        "  fcachectl doctor --quiet || systemctl status fcached",
    .options = options,
    .parse = parse,
    .run_at = run_at};
