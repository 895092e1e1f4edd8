#include "client/demo/result.h"

#include <stdlib.h>
#include <string.h>

#include "client/demo/util.h"

/* Bytes being written or read, one number after the other. */
struct pen {
  uint8_t *at;
};
struct eye {
  const uint8_t *at;
  size_t left;
};

static void write_uint(struct pen *pen, uint64_t number, size_t size) {
  for (size_t i = 0; i < size; i++)
    *pen->at++ = (uint8_t)(number >> (8 * i));
}

static void write_f32(struct pen *pen, float number) {
  uint32_t bits;
  memcpy(&bits, &number, sizeof bits);
  write_uint(pen, bits, sizeof bits);
}

static void write_f64(struct pen *pen, double number) {
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  write_uint(pen, bits, sizeof bits);
}

/* The callers have compared `left` with what they read. */
static uint64_t read_uint(struct eye *eye, size_t size) {
  uint64_t number = 0;
  for (size_t i = 0; i < size; i++)
    number |= (uint64_t)eye->at[i] << (8 * i);
  eye->at += size;
  eye->left -= size;
  return number;
}

static float read_f32(struct eye *eye) {
  uint32_t bits = (uint32_t)read_uint(eye, sizeof bits);
  float number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static double read_f64(struct eye *eye) {
  uint64_t bits = read_uint(eye, sizeof bits);
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

enum { DISTRIBUTION_HEAD = 1 + 1 + 4 + 4 + 4, ROLLING_HEAD = 1 + 4 + 8, COMPLETION_SIZE = 1 + 8 };

int result_encode_distribution(const struct distribution *in, struct fcache_value *value) {
  size_t size = DISTRIBUTION_HEAD + (size_t)in->n * (8 + 4);
  uint8_t *bytes = demo_alloc(size, 1);
  struct pen pen = {bytes};
  write_uint(&pen, 'D', 1);
  write_uint(&pen, in->has_tail, 1);
  write_uint(&pen, in->vocabulary_size, 4);
  write_uint(&pen, in->n, 4);
  write_f32(&pen, in->has_tail ? in->tail_logprob : 0);
  for (uint32_t i = 0; i < in->n; i++)
    write_uint(&pen, (uint64_t)in->ids[i], 8);
  for (uint32_t i = 0; i < in->n; i++)
    write_f32(&pen, in->logprobs[i]);
  int r = fcache_value_set(value, bytes, size);
  free(bytes);
  return r;
}

int result_encode_rolling(const struct rolling *in, struct fcache_value *value) {
  size_t size = ROLLING_HEAD + (size_t)in->n * 4;
  uint8_t *bytes = demo_alloc(size, 1);
  struct pen pen = {bytes};
  write_uint(&pen, 'R', 1);
  write_uint(&pen, in->n, 4);
  write_f64(&pen, in->total);
  for (uint32_t i = 0; i < in->n; i++)
    write_f32(&pen, in->logprobs[i]);
  int r = fcache_value_set(value, bytes, size);
  free(bytes);
  return r;
}

int result_encode_completion(double logprob, struct fcache_value *value) {
  uint8_t bytes[COMPLETION_SIZE];
  struct pen pen = {bytes};
  write_uint(&pen, 'C', 1);
  write_f64(&pen, logprob);
  return fcache_value_set(value, bytes, sizeof bytes);
}

int result_decode_distribution(const void *data, size_t size, struct distribution *out) {
  *out = (struct distribution){0};
  struct eye eye = {data, size};
  if (size < DISTRIBUTION_HEAD || read_uint(&eye, 1) != 'D')
    return FCACHE_EINVAL;
  uint64_t tail = read_uint(&eye, 1);
  out->vocabulary_size = (uint32_t)read_uint(&eye, 4);
  uint32_t n = (uint32_t)read_uint(&eye, 4);
  out->has_tail = tail == 1;
  out->tail_logprob = read_f32(&eye);
  if (tail > 1 || n > out->vocabulary_size || eye.left != (size_t)n * (8 + 4))
    return FCACHE_EINVAL;
  out->n = n;
  out->ids = demo_alloc(n, sizeof *out->ids);
  out->logprobs = demo_alloc(n, sizeof *out->logprobs);
  for (uint32_t i = 0; i < n; i++)
    out->ids[i] = (int64_t)read_uint(&eye, 8);
  for (uint32_t i = 0; i < n; i++)
    out->logprobs[i] = read_f32(&eye);
  return 0;
}

int result_decode_rolling(const void *data, size_t size, struct rolling *out) {
  *out = (struct rolling){0};
  struct eye eye = {data, size};
  if (size < ROLLING_HEAD || read_uint(&eye, 1) != 'R')
    return FCACHE_EINVAL;
  uint32_t n = (uint32_t)read_uint(&eye, 4);
  out->total = read_f64(&eye);
  if (eye.left != (size_t)n * 4)
    return FCACHE_EINVAL;
  out->n = n;
  out->logprobs = demo_alloc(n, sizeof *out->logprobs);
  for (uint32_t i = 0; i < n; i++)
    out->logprobs[i] = read_f32(&eye);
  return 0;
}

int result_decode_completion(const void *data, size_t size, double *out) {
  struct eye eye = {data, size};
  if (size != COMPLETION_SIZE || read_uint(&eye, 1) != 'C')
    return FCACHE_EINVAL;
  *out = read_f64(&eye);
  return 0;
}

void result_free_distribution(struct distribution *result) {
  free(result->ids);
  free(result->logprobs);
  *result = (struct distribution){0};
}

void result_free_rolling(struct rolling *result) {
  free(result->logprobs);
  *result = (struct rolling){0};
}
