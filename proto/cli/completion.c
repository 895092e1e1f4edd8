#include "proto/cli/completion.h"

#include <ctype.h>
#include <string.h>

/* ---- kinds of values ---- */

static const struct {
  const char *placeholder, *kind;
} kinds[] = {
    {"NAMESPACE", "namespaces"}, {"VIEW", "views"},   {"OP", "ops"},
    {"CLIENT", "clients"},       {"FILE", "files"},   {"PATH", "files"},
    {"DIR", "directories"},      {"GROUP", "groups"}, {"CMD", "commands"},
};

static const char *kind_of(const char *placeholder, size_t size) {
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    if (strlen(kinds[i].placeholder) == size &&
        strncasecmp(kinds[i].placeholder, placeholder, size) == 0)
      return kinds[i].kind;
  return "";
}

const char *fc_completion_option_kind(const struct argp_option *option) {
  if (!option->arg)
    return "";
  if (strcmp(option->arg, "NAME") == 0 && option->name)
    return kind_of(option->name, strlen(option->name)); /* --namespace=NAME */
  return kind_of(option->arg, strlen(option->arg));
}

/* Adds the alternatives of a word such as "on", "bash|zsh", "[FILE]" or "-- CMD". */
static void add_word(struct fc_completion_argument *argument, const char *word, size_t size) {
  size_t used = strlen(argument->words);

  if (isupper((unsigned char)word[0])) {
    argument->kind = kind_of(word, size);
    return;
  }
  if (used + size + 2 > sizeof argument->words)
    return;
  if (used > 0)
    argument->words[used++] = ' ';
  for (size_t i = 0; i < size; i++)
    argument->words[used++] = (char)(word[i] == '|' ? ' ' : word[i]);
  argument->words[used] = '\0';
}

/* Returns the next word of a form, without brackets and points, or NULL at its end. */
static const char *next_word(const char **at, size_t *size) {
  static const char apart[] = " []().";

  *at += strspn(*at, apart);
  *size = strcspn(*at, " []().\n");
  if (*size == 0)
    return NULL;
  *at += *size;
  return *at - *size;
}

bool fc_completion_argument_at(const char *arguments, unsigned place,
                               struct fc_completion_argument *argument) {
  bool found = false;

  *argument = (struct fc_completion_argument){.kind = ""};
  for (const char *form = arguments; form;) {
    const char *at = form, *word;
    unsigned n = 0;
    size_t size;

    while (n < place && (word = next_word(&at, &size)) != NULL)
      if (strncmp(word, "--", 2) != 0 && ++n == place) {
        add_word(argument, word, size);
        found = true;
      }
    form = strchr(form, '\n');
    form = form ? form + 1 : NULL;
  }
  return found;
}

/* ---- scripts ---- */

void fc_completion_put(FILE *out, const char *text, const char *program) {
  for (; *text; text++)
    if (*text == '~')
      (void)fputs(program, out); /* the program checks the stream at its end */
    else
      (void)fputc(*text, out);
}

bool fc_completion_print(FILE *out, const char *shell, const char *program,
                         const struct fc_completion_command commands[], size_t n) {
  if (strcmp(shell, "bash") == 0)
    fc_completion_bash(out, program, commands, n);
  else if (strcmp(shell, "zsh") == 0)
    fc_completion_zsh(out, program, commands, n);
  else
    return false;
  return true;
}
