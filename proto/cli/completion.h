/* completion.h - scripts by which bash and zsh complete the commands, options and arguments of a
 * program, from its argp tables.
 *
 * What completes a value follows from the name of its option, or of its placeholder in the help:
 * NAME of --namespace, --view and --op, NAMESPACE, VIEW, OP and CLIENT are names that the daemon
 * knows, which `PROGRAM complete-values KIND` prints, one a line. FILE, PATH, DIR, GROUP and
 * CMD are files, directories, groups and commands. Nothing completes another value. */
#ifndef FC_PROTO_CLI_COMPLETION_H
#define FC_PROTO_CLI_COMPLETION_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct fc_completion_command {
  const char *name; /* "": the options before a command, or of a program without commands */
  const char *summary;
  const char *arguments; /* one form a line, as in "on FILE\noff"; NULL: none */
  const struct argp *argp;
};

/* Prints the script. The first command is "". Returns false if the shell is neither "bash" nor
 * "zsh". */
bool fc_completion_print(FILE *out, const char *shell, const char *program,
                         const struct fc_completion_command commands[], size_t n);

/* ---- for completion_bash.c and completion_zsh.c ---- */

void fc_completion_bash(FILE *out, const char *program,
                        const struct fc_completion_command commands[], size_t n);
void fc_completion_zsh(FILE *out, const char *program,
                       const struct fc_completion_command commands[], size_t n);

#define FC_COMPLETION_WORDS 256

/* The argument at one place. */
struct fc_completion_argument {
  char words[FC_COMPLETION_WORDS]; /* of which one is given there, with spaces between; or "" */
  const char *kind;                /* of another value: "files", ...; or "" */
};

/* Returns the kind of an option's value, or "". Static. */
const char *fc_completion_option_kind(const struct argp_option *option);

/* Finds what may be the argument at `place` (from 1). Returns false if no form has so many. */
bool fc_completion_argument_at(const char *arguments, unsigned place,
                               struct fc_completion_argument *argument);

/* Prints the text with the program's name for each '~'. */
void fc_completion_put(FILE *out, const char *text, const char *program);

#endif
