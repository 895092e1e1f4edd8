/* image_bytes.h - numbers in an image: little-endian, at any address. */
#ifndef FC_PROTO_IMAGE_BYTES_H
#define FC_PROTO_IMAGE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void image_put16(uint8_t *at, uint16_t number) {
  number = htole16(number);
  memcpy(at, &number, sizeof number);
}
static inline void image_put32(uint8_t *at, uint32_t number) {
  number = htole32(number);
  memcpy(at, &number, sizeof number);
}
static inline void image_put64(uint8_t *at, uint64_t number) {
  number = htole64(number);
  memcpy(at, &number, sizeof number);
}
static inline uint16_t image_get16(const uint8_t *at) {
  uint16_t number;
  memcpy(&number, at, sizeof number);
  return le16toh(number);
}
static inline uint32_t image_get32(const uint8_t *at) {
  uint32_t number;
  memcpy(&number, at, sizeof number);
  return le32toh(number);
}
static inline uint64_t image_get64(const uint8_t *at) {
  uint64_t number;
  memcpy(&number, at, sizeof number);
  return le64toh(number);
}

#endif
