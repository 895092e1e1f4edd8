/* The hex dumps, hash vectors and charges of docs/protocol.md against the encoders, the decoders
 * and the store, and the notes of each dump against its bytes. Run from the project's root, as make
 * does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/store_clear.h"
#include "proto/errors.h"
#include "proto/shm/ring_layout.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "proto/wire/reader.h"
#include "tests/support/doc_blocks.h"
#include "tests/support/private_store.h"
#include "tests/support/runner.h"

#define DOC "docs/protocol.md"
#define STR(text)                                                                                  \
  { (text), sizeof(text) - 1 }

/* Compares a dump with `made`, to which it appends the bytes of `value`. */
static void check_block(const char *title, struct fc_buf *made, const char *value) {
  struct fc_request request;
  struct fc_reply reply;
  uint32_t body;
  int error;

  ck_assert_int_eq(fc_buf_append(made, value, strlen(value)), 0);
  doc_check_hex(DOC, title, made->data, made->size);
  ck_assert_int_eq(fc_frame_peek(made->data, made->size, UINT32_MAX, &body), FC_FRAME_DONE);
  ck_assert_uint_eq(body, made->size - FC_FRAME_HEADER);
  error = made->data[9] & FC_REPLY ? fc_decode_reply(made->data + 8, body, &reply)
                                   : fc_decode_request(made->data + 8, body, &request);
  ck_assert_msg(!error, "%s cannot be decoded", title);
  fc_buf_free(made);
}

static struct fc_key key(void) {
  return (struct fc_key){STR("next_token_dist"), STR("base"), 50, fc_hash_prompt("hello", 5)};
}

START_TEST(dumps_of_requests_equal_encoders) {
  const struct fc_hello hello = {.version_min = 1,
                                 .version_max = 1,
                                 .client = STR("worker-1"),
                                 .name_space = STR("gpt2-r1"),
                                 .has_max_entries = true,
                                 .max_entries = 100000};
  const struct fc_get get = {.key = key(), .probe = STR("ablation")};
  const struct fc_put put = {.flags = FC_KEEP_FIRST,
                             .key = key(),
                             .probe = STR("ablation"),
                             .epoch = {0x0123456789abcdefu, 2},
                             .compute_ns = 12000000,
                             .value_size = 10};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_hello(&buf, 0, &hello), 0);
  check_block("hello", &buf, "");
  ck_assert_int_eq(fc_encode_get(&buf, 1, &get), 0);
  check_block("get", &buf, "");
  ck_assert_int_eq(fc_encode_put_head(&buf, 2, &put), 0);
  check_block("put", &buf, "the result");
}
END_TEST

START_TEST(dumps_of_replies_equal_encoders) {
  const struct fc_welcome welcome = {
      1, STR("fcached 0.1.0"), 0x0123456789abcdefu, 2, 16777216, 17825792, 0, 0};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_welcome(&buf, 0, &welcome), 0);
  check_block("welcome", &buf, "");
  ck_assert_int_eq(fc_encode_miss(&buf, 1, 2), 0);
  check_block("miss", &buf, "");
  ck_assert_int_eq(fc_encode_put_reply(&buf, 2, FC_STORED), 0);
  check_block("stored", &buf, "");
  ck_assert_int_eq(fc_encode_hit_head(&buf, 3, 2, 10), 0);
  check_block("hit", &buf, "the result");
}
END_TEST

START_TEST(dumps_of_manifests_equal_encoders) {
  const struct fc_str manifest = STR("{\"model\": \"gpt2\"}");
  const struct fc_hello hello = {.version_min = 1,
                                 .version_max = 4,
                                 .client = STR("worker-1"),
                                 .name_space = STR("gpt2-r1"),
                                 .manifest = manifest};
  const struct fc_page page = {.limit = 500};
  struct fc_namespace_entry entry = {STR("gpt2-r1"), manifest, 1, 0, 1, 1, 1, 10000000, 0};
  const struct fc_key entry_key = key();
  struct fc_buf buf = {0};

  entry.bytes = heap_charge(&entry_key, 10); /* of the value that the exchange has put */
  ck_assert_int_eq(fc_encode_hello(&buf, 0, &hello), 0);
  check_block("hello_manifest", &buf, "");
  ck_assert_int_eq(fc_encode_page(&buf, FC_NAMESPACES, 6, &page), 0);
  check_block("namespaces", &buf, "");
  ck_assert_int_eq(fc_encode_list_reply_head(&buf, FC_NAMESPACES, 6, NULL, 0, 1), 0);
  ck_assert_int_eq(fc_encode_namespace_entry(&buf, &entry), 0);
  fc_frame_finish(&buf, 0, 0);
  check_block("namespaces_reply", &buf, "");
}
END_TEST

START_TEST(dumps_of_leases_equal_encoders) {
  const struct fc_get get = {.flags = FC_LEASE,
                             .key = key(),
                             .probe = STR("ablation"),
                             .has_terms = true,
                             .terms = {.lease_ms = 60000, .wait_ms = 30000}};
  const struct fc_give_up give_up = {.key = key(), .prompts = get.key.prompt.bytes, .n = 1};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_get(&buf, 4, &get), 0);
  check_block("get_lease", &buf, "");
  ck_assert_int_eq(fc_encode_miss_lease(&buf, 4, 2, FC_LEASE_GRANTED), 0);
  check_block("granted", &buf, "");
  ck_assert_int_eq(fc_encode_miss_lease(&buf, 4, 2, FC_LEASE_TAKEN), 0);
  check_block("taken", &buf, "");
  ck_assert_int_eq(fc_encode_miss_lease(&buf, 4, 2, FC_LEASE_NONE), 0);
  check_block("none", &buf, "");
  ck_assert_int_eq(fc_encode_give_up(&buf, 5, &give_up), 0);
  check_block("give_up", &buf, "");
  ck_assert_int_eq(fc_encode_given_up(&buf, 5, 1), 0);
  check_block("given_up", &buf, "");
}
END_TEST

/* ---- more messages ---- */

#define BOOT_ID 0x0123456789abcdefu

static const uint8_t *three_prompts(void) {
  static uint8_t prompts[3 * FC_HASH_SIZE];
  const struct fc_hash hashes[] = {fc_hash_prompt("hello", 5), fc_hash_prompt("a", 1),
                                   fc_hash_prompt("", 0)};

  memcpy(prompts, hashes, sizeof prompts);
  return prompts;
}

START_TEST(dumps_of_region_hello_equal_encoders) {
  const struct fc_hello hello = {.version_min = 1,
                                 .version_max = 5,
                                 .client = STR("worker-1"),
                                 .name_space = STR("gpt2-r1"),
                                 .region_layout = 2};
  const struct fc_welcome welcome = {5,        STR("fcached 0.1.0"), BOOT_ID, 2, 16777216,
                                     17825792, 0x1122334455667788u,  7};
  const struct fc_ring_request ring = {2, FC_RING_SLOTS_MAX};
  const struct fc_ring_reply given = {0x1122334455667788u, 7};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_hello(&buf, 1, &hello), 0);
  check_block("hello_region", &buf, "");
  ck_assert_int_eq(fc_encode_welcome(&buf, 1, &welcome), 0);
  check_block("welcome_region", &buf, "");
  ck_assert_int_eq(fc_encode_ring(&buf, 2, &ring), 0);
  check_block("ring", &buf, "");
  ck_assert_int_eq(fc_encode_ring_reply(&buf, 2, &given), 0);
  check_block("ring_reply", &buf, "");
}
END_TEST

START_TEST(dumps_of_batches_equal_encoders) {
  const struct fc_get_many get = {.flags = FC_LEASE,
                                  .key = key(),
                                  .prompts = three_prompts(),
                                  .n = 3,
                                  .has_terms = true,
                                  .terms = {.lease_ms = 60000}};
  const struct fc_get_many_reply part = {
      .clear_generation = 2, .last = true, .values.n = 3, .n_leases = 2};
  const uint8_t leases[] = {FC_LEASE_GRANTED, FC_LEASE_TAKEN};
  const struct fc_put_many put = {.flags = FC_KEEP_FIRST,
                                  .key = key(),
                                  .prompts = get.prompts + FC_HASH_SIZE,
                                  .n = 2,
                                  .epoch = {BOOT_ID, 2},
                                  .compute_ns = 24000000,
                                  .batch = 2};
  const struct fc_put_many_reply counts = {.stored = 1, .too_big = 1};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_get_many(&buf, 2, &get), 0);
  check_block("get_many", &buf, "");
  ck_assert_int_eq(fc_encode_get_many_reply_head(&buf, 2, &part), 0);
  ck_assert_int_eq(fc_encode_bin_head(&buf, 10), 0);
  ck_assert_int_eq(fc_buf_append(&buf, "the result", 10), 0);
  ck_assert_int_eq(fc_encode_nil(&buf), 0);
  ck_assert_int_eq(fc_encode_nil(&buf), 0);
  ck_assert_int_eq(fc_encode_leases(&buf, leases, sizeof leases), 0);
  fc_frame_finish(&buf, 0, 0);
  check_block("get_many_reply", &buf, "");
  ck_assert_int_eq(fc_encode_put_many_head(&buf, 3, &put), 0);
  ck_assert_int_eq(fc_encode_bin_head(&buf, 1), 0);
  ck_assert_int_eq(fc_buf_append(&buf, "A", 1), 0);
  ck_assert_int_eq(fc_encode_nil(&buf), 0);
  fc_frame_finish(&buf, 0, 0);
  check_block("put_many", &buf, "");
  ck_assert_int_eq(fc_encode_put_many_reply(&buf, 3, &counts), 0);
  check_block("put_many_reply", &buf, "");
}
END_TEST

START_TEST(dumps_of_list_equal_encoders) {
  const struct fc_list list = {.select.name_space = STR("gpt2-r1"), .limit = 100};
  struct fc_list_entry entry = {.name_space = STR("gpt2-r1"),
                                .key = key(),
                                .value_size = 10,
                                .compute_ns = 12000000,
                                .idle_ns = 10000000,
                                .hits = 1};
  struct fc_buf buf = {0};

  entry.charge = heap_charge(&entry.key, entry.value_size);
  entry.stamp = 42;
  ck_assert_int_eq(fc_encode_list(&buf, 4, &list), 0);
  check_block("list", &buf, "");
  ck_assert_int_eq(fc_encode_list_reply_head(&buf, FC_LIST, 4, NULL, 0, 1), 0);
  ck_assert_int_eq(fc_encode_list_entry(&buf, &entry), 0);
  fc_frame_finish(&buf, 0, 0);
  check_block("list_reply", &buf, "");
}
END_TEST

START_TEST(dumps_of_others_equal_encoders) {
  const struct fc_clear select = {.select.name_space = STR("gpt2-r1"), .select.view = STR("base")};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_clear(&buf, 5, &select), 0);
  check_block("clear", &buf, "");
  ck_assert_int_eq(fc_encode_cleared(&buf, 5, 1), 0);
  check_block("cleared", &buf, "");
  ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, 6), 0);
  check_block("ping", &buf, "");
  ck_assert_int_eq(fc_encode_simple(&buf, FC_REPLY | FC_PING, 6), 0);
  check_block("pong", &buf, "");
  ck_assert_int_eq(
      fc_encode_error(&buf, 1, FC_EMAXENTRIES, fc_str_of("max_entries must be positive; got 0")),
      0);
  check_block("error", &buf, "");
}
END_TEST

/* ---- notes beside the bytes ---- */

/* Reads the number at the end of a note ("top_k 50", "0x12"). Returns false if it has none. */
static bool number_of(const char *note, uint64_t *number) {
  const char *last = strrchr(note, ' ');
  char *end;

  if (last == NULL)
    return false;
  *number = strtoull(last + 1, &end, 0);
  return end > last + 1 && *end == '\n';
}

/* Compares a line with one whole value of msgpack, or with the frame's length, with its note. */
static void check_note(const struct fc_buf *bytes, const char *note, const char *line) {
  struct fc_reader cursor = fc_reader_init(bytes->data, bytes->size);
  uint64_t number;
  char text[64];

  if (fc_reader_type(&cursor) == FC_TYPE_STR && fc_reader_left(&cursor) > 1) {
    struct fc_str str = fc_read_str(&cursor);

    if (!cursor.error && !fc_reader_left(&cursor))
      ck_assert_msg(memmem(note, strlen(note), str.data, str.size), "another text: %s", line);
  } else if ((bytes->data[0] & 0xf0) == 0x90 && bytes->size == 1) {
    (void)snprintf(text, sizeof text, "array of %u\n", bytes->data[0] & 15u);
    ck_assert_msg(strstr(note, text) != NULL, "not \"%s\": %s", text, line);
  } else if (fc_reader_type(&cursor) == FC_TYPE_INTEGER && number_of(note, &number)) {
    uint64_t value = fc_read_u64(&cursor);

    if (!cursor.error && !fc_reader_left(&cursor))
      ck_assert_msg(value == number, "not %llu: %s", (unsigned long long)value, line);
  }
}

/* Checks every line of every dump. */
START_TEST(notes_of_dumps_equal_bytes) {
  FILE *doc = fopen(DOC, "r");
  char line[DOC_LINE_MAX];
  bool inside = false;
  int n = 0;

  ck_assert_msg(doc != NULL, DOC " cannot be opened: run the test from the project's root");
  while (fgets(line, sizeof line, doc)) {
    struct fc_buf bytes = {0};
    const char *note;

    if (line[0] == '`')
      inside = !strncmp(line, "```hex ", 7);
    note = inside && line[0] != '`' ? doc_take_hex(&bytes, line) : "";
    if (bytes.size > 0 && *note == ' ') {
      check_note(&bytes, note, line);
      n++;
    }
    fc_buf_free(&bytes);
  }
  (void)fclose(doc); /* a reader has nothing to flush */
  ck_assert_int_gt(n, 200);
}
END_TEST

/* ---- charges ---- */

/* OP_SIZE  VIEW_SIZE  VALUE_SIZE  CHARGE */
static void check_charge(void *count, const char *line) {
  struct fc_key key = {0};
  unsigned long value, charge;

  ck_assert_msg(sscanf(line, "%u %u %lu %lu", &key.op.size, &key.view.size, &value, &charge) == 4,
                "no charge: %s", line);
  ck_assert_msg(heap_charge(&key, value) == charge, "it is %lu: %s",
                (unsigned long)heap_charge(&key, value), line);
  ++*(int *)count;
}

START_TEST(charges_of_page_equal_store) {
  int count = 0;

  doc_each_line(DOC, "charges", check_charge, &count);
  ck_assert_int_ge(count, 4);
}
END_TEST

static uint64_t up(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

/* Computes the page's formula for an entry in pieces. */
static uint64_t charge_in_pieces(const struct fc_key *key, const struct iovec *pieces, size_t n) {
  uint64_t charge = up(64 + up(key->op.size + key->view.size, 8) + 16 * n, 16) + 128;

  for (size_t i = 0; i < n; i++)
    charge += up(pieces[i].iov_len, 16) + 32;
  return charge;
}

/* The holes between the small entries are too small for the next value. */
START_TEST(entry_in_pieces_charged_as_on_page) {
  enum { SMALL = 20000, LARGE = 200000, MAX_BYTES = 1 << 20 };
  static uint8_t value[LARGE];
  struct region region;
  struct store store;
  struct namespace ns;
  struct iovec pieces[FC_REGION_PIECES_MAX];
  const struct store_put_info info = {.origin = 1};
  const struct store_select odd = {.ns = &ns, .view = STR("odd")};

  private_store_init(&store, &region, MAX_BYTES, LARGE, 1);
  namespace_init(&ns, fc_str_of("gpt2-r1"), 1, 1);
  for (uint32_t i = 0; i < MAX_BYTES / SMALL; i++) {
    struct fc_key small = {STR("op"), fc_str_of(i % 2 ? "odd" : "even"), i, {{0}}};

    ck_assert_int_eq(store_put(&store, &ns, &small, value, SMALL, &info), FC_STORED);
  }
  (void)store_clear_all(&store, &odd);
  struct fc_key large = key();
  ck_assert_int_eq(store_put(&store, &ns, &large, value, LARGE, &info), FC_STORED);
  const struct entry *entry = store_peek(&store, &ns, &large);
  size_t n = entry_value(entry, pieces);
  ck_assert_uint_gt(n, 1);
  ck_assert_uint_eq(heap_charge_of(entry), charge_in_pieces(&large, pieces, n));
  (void)store_drop_step(&store, &ns, UINT64_MAX, false);
  namespace_deinit(&ns);
  private_store_deinit(&store, &region);
}
END_TEST

/* Checks a line: the prompt's bytes in hex (none: empty), two spaces, the hash. */
static void check_vector(void *count, const char *line) {
  struct fc_buf prompt = {0};
  struct fc_hash hash, documented;
  const char *gap = strstr(line, "  ");

  ck_assert_msg(gap != NULL, "no gap in: %s", line);
  (void)doc_take_hex(&prompt, line);
  ck_assert(fc_hash_parse(gap + 2, 32, &documented));
  hash = fc_hash_prompt(prompt.data, prompt.size);
  ck_assert_msg(!memcmp(&hash, &documented, sizeof hash), "another hash than: %s", line);
  fc_buf_free(&prompt);
  ++*(int *)count;
}

START_TEST(hash_vectors_of_page_equal_code) {
  int count = 0;

  doc_each_line(DOC, "vectors", check_vector, &count);
  ck_assert_int_ge(count, 4);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("protocol_doc");
  TCase *tests = tcase_create("protocol_doc");

  tcase_add_test(tests, dumps_of_requests_equal_encoders);
  tcase_add_test(tests, dumps_of_replies_equal_encoders);
  tcase_add_test(tests, dumps_of_leases_equal_encoders);
  tcase_add_test(tests, dumps_of_manifests_equal_encoders);
  tcase_add_test(tests, dumps_of_region_hello_equal_encoders);
  tcase_add_test(tests, dumps_of_batches_equal_encoders);
  tcase_add_test(tests, dumps_of_list_equal_encoders);
  tcase_add_test(tests, dumps_of_others_equal_encoders);
  tcase_add_test(tests, notes_of_dumps_equal_bytes);
  tcase_add_test(tests, charges_of_page_equal_store);
  tcase_add_test(tests, entry_in_pieces_charged_as_on_page);
  tcase_add_test(tests, hash_vectors_of_page_equal_code);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
