/* config_text.h - the syntax of a configuration file: lines "KEY = VALUE" and comments, read with
 * libinih.
 *
 * inih strips spaces, splits a line at the first "=" or ":", and removes a comment: a line that
 * begins with "#" or ";", and the rest of a line from " ;" on. This module refuses what inih would
 * accept without a word: sections, a line that is longer than inih's buffer, a value that is
 * continued on the next line, a key twice, and a NUL. Does no input or output. */
#ifndef FC_DAEMON_CONFIG_TEXT_H
#define FC_DAEMON_CONFIG_TEXT_H

#include <stddef.h>

/* Called for each key. `key` and `value` are NUL-terminated, not empty (`value` may be), and valid
 * during the call. */
typedef void config_key_fn(void *arg, unsigned line, const char *key, const char *value);

/* Called for each line that is wrong. `text` names the mistake and the remedy. */
typedef void config_wrong_fn(void *arg, unsigned line, const char *text);

struct config_text_reader {
  config_key_fn *key;
  config_wrong_fn *wrong;
  void *arg;
};

/* Parses the whole text. Lines are numbered from 1. */
void config_text_parse(const char *text, size_t size, const struct config_text_reader *reader);

#endif
