#include "daemon/config/tier_url.h"

#include "daemon/base/parse.h"
#include "proto/errors.h"

#include <arpa/inet.h>
#include <string.h>

#define FORMS                                                                                      \
  "redis://HOST[:PORT][/DB], rediss:// (TLS), valkey://, valkeys:// (TLS), or unix://PATH"

/* A part of the text. */
struct part {
  const char *data;
  size_t size;
};

/* One URL that is being parsed. */
struct parse {
  struct part whole, rest; /* rest: behind what is parsed */
  struct tier_urls *urls;
  struct tier_address *address;
  bool tls;
  char user[TIER_USER_SIZE];
  uint32_t database;
  struct error_text *error;
};

static int fault(const struct parse *parse, const char *wrong) {
  return error_text_set(parse->error, FC_EINVAL, "tier: \"%.*s\": %s", (int)parse->whole.size,
                        parse->whole.data, wrong);
}

/* Returns the place of the byte, or the size. */
static size_t find(struct part part, char byte) {
  const char *at = part.size > 0 ? memchr(part.data, byte, part.size) : NULL;
  return at != NULL ? (size_t)(at - part.data) : part.size;
}

/* Returns the first `size` bytes of *part, and removes them and `skip` more. */
static struct part take(struct part *part, size_t size, size_t skip) {
  struct part taken = {part->data, size};
  part->data += size + skip;
  part->size -= size + skip;
  return taken;
}

static bool copy(struct part part, char *text, size_t capacity) {
  if (part.size >= capacity)
    return false;
  memcpy(text, part.data, part.size);
  text[part.size] = '\0';
  return true;
}

static bool has_only(struct part part, const char *allowed) {
  for (size_t i = 0; i < part.size; i++)
    if (part.data[i] == '\0' || strchr(allowed, part.data[i]) == NULL)
      return false;
  return true;
}

/* ---- passwords ---- */

/* Returns true if a ":" is before an "@" that ends a user, anywhere in the text. A password may
 * have any character, so the text is not split first. */
static bool has_password(const char *text) {
  const char *at = strstr(text, "://");
  while (at != NULL) {
    const char *begin = at + 3, *next = strstr(begin, "://");
    const char *end = next != NULL ? next : begin + strlen(begin);
    const char *colon = memchr(begin, ':', (size_t)(end - begin));
    if (strncmp(begin, "/", 1) != 0 && colon != NULL &&
        memchr(colon, '@', (size_t)(end - colon)) != NULL)
      return true;
    at = next;
  }
  return false;
}

/* ---- the parts of a URL ---- */

static int parse_scheme(struct parse *parse, bool *is_unix) {
  static const struct {
    const char *name;
    bool tls, is_unix;
  } schemes[] = {{"redis://", false, false},
                 {"valkey://", false, false},
                 {"rediss://", true, false},
                 {"valkeys://", true, false},
                 {"unix://", false, true}};
  for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
    size_t size = strlen(schemes[i].name);
    if (parse->rest.size < size || memcmp(parse->rest.data, schemes[i].name, size) != 0)
      continue;
    (void)take(&parse->rest, size, 0);
    parse->tls = schemes[i].tls;
    *is_unix = schemes[i].is_unix;
    return 0;
  }
  return fault(parse, "it is not the URL of a tier: give " FORMS);
}

static int digit_of(char c) {
  static const char digits[] = "0123456789abcdef";
  const char *at = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
  return at != NULL ? (int)(at - digits) : -1;
}

/* Decodes %XX. Returns false if the user is empty, too long, or has a byte that no user has. */
static bool decode_user(struct part part, char user[TIER_USER_SIZE]) {
  size_t size = 0;
  for (size_t i = 0; i < part.size; i++) {
    int byte = (unsigned char)part.data[i];
    if (byte == '%') {
      int high = i + 2 < part.size ? digit_of(part.data[i + 1]) : -1;
      int low = i + 2 < part.size ? digit_of(part.data[i + 2]) : -1;
      byte = high < 0 || low < 0 ? 0 : 16 * high + low;
      i += 2;
    }
    if (byte <= ' ' || byte == 0x7f || size + 1 >= TIER_USER_SIZE)
      return false;
    user[size++] = (char)byte;
  }
  user[size] = '\0';
  return size > 0;
}

static int parse_user(struct parse *parse) {
  size_t size = find(parse->rest, '@');
  if (size == parse->rest.size || find(parse->rest, '/') < size)
    return 0;
  if (!decode_user(take(&parse->rest, size, 1), parse->user))
    return fault(parse, "the user before \"@\" is wrong: give 1 to 127 bytes without spaces, with "
                        "%XX for special ones");
  return 0;
}

static int parse_database(struct parse *parse, struct part text) {
  char digits[8];
  uint64_t number;
  if (!copy(text, digits, sizeof digits) || !parse_whole_number(digits, &number) ||
      number > TIER_DATABASE_MAX)
    return fault(parse, "the database is wrong: give a number from 0 to 65535, as in "
                        "redis://HOST:6379/2 or unix:///PATH?db=2");
  parse->database = (uint32_t)number;
  return 0;
}

static int parse_port(struct parse *parse, struct part text) {
  char digits[8];
  uint64_t number;
  if (!copy(text, digits, sizeof digits) || !parse_whole_number(digits, &number) || number == 0 ||
      number > UINT16_MAX)
    return fault(parse, "the port is wrong: give a number from 1 to 65535 behind \":\"");
  parse->address->port = (uint16_t)number;
  return 0;
}

static int parse_ipv6(struct parse *parse, struct part *authority) {
  struct in6_addr ignored;
  size_t end = find(*authority, ']');
  struct part inner = {authority->data + 1, end - 1};
  if (end == authority->size || !copy(inner, parse->address->host, TIER_HOST_SIZE) ||
      inet_pton(AF_INET6, parse->address->host, &ignored) != 1)
    return fault(parse,
                 "what is in brackets is no IPv6 address: give one as in [2001:db8::1]:6379");
  (void)take(authority, end + 1, 0);
  if (authority->size > 0 && authority->data[0] != ':')
    return fault(parse, "there is a character behind \"]\": give \":PORT\" or nothing");
  return 0;
}

static int parse_name(struct parse *parse, struct part *authority) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
  struct part name = take(authority, find(*authority, ':'), 0);
  if (find(*authority, ':') < authority->size &&
      find((struct part){authority->data + 1, authority->size - 1}, ':') < authority->size - 1)
    return fault(parse,
                 "there is more than one \":\" in the host: put an IPv6 address in brackets, "
                 "as in [2001:db8::1]:6379");
  if (name.size == 0 || !has_only(name, allowed) ||
      !copy(name, parse->address->host, TIER_HOST_SIZE))
    return fault(parse, "the host is wrong: give a name, an IPv4 address, or an IPv6 address in "
                        "brackets");
  return 0;
}

static int parse_network(struct parse *parse) {
  struct part authority = take(&parse->rest, find(parse->rest, '/'), 0);
  bool in_brackets = authority.size > 0 && authority.data[0] == '[';
  int rc = in_brackets ? parse_ipv6(parse, &authority) : parse_name(parse, &authority);
  parse->address->port = TIER_PORT_DEFAULT;
  if (rc == 0 && authority.size > 0)
    rc = parse_port(parse, (struct part){authority.data + 1, authority.size - 1});
  if (rc == 0 && parse->rest.size > 1) /* a "/" alone is database 0 */
    rc = parse_database(parse, (struct part){parse->rest.data + 1, parse->rest.size - 1});
  return rc;
}

static int parse_unix(struct parse *parse) {
  static const char key[] = "db=";
  struct part path = take(&parse->rest, find(parse->rest, '?'), 0);
  if (path.size < 2 || path.data[0] != '/' || memchr(path.data, '\0', path.size) != NULL)
    return fault(parse, "the path is not absolute: give unix:///PATH of the server's socket");
  if (!copy(path, parse->address->path, TIER_PATH_SIZE))
    return fault(parse, "the path is too long for a socket: give at most 107 bytes");
  if (parse->rest.size == 0)
    return 0;
  (void)take(&parse->rest, 1, 0);
  if (parse->rest.size < strlen(key) || memcmp(parse->rest.data, key, strlen(key)) != 0)
    return fault(parse, "there is another text than \"db=\" behind \"?\": give ?db=DB or nothing");
  (void)take(&parse->rest, strlen(key), 0);
  return parse_database(parse, parse->rest);
}

/* ---- the list ---- */

/* The servers of one tier differ in their addresses alone. */
static int join(struct parse *parse) {
  struct tier_urls *urls = parse->urls;
  if (urls->n == 0) {
    urls->tls = parse->tls;
    urls->database = parse->database;
    memcpy(urls->user, parse->user, sizeof urls->user);
  }
  if (urls->tls != parse->tls || urls->database != parse->database ||
      strcmp(urls->user, parse->user) != 0)
    return fault(parse, "it has another user, database or TLS than the first URL: all URLs are "
                        "servers of one tier, give the same in each");
  if (urls->n > 0 && (parse->address->path[0] != '\0' || urls->addresses[0].path[0] != '\0'))
    return fault(parse, "a Unix socket is the only server of its tier: give one URL");
  urls->n++;
  return 0;
}

static int parse_url(struct part url, struct tier_urls *urls, struct error_text *error) {
  struct parse parse = {.whole = url,
                        .rest = url,
                        .urls = urls,
                        .address = &urls->addresses[urls->n],
                        .error = error};
  bool is_unix = false;
  int rc = parse_scheme(&parse, &is_unix);
  if (rc == 0)
    rc = parse_user(&parse);
  if (rc == 0)
    rc = is_unix ? parse_unix(&parse) : parse_network(&parse);
  return rc == 0 ? join(&parse) : rc;
}

int tier_urls_parse(const char *text, struct tier_urls *urls, struct error_text *error) {
  struct part rest = {text, strlen(text)};
  *urls = (struct tier_urls){0};
  if (has_password(text))
    return error_text_set(error, FC_EINVAL,
                          "tier: there is a password in the URL, where others can read it: put it "
                          "into a file, and give the file with tier-password-file");
  if (rest.size > TIER_URL_SIZE_MAX)
    return error_text_set(error, FC_EINVAL, "tier: more than %u bytes: give fewer URLs",
                          TIER_URL_SIZE_MAX);
  for (bool more = true; more;) {
    size_t size = find(rest, ',');
    more = size < rest.size;
    if (urls->n == TIER_URLS_MAX)
      return error_text_set(error, FC_EINVAL,
                            "tier: more than %u URLs: some servers are enough, fcached asks them "
                            "for the others",
                            TIER_URLS_MAX);
    int rc = parse_url(take(&rest, size, more), urls, error);
    if (rc < 0)
      return rc;
  }
  return 0;
}
