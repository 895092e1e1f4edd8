#include <string.h>

#include "proto/cli/completion.h"
#include "proto/cli/each_option.h"

struct printing {
  FILE *out;
  const char *program;
};

/* Prints a text within a quoted specification: ' ends the quotes, and brackets, colons and
 * backslashes have a meaning of their own. */
static void put_text(FILE *out, const char *text) {
  for (; *text; text++)
    if (*text == '\'')
      (void)fputs("'\\''", out);
    else
      (void)fprintf(out, "%s%c", strchr("[]:\\", *text) ? "\\" : "", *text);
}

/* Prints the function that completes values of the kind, behind a colon. */
static void put_action(FILE *out, const char *program, const char *kind) {
  static const struct {
    const char *kind, *action;
  } actions[] = {
      {"files", "_files"},
      {"directories", "_files -/"},
      {"groups", "_groups"},
  };

  for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
    if (strcmp(kind, actions[i].kind) == 0) {
      (void)fputs(actions[i].action, out);
      return;
    }
  if (*kind)
    (void)fprintf(out, "_%s_values %s", program, kind);
  else
    (void)fputc(' ', out); /* nothing */
}

/* Prints one form of an option: '(-n --name)-n+[doc]:NAME:action'. */
static void put_form(const struct printing *printing, const struct argp_option *option,
                     const char *form) {
  bool both = option->name && fc_option_has_letter(option);

  (void)fputs(" \\\n    '", printing->out);
  if (both)
    (void)fprintf(printing->out, "(-%c --%s)", option->key, option->name);
  (void)fprintf(printing->out, "%s[", form);
  put_text(printing->out, option->doc ? option->doc : "");
  (void)fputc(']', printing->out);
  if (option->arg) {
    (void)fprintf(printing->out, "%s%s:", option->flags & OPTION_ARG_OPTIONAL ? "::" : ":",
                  option->arg);
    put_action(printing->out, printing->program, fc_completion_option_kind(option));
  }
  (void)fputc('\'', printing->out);
}

static void print_option(void *arg, const struct argp_option *option) {
  const char *ending = !option->arg ? "" : option->flags & OPTION_ARG_OPTIONAL ? "=-" : "=";
  char form[128];

  if (option->flags & OPTION_HIDDEN)
    return;
  if (option->name) {
    (void)snprintf(form, sizeof form, "--%s%s", option->name, ending);
    put_form(arg, option, form);
  }
  if (fc_option_has_letter(option)) {
    (void)snprintf(form, sizeof form, "-%c%s", option->key, option->arg ? "+" : "");
    put_form(arg, option, form);
  }
}

static void print_arguments(const struct printing *printing,
                            const struct fc_completion_command *command) {
  struct fc_completion_argument argument;

  for (unsigned place = 1;
       command->arguments && fc_completion_argument_at(command->arguments, place, &argument);
       place++) {
    if (strcmp(argument.kind, "commands") == 0) { /* the rest is a command line */
      (void)fputs(" \\\n    '(-)1: : _command_names -e' \\\n    '*:: : _normal'", printing->out);
      return;
    }
    (void)fprintf(printing->out, " \\\n    '%u: :", place);
    if (*argument.words)
      (void)fprintf(printing->out, "(%s)", argument.words);
    else
      put_action(printing->out, printing->program, argument.kind);
    (void)fputc('\'', printing->out);
  }
}

static void print_specs(struct printing *printing, const struct fc_completion_command *command) {
  fc_each_option(command->argp, print_option, printing);
  print_arguments(printing, command);
}

static void print_commands(struct printing *printing, const struct fc_completion_command commands[],
                           size_t n) {
  FILE *out = printing->out;

  (void)fputs("  known=(\n", out);
  for (size_t i = 1; i < n; i++) {
    (void)fprintf(out, "    '%s:", commands[i].name);
    put_text(out, commands[i].summary);
    (void)fputs("'\n", out);
  }
  (void)fputs("  )\n  _arguments -C -s -S", out);
  print_specs(printing, &commands[0]);
  (void)fputs(" \\\n    '1: :->command' \\\n    '*:: :->argument' && return\n"
              "  [[ $state != command ]] || _describe command known\n"
              "  [[ $state == argument ]] || return\n"
              "  case $words[1] in\n"
              "  help) _arguments '1: :->command' && return\n"
              "    _describe command known ;;\n",
              out);
  for (size_t i = 1; i < n; i++) {
    if (strcmp(commands[i].name, "help") == 0)
      continue;
    (void)fprintf(out, "  %s) _arguments -s -S", commands[i].name);
    print_specs(printing, &commands[i]);
    (void)fputs(" ;;\n", out);
  }
  (void)fputs("  esac\n", out);
}

void fc_completion_zsh(FILE *out, const char *program,
                       const struct fc_completion_command commands[], size_t n) {
  struct printing printing = {out, program};

  fc_completion_put(out,
                    "#compdef ~\n"
                    "# Completes the words of ~ in zsh. Written by ~.\n"
                    "\n"
                    "# Adds names of the kind (the last argument) that the daemon knows.\n"
                    "_~_values() {\n"
                    "  local -a names where\n"
                    "  local option\n"
                    "  for option in -S --socket -n --namespace; do\n"
                    "    [[ -z $opt_args[$option] ]] || where+=($option ${(Q)opt_args[$option]})\n"
                    "  done\n"
                    "  names=(${(f)\"$(~ complete-values $@[-1] $where 2>/dev/null)\"})\n"
                    "  compadd \"${(@)@[1,-2]}\" -a names\n"
                    "}\n"
                    "\n"
                    "_~() {\n"
                    "  local context state state_descr line curcontext=$curcontext\n"
                    "  local -a known\n"
                    "  typeset -A opt_args\n",
                    program);
  if (n > 1) {
    print_commands(&printing, commands, n);
  } else {
    (void)fputs("  _arguments -s -S", out);
    print_specs(&printing, &commands[0]);
    (void)fputc('\n', out);
  }
  fc_completion_put(out,
                    "}\n"
                    "\n"
                    "if [[ $funcstack[1] == _~ ]]; then\n"
                    "  _~ \"$@\"\n"
                    "else # the file was sourced\n"
                    "  compdef _~ ~\n"
                    "fi\n",
                    program);
}
