#include "daemon/tier/key_slot.h"

#include <string.h>

#define CRC16_POLYNOMIAL 0x1021u

uint16_t key_slot_crc16(const char *bytes, size_t size) {
  uint32_t crc = 0;
  for (size_t i = 0; i < size; i++) {
    crc ^= (uint32_t)(uint8_t)bytes[i] << 8;
    for (int bit = 0; bit < 8; bit++)
      crc = (crc & 0x8000u) != 0 ? (crc << 1) ^ CRC16_POLYNOMIAL : crc << 1;
    crc &= 0xffffu;
  }
  return (uint16_t)crc;
}

uint16_t key_slot(const char *key, size_t size) {
  const char *open = memchr(key, '{', size);
  if (open != NULL) {
    const char *tag = open + 1;
    const char *close = memchr(tag, '}', (size_t)(key + size - tag));
    if (close != NULL && close > tag)
      return key_slot_crc16(tag, (size_t)(close - tag)) % KEY_SLOTS;
  }
  return key_slot_crc16(key, size) % KEY_SLOTS;
}
