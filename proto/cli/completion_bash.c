#include "proto/cli/completion.h"
#include "proto/cli/each_option.h"

/* ---- tables of the program, as functions ---- */

struct printing {
  FILE *out;
  const char *command;
};

static void print_names(void *arg, const struct argp_option *option) {
  struct printing *printing = arg;

  if (option->flags & OPTION_HIDDEN)
    return;
  if (option->name)
    (void)fprintf(printing->out, " --%s", option->name);
  if (fc_option_has_letter(option))
    (void)fprintf(printing->out, " -%c", option->key);
}

/* Prints a case for an option that needs a value. A value of no kind is "none". */
static void print_value(void *arg, const struct argp_option *option) {
  struct printing *printing = arg;
  const char *kind = fc_completion_option_kind(option);

  if (!option->arg || option->flags & (OPTION_HIDDEN | OPTION_ARG_OPTIONAL))
    return;
  if (option->name)
    (void)fprintf(printing->out, "'%s --%s'", printing->command, option->name);
  if (fc_option_has_letter(option))
    (void)fprintf(printing->out, "%s'%s -%c'", option->name ? " | " : "", printing->command,
                  option->key);
  (void)fprintf(printing->out, ") echo %s ;;\n", *kind ? kind : "none");
}

static void print_arguments(FILE *out, const struct fc_completion_command *command) {
  struct fc_completion_argument argument;

  for (unsigned place = 1;
       command->arguments && fc_completion_argument_at(command->arguments, place, &argument);
       place++)
    if (*argument.kind || *argument.words)
      (void)fprintf(out, "'%s %u') echo %s %s ;;\n", command->name, place,
                    *argument.kind ? argument.kind : "none", argument.words);
}

static void print_tables(FILE *out, const char *program,
                         const struct fc_completion_command commands[], size_t n) {
  (void)fprintf(out, "_%s_commands='", program);
  for (size_t i = 1; i < n; i++)
    (void)fprintf(out, "%s%s", commands[i].name, i + 1 < n ? " " : "");
  (void)fprintf(out,
                "'\n\n# _%s_options COMMAND prints its options.\n_%s_options() {\ncase $1 in\n",
                program, program);
  for (size_t i = 0; i < n; i++) {
    struct printing printing = {out, commands[i].name};

    (void)fprintf(out, "'%s') echo", commands[i].name);
    fc_each_option(commands[i].argp, print_names, &printing);
    (void)fputs(" ;;\n", out);
  }
  (void)fprintf(
      out,
      "esac\n}\n\n# _%s_kind 'COMMAND OPTION' or 'COMMAND NUMBER' prints what completes the "
      "value of the\n# option or the argument.\n_%s_kind() {\ncase $1 in\n",
      program, program);
  for (size_t i = 0; i < n; i++) {
    struct printing printing = {out, commands[i].name};

    fc_each_option(commands[i].argp, print_value, &printing);
    print_arguments(out, &commands[i]);
  }
  (void)fputs("esac\n}\n", out);
}

/* ---- the function that completes ---- */

/* The words of the line are separated at spaces only: bash would also separate them at colons,
 * which are in the names of namespaces. It replaces the text behind the last of these, "=" and "@",
 * so the part before is removed from each answer. */
static const char script[] =
    "\n"
    "# Prints names that the daemon knows.\n"
    "_~_values() {\n"
    "  ~ complete-values \"$@\" 2>/dev/null\n"
    "}\n"
    "\n"
    "_~() {\n"
    "  local line=${COMP_LINE:0:COMP_POINT} IFS=$' \\t\\n'\n"
    "  local cur word option='' command='' kind='' prefix='' value cut='' n=0 i\n"
    "  local -a words names where\n"
    "  read -ra words <<<\"$line\"\n"
    "  [[ $line != *[[:space:]] ]] || words+=('')\n"
    "  cur=${words[${#words[@]} - 1]}\n"
    "  # What stands before the word: the command, an option that needs a value, n arguments.\n"
    "  for word in \"${words[@]:1:${#words[@]}-2}\"; do\n"
    "    if [[ $kind ]]; then\n"
    "      case $option in\n"
    "        -S | --socket | -n | --namespace) where+=(\"$option\" \"$word\") ;;\n"
    "      esac\n"
    "      kind=''\n"
    "    elif [[ $word == --*=* ]]; then\n"
    "      case $word in --socket=* | --namespace=*) where+=(\"$word\") ;; esac\n"
    "    elif [[ $word == -?* ]]; then\n"
    "      option=$word kind=$(_~_kind \"$command $word\")\n"
    "    elif [[ ! $command && $_~_commands ]]; then\n"
    "      command=$word\n"
    "    else\n"
    "      ((n += 1))\n"
    "    fi\n"
    "    [[ $(_~_kind \"$command $n\") != commands ]] || { kind=files && break; }\n"
    "  done\n"
    "  value=$cur\n"
    "  if [[ ! $kind && $cur == --*=* ]]; then\n"
    "    prefix=${cur%%=*}= value=${cur#*=}\n"
    "    kind=$(_~_kind \"$command ${cur%%=*}\")\n"
    "  elif [[ ! $kind && $cur == -* ]]; then\n"
    "    kind=\"none $(_~_options \"$command\")\"\n"
    "  elif [[ ! $kind && ! $command && $_~_commands ]] || [[ $command == help && $n == 0 ]]; "
    "then\n"
    "    kind=\"none $_~_commands\"\n"
    "  elif [[ ! $kind ]]; then\n"
    "    kind=$(_~_kind \"$command $((n + 1))\")\n"
    "  fi\n"
    "  case ${kind%% *} in\n"
    "    namespaces | views | ops | clients)\n"
    "      while read -r word; do\n"
    "        printf -v word %q \"$word\"\n"
    "        names+=(\"$word\")\n"
    "      done < <(_~_values \"${kind%% *}\" \"${where[@]}\")\n"
    "      ;;\n"
    "    files)\n"
    "      compopt -o filenames 2>/dev/null\n"
    "      mapfile -t names < <(compgen -f -- \"$value\")\n"
    "      ;;\n"
    "    directories)\n"
    "      compopt -o filenames 2>/dev/null\n"
    "      mapfile -t names < <(compgen -d -- \"$value\")\n"
    "      ;;\n"
    "    groups) mapfile -t names < <(compgen -g -- \"$value\") ;;\n"
    "    commands) mapfile -t names < <(compgen -c -- \"$value\") ;;\n"
    "  esac\n"
    "  read -ra words <<<\"${kind#* }\"\n"
    "  [[ $kind != *' '* ]] || names+=(\"${words[@]}\")\n"
    "  for ((i = ${#cur}; i > 0; i--)); do\n"
    "    word=${cur:i-1:1}\n"
    "    [[ ! $cut && $word == [:=@] && $COMP_WORDBREAKS == *\"$word\"* ]] && cut=${cur:0:i}\n"
    "  done\n"
    "  COMPREPLY=()\n"
    "  for word in \"${names[@]}\"; do\n"
    "    word=$prefix$word\n"
    "    [[ $word != \"$cur\"* ]] || COMPREPLY+=(\"${word#\"$cut\"}\")\n"
    "  done\n"
    "}\n"
    "complete -F _~ ~\n";

void fc_completion_bash(FILE *out, const char *program,
                        const struct fc_completion_command commands[], size_t n) {
  fc_completion_put(out,
                    "# shellcheck shell=bash\n"
                    "# Completes the words of ~ in bash. Written by ~.\n"
                    "\n",
                    program);
  print_tables(out, program, commands, n);
  fc_completion_put(out, script, program);
}
