/* Checks of namespaces that are probably meant to be one: their names differ by a letter, or their
 * manifests by a value. */
#include <ctype.h>
#include <string.h>

#include "client/lib/doctor/doctor_internal.h"

#define RECENT_NS UINT64_C(3600000000000) /* a namespace that was used in the last hour */
#define FINDINGS_MAX 5u                   /* of one check */

static bool is_used(const struct doctor_namespace *ns) {
  return ns->clients > 0 || ns->idle_ns < RECENT_NS;
}

static const char *advice = "give all workers that should share the same namespace, from one "
                            "fcached.namespace_for or FCACHE_NAMESPACE";

/* ---- names ---- */

static bool is_same_letter(char a, char b) {
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Returns true if one letter is another, missing or swapped with its neighbour, or if they differ
 * in case. Digits at the same place count as different names on purpose: v1, v2. */
static bool is_near(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b), at = 0, end = 0;
  if (strcasecmp(a, b) == 0)
    return true;
  while (at < n && at < m && is_same_letter(a[at], b[at]))
    at++;
  while (end < n - at && end < m - at && is_same_letter(a[n - 1 - end], b[m - 1 - end]))
    end++;
  size_t left_a = n - at - end, left_b = m - at - end;
  if (left_a == 2 && left_b == 2)
    return is_same_letter(a[at], b[at + 1]) && is_same_letter(a[at + 1], b[at]);
  if (left_a > 1 || left_b > 1 || n < 4 || m < 4)
    return false;
  return !(left_a == 1 && isdigit((unsigned char)a[at])) &&
         !(left_b == 1 && isdigit((unsigned char)b[at]));
}

static const char *plural(uint32_t n) {
  return n == 1 ? "" : "s";
}

void doctor_check_names(struct doctor *doctor) {
  unsigned found = 0;
  for (size_t i = 0; i < doctor->n_namespaces; i++)
    for (size_t k = i + 1; k < doctor->n_namespaces && found < FINDINGS_MAX; k++) {
      const struct doctor_namespace *a = &doctor->namespaces[i], *b = &doctor->namespaces[k];
      if (!is_used(a) || !is_used(b) || !is_near(a->name, b->name))
        continue;
      found++;
      doctor_report(
          doctor, DOCTOR_WARNING, advice,
          "namespaces %s (%u client%s) and %s (%u client%s) differ by a letter, and share "
          "nothing",
          a->name, a->clients, plural(a->clients), b->name, b->clients, plural(b->clients));
    }
  if (found == 0)
    doctor_ok(doctor, "no two namespaces of %zu differ by a letter", doctor->n_namespaces);
}

/* ---- manifests ---- */

/* A member of a JSON object: the texts of its key and its value. */
struct member {
  struct fc_str key, value;
};

static const char *skip_space(const char *at) {
  while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
    at++;
  return at;
}

/* Returns the end of a string, or of any value with its nested ones: a comma or a closing bracket
 * of the object that it is in. */
static const char *end_of_value(const char *at) {
  int depth = 0;
  bool quoted = false;
  for (; *at != '\0'; at++) {
    if (quoted && *at == '\\' && at[1] != '\0')
      at++;
    else if (*at == '"')
      quoted = !quoted;
    if (quoted)
      continue;
    bool closes = *at == '}' || *at == ']';
    if (depth == 0 && (closes || *at == ','))
      break;
    depth += (*at == '{' || *at == '[') - closes;
  }
  return at;
}

/* Reads the next member. Returns where the one after it begins, or NULL if there is none, or the
 * text is no JSON object. */
static const char *next_member(const char *at, struct member *member) {
  at = skip_space(at);
  if (*at != '{' && *at != ',')
    return NULL;
  at = skip_space(at + 1);
  if (*at != '"')
    return NULL;
  const char *key = at + 1, *end = strchr(key, '"');
  if (end == NULL)
    return NULL;
  at = skip_space(end + 1);
  if (*at != ':')
    return NULL;
  const char *value = skip_space(at + 1), *after = end_of_value(value);
  member->key = (struct fc_str){key, (uint32_t)(end - key)};
  member->value = (struct fc_str){value, (uint32_t)(after - value)};
  return after;
}

static bool find_member(const char *manifest, struct fc_str key, struct member *member) {
  for (const char *at = manifest; (at = next_member(at, member)) != NULL;)
    if (fc_str_equal(member->key, key))
      return true;
  return false;
}

struct difference {
  unsigned same, differing;
  struct member a, b; /* the first that differs; b.value none: it lacks the key */
};

static void compare(const char *one, const char *other, struct difference *difference) {
  struct member a, b;
  for (const char *at = one; (at = next_member(at, &a)) != NULL;) {
    bool has = find_member(other, a.key, &b);
    if (has && fc_str_equal(a.value, b.value)) {
      difference->same++;
    } else if (difference->differing++ == 0) {
      difference->a = a;
      difference->b = has ? b : (struct member){.key = a.key};
    }
  }
}

static void report_difference(struct doctor *doctor, const struct doctor_namespace *a,
                              const struct doctor_namespace *b,
                              const struct difference *difference) {
  struct fc_str value = difference->b.value;
  int size = value.data == NULL ? 7 : (int)(value.size < 60 ? value.size : 60);
  doctor_report(doctor, DOCTOR_WARNING,
                "if the numbers of both are the same, give all workers what the manifests compare "
                "in one version: see fcachectl namespaces",
                "namespaces %.80s and %.80s differ only in %.*s: %.*s, and %.*s", a->name, b->name,
                (int)difference->a.key.size, difference->a.key.data,
                (int)(difference->a.value.size < 60 ? difference->a.value.size : 60),
                difference->a.value.data, size, value.data == NULL ? "nothing" : value.data);
}

void doctor_check_manifests(struct doctor *doctor) {
  unsigned found = 0;
  for (size_t i = 0; i < doctor->n_namespaces; i++)
    for (size_t k = i + 1; k < doctor->n_namespaces && found < FINDINGS_MAX; k++) {
      const struct doctor_namespace *a = &doctor->namespaces[i], *b = &doctor->namespaces[k];
      struct difference one = {0}, other = {0};
      if (a->clients == 0 || b->clients == 0 || a->manifest == NULL || b->manifest == NULL)
        continue;
      compare(a->manifest, b->manifest, &one);
      compare(b->manifest, a->manifest, &other);
      if (one.differing > 1 || other.differing > 1 || one.differing + other.differing == 0 ||
          one.same == 0)
        continue;
      found++;
      if (one.differing == 1)
        report_difference(doctor, a, b, &one);
      else
        report_difference(doctor, b, a, &other);
    }
  if (found == 0)
    doctor_ok(doctor, "no two namespaces with workers differ in one value of their manifests");
}
