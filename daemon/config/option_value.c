#include "daemon/config/option_value.h"

#include "daemon/base/check.h"
#include "daemon/base/parse.h"
#include "proto/errors.h"

#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX_MS UINT32_MAX /* of any option */
#define ZERO_OR_MIN_MS 1000u      /* the least number but 0 of an option that may be 0 */

static void *field_of(struct options *options, size_t offset) {
  return (char *)options + offset;
}

static const void *value_of(const struct options *options, size_t offset) {
  return (const char *)options + offset;
}

void option_set_number(struct options *options, const struct option_row *row, uint64_t number) {
  if (row->kind == OPTION_SIZE)
    *(uint64_t *)field_of(options, row->field) = number;
  else
    *(uint32_t *)field_of(options, row->field) = (uint32_t)number;
}

static uint64_t number_of(const struct options *options, const struct option_row *row) {
  if (row->kind == OPTION_SIZE)
    return *(const uint64_t *)value_of(options, row->field);
  return *(const uint32_t *)value_of(options, row->field);
}

/* ---- from text ---- */

static int set_size(struct options *options, const struct option_row *row, const char *value,
                    struct error_text *error) {
  uint64_t bytes;
  char min[FORMAT_SIZE_MAX], max[FORMAT_SIZE_MAX];
  (void)format_size(row->min, min);
  (void)format_size(row->max, max);
  if (parse_size(value, &bytes) < 0)
    return error_text_set(error, FC_EINVAL,
                          "%s: \"%s\" is not a size: give %s to %s, in bytes or with K, M, G or T, "
                          "as in 512M",
                          row->name, value, min, max);
  if (bytes < row->min || bytes > row->max)
    return error_text_set(error, FC_EINVAL, "%s: %s is out of range: give %s to %s", row->name,
                          value, min, max);
  option_set_number(options, row, bytes);
  return 0;
}

static int set_count(struct options *options, const struct option_row *row, const char *value,
                     struct error_text *error) {
  uint64_t n;
  if (value[0] == '\0' || value[strspn(value, "0123456789")] != '\0')
    return error_text_set(error, FC_EINVAL, "%s: \"%s\" is not a number: give 1 to %" PRIu64,
                          row->name, value, row->max);
  if (!parse_whole_number(value, &n) || n < row->min || n > row->max)
    return error_text_set(error, FC_EINVAL, "%s: %s is out of range: give 1 to %" PRIu64, row->name,
                          value, row->max);
  option_set_number(options, row, n);
  return 0;
}

/* Parses seconds with up to three decimals. strtod would also take "inf" and "0x1", and a comma in
 * some locales. Returns false if malformed. For a number out of range, *ms is above the maximum. */
static bool parse_seconds(const char *value, uint64_t *ms) {
  uint32_t decimals = 0;
  bool point = false;
  *ms = 0;
  if (value[0] < '0' || value[0] > '9')
    return false;
  for (const char *at = value; *at != '\0'; at++) {
    if (*at == '.' && !point && at[1] != '\0') {
      point = true;
    } else if (*at >= '0' && *at <= '9' && decimals < 3) {
      *ms = *ms > SECONDS_MAX_MS ? *ms : *ms * 10 + (uint64_t)(*at - '0');
      decimals += point;
    } else {
      return false;
    }
  }
  for (; decimals < 3; decimals++)
    *ms *= 10;
  return true;
}

static int set_seconds(struct options *options, const struct option_row *row, const char *value,
                       struct error_text *error) {
  uint64_t ms;
  bool zero = row->min == 0; /* 0 has a meaning of its own */
  uint64_t least_ms = zero ? ZERO_OR_MIN_MS : row->min;
  const char *or_zero = zero ? ", or 0 for none" : "";
  if (!parse_seconds(value, &ms))
    return error_text_set(error, FC_EINVAL,
                          "%s: \"%s\" is not a time: give %g to %" PRIu64
                          " seconds, with up to three decimals%s",
                          row->name, value, (double)least_ms / 1000, row->max / 1000, or_zero);
  if ((ms < least_ms || ms > row->max) && !(zero && ms == 0))
    return error_text_set(error, FC_EINVAL,
                          "%s: %s is out of range: give %g to %" PRIu64 " seconds%s", row->name,
                          value, (double)least_ms / 1000, row->max / 1000, or_zero);
  option_set_number(options, row, ms);
  return 0;
}

static int set_group(struct options *options, const struct option_row *row, const char *value,
                     struct error_text *error) {
  struct option_group *option = field_of(options, row->field);
  const struct group *group = getgrnam(value);
  uint64_t gid;
  if (group != NULL)
    gid = group->gr_gid;
  else if (!parse_whole_number(value, &gid) || gid >= UINT32_MAX)
    return error_text_set(error, FC_EINVAL,
                          "%s: there is no group \"%s\": create it, or give the name or number of "
                          "another",
                          row->name, value);
  option->gid = (gid_t)gid;
  group = getgrgid((gid_t)gid);
  if (group != NULL && strlen(group->gr_name) < sizeof option->text)
    (void)snprintf(option->text, sizeof option->text, "%s", group->gr_name); /* fits */
  else
    (void)snprintf(option->text, sizeof option->text, "%" PRIu64, gid); /* fits */
  return 0;
}

static int set_path(struct options *options, const struct option_row *row, const char *value,
                    struct error_text *error) {
  char **path = field_of(options, row->field), *copy = NULL;
  if (value[0] == '\0')
    return error_text_set(error, FC_EINVAL, "%s: the path is empty: give a path%s", row->name,
                          row->may_be_none ? ", or " OPTION_NONE : "");
  if (!row->may_be_none || strcmp(value, OPTION_NONE) != 0) {
    copy = strdup(value);
    if (copy == NULL)
      return error_text_set(error, FC_ENOMEM, "%s: out of memory", row->name);
  }
  free(*path);
  *path = copy;
  return 0;
}

static int set_text(struct options *options, const struct option_row *row, const char *value,
                    struct error_text *error) {
  char **text = field_of(options, row->field), *copy = NULL;
  bool is_default = row->fallback != NULL && strcmp(value, row->fallback) == 0;
  if (!is_default && !(row->may_be_none && strcmp(value, OPTION_NONE) == 0)) {
    int rc = row->check(value, error);
    if (rc < 0)
      return rc;
    copy = strdup(value);
    if (copy == NULL)
      return error_text_set(error, FC_ENOMEM, "%s: out of memory", row->name);
  }
  free(*text);
  *text = copy;
  return 0;
}

static int set_choice(struct options *options, const struct option_row *row, const char *value,
                      struct error_text *error) {
  for (uint32_t i = 0; row->words[i] != NULL; i++) {
    if (strcmp(row->words[i], value) == 0) {
      option_set_number(options, row, i);
      return 0;
    }
  }
  return error_text_set(error, FC_EINVAL, "%s: \"%s\" is none of the choices: give one of %s",
                        row->name, value, row->argument);
}

static int set_flag(struct options *options, const struct option_row *row, const char *value,
                    struct error_text *error) {
  static const struct {
    const char *word;
    bool flag;
  } words[] = {{"yes", true}, {"true", true},   {"on", true},   {"1", true},
               {"no", false}, {"false", false}, {"off", false}, {"0", false}};
  bool *flag = field_of(options, row->field);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (value == NULL || strcmp(words[i].word, value) == 0) {
      *flag = words[i].flag;
      return 0;
    }
  }
  return error_text_set(error, FC_EINVAL, "%s: \"%s\" is neither yes nor no: give one of them",
                        row->name, value);
}

static int set_value(struct options *options, const struct option_row *row, const char *value,
                     struct error_text *error) {
  switch (row->kind) {
  case OPTION_PATH:
    return set_path(options, row, value, error);
  case OPTION_TEXT:
    return set_text(options, row, value, error);
  case OPTION_CHOICE:
    return set_choice(options, row, value, error);
  case OPTION_GROUP:
    return set_group(options, row, value, error);
  case OPTION_COUNT:
    return set_count(options, row, value, error);
  case OPTION_SECONDS:
    return set_seconds(options, row, value, error);
  case OPTION_SIZE:
  case OPTION_SIZE32:
    return set_size(options, row, value, error);
  case OPTION_FLAG:
  default:
    return set_flag(options, row, value, error);
  }
}

int option_set(struct options *options, const struct option_row *row, const char *value,
               struct error_text *error) {
  if (value == NULL && row->kind != OPTION_FLAG)
    return error_text_set(error, FC_EINVAL, "%s: needs a value: see --help", row->name);
  int rc = set_value(options, row, value, error);
  if (rc == 0 && row->given > 0)
    *(bool *)field_of(options, row->given) = true;
  return rc;
}

/* ---- to text ---- */

static void format_bytes(uint64_t bytes, char *text, size_t size) {
  static const char letters[] = "KMGT";
  int unit = -1;
  while (unit < 3 && bytes > 0 && bytes % 1024 == 0) {
    bytes /= 1024;
    unit++;
  }
  (void)snprintf(text, size, "%" PRIu64 "%.*s", bytes, unit >= 0, letters + (unit >= 0 ? unit : 0));
}

static void format_milliseconds(uint64_t ms, char *text, size_t size) {
  int length = snprintf(text, size, "%" PRIu64 ".%03" PRIu64, ms / 1000, ms % 1000); /* fits */
  while (text[length - 1] == '0')
    text[--length] = '\0';
  if (text[length - 1] == '.')
    text[length - 1] = '\0';
}

static const char *string_of(const struct options *options, const struct option_row *row) {
  const char *string = *(char *const *)value_of(options, row->field);
  if (string != NULL)
    return string;
  return row->fallback != NULL ? row->fallback : OPTION_NONE;
}

const char *option_format(const struct options *options, const struct option_row *row,
                          char text[OPTION_TEXT_SIZE]) {
  const struct option_group *group;
  switch (row->kind) {
  case OPTION_PATH:
  case OPTION_TEXT:
    (void)snprintf(text, OPTION_TEXT_SIZE, "%s", string_of(options, row));
    break;
  case OPTION_CHOICE:
    (void)snprintf(text, OPTION_TEXT_SIZE, "%s", row->words[number_of(options, row)]);
    break;
  case OPTION_GROUP:
    group = value_of(options, row->field);
    (void)snprintf(text, OPTION_TEXT_SIZE, "%s",
                   *(const bool *)value_of(options, row->given) ? group->text : OPTION_NONE);
    break;
  case OPTION_COUNT:
    (void)snprintf(text, OPTION_TEXT_SIZE, "%" PRIu64, number_of(options, row));
    break;
  case OPTION_SECONDS:
    format_milliseconds(number_of(options, row), text, OPTION_TEXT_SIZE);
    break;
  case OPTION_SIZE:
  case OPTION_SIZE32:
    format_bytes(number_of(options, row), text, OPTION_TEXT_SIZE);
    break;
  case OPTION_FLAG:
  default:
    (void)snprintf(text, OPTION_TEXT_SIZE, "%s",
                   *(const bool *)value_of(options, row->field) ? "yes" : "no");
    break;
  }
  return text;
}

/* ---- compared and moved ---- */

static size_t size_of(enum option_kind kind) {
  switch (kind) {
  case OPTION_PATH:
  case OPTION_TEXT:
    return sizeof(char *);
  case OPTION_GROUP:
    return sizeof(struct option_group);
  case OPTION_CHOICE:
  case OPTION_COUNT:
  case OPTION_SECONDS:
  case OPTION_SIZE32:
    return sizeof(uint32_t);
  case OPTION_SIZE:
    return sizeof(uint64_t);
  case OPTION_FLAG:
  default:
    return sizeof(bool);
  }
}

bool option_equal(const struct options *a, const struct options *b, const struct option_row *row) {
  if (row->kind == OPTION_PATH || row->kind == OPTION_TEXT) {
    const char *one = *(char *const *)value_of(a, row->field);
    const char *other = *(char *const *)value_of(b, row->field);
    return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
  }
  if (row->kind == OPTION_GROUP) { /* its name and its number are the same value */
    const struct option_group *one = value_of(a, row->field), *other = value_of(b, row->field);
    bool given = *(const bool *)value_of(a, row->given);
    return given == *(const bool *)value_of(b, row->given) && (!given || one->gid == other->gid);
  }
  return memcmp(value_of(a, row->field), value_of(b, row->field), size_of(row->kind)) == 0;
}

static void swap_bytes(void *a, void *b, size_t size) {
  char kept[sizeof(struct option_group)]; /* the largest value */
  check_le(size, sizeof kept);
  memcpy(kept, a, size);
  memcpy(a, b, size);
  memcpy(b, kept, size);
}

void option_swap(struct options *a, struct options *b, const struct option_row *row) {
  swap_bytes(field_of(a, row->field), field_of(b, row->field), size_of(row->kind));
  if (row->given > 0)
    swap_bytes(field_of(a, row->given), field_of(b, row->given), sizeof(bool));
}
