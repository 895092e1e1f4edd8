/* libFuzzer: any bytes as a configuration file. Each line is a key or a mistake with its number,
 * each value is taken or refused with a text, and a value that was taken can be set again as it is
 * printed. Groups are left out, as their names come from the system. */
#include <stdlib.h>
#include <string.h>

#include "daemon/config/config_text.h"
#include "daemon/config/option_value.h"
#include "daemon/config/options_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth) {
  if (!truth)
    abort();
}

static void on_wrong(void *arg, unsigned line, const char *text) {
  (void)arg;
  require(line > 0 && text[0] != '\0');
}

/* Prints the value and sets it again, unless the path was too long to be printed. */
static void set_again(const struct options *options, const struct option_row *row) {
  struct options again;
  struct error_text error;
  char text[OPTION_TEXT_SIZE];
  (void)option_format(options, row, text);
  options_init(&again);
  if (strlen(text) < sizeof text - 1) {
    require(option_set(&again, row, text, &error) == 0);
    require(option_equal(options, &again, row));
  }
  options_deinit(&again);
}

static void on_key(void *arg, unsigned line, const char *key, const char *value) {
  struct options *options = arg;
  const struct option_row *row = option_find(key);
  struct error_text error = {{0}};
  require(line > 0 && key[0] != '\0');
  if (row == NULL)
    (void)option_nearest(key);
  else if (row->kind == OPTION_GROUP)
    return;
  else if (option_set(options, row, value, &error) < 0)
    require(strncmp(error.text, row->name, strlen(row->name)) == 0);
  else
    set_again(options, row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct options options;
  struct error_text error;
  const struct config_text_reader reader = {.key = on_key, .wrong = on_wrong, .arg = &options};
  options_init(&options);
  config_text_parse((const char *)data, size, &reader);
  (void)options_resolve(&options, &error); /* asserts what it promises */
  options_deinit(&options);
  return 0;
}
