#include "net/guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct range4 { uint32_t base; int bits; } range4;
static const range4 special4[] = {
    {0x00000000, 8},  {0x0A000000, 8},  {0x64400000, 10}, {0x7F000000, 8},  {0xA9FE0000, 16}, {0xAC100000, 12}, {0xC0000000, 24},
    {0xC0000200, 24}, {0xC0586300, 24}, {0xC0A80000, 16}, {0xC6120000, 15}, {0xC6336400, 24}, {0xCB007100, 24}, {0xE0000000, 4},
    {0xF0000000, 4},
};

static bool is_public4(uint32_t address) {
  for (size_t i = 0; i < sizeof special4 / sizeof *special4; i++)
    if ((address ^ special4[i].base) >> (32 - special4[i].bits) == 0) return false;
  return true;
}

typedef struct range6 { uint8_t base[16]; int bits; } range6;
static const range6 special6[] = {
    {{0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01}, 48},   /* local-use translation */
    {{0x01, 0x00}, 64},                           /* discard-only */
    {{0x20, 0x01, 0x00}, 23},                     /* protocol assignments: Teredo, benchmarking, ORCHID */
    {{0x20, 0x01, 0x0D, 0xB8}, 32},               /* documentation */
    {{0x3F, 0xFF}, 20},                           /* documentation */
    {{0x5F, 0x00}, 16},                           /* segment routing */
    {{0xFC}, 7},                                  /* unique local */
    {{0xFE, 0x80}, 10},                           /* link-local */
    {{0xFE, 0xC0}, 10},                           /* site-local, long deprecated */
    {{0xFF}, 8},                                  /* multicast */
};

static bool begins6(const uint8_t *address, const uint8_t *base, int bits) {
  int whole = bits / 8, rest = bits % 8;
  if (memcmp(address, base, (size_t)whole) != 0) return false;
  return rest == 0 || ((address[whole] ^ base[whole]) >> (8 - rest)) == 0;
}

static uint32_t carried4(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static bool is_public6(const uint8_t *address) {
  static const uint8_t zeroes[16], mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, nat64[12] = {0x00, 0x64, 0xFF, 0x9B};
  if (memcmp(address, mapped, 12) == 0 || memcmp(address, zeroes, 12) == 0 || memcmp(address, nat64, 12) == 0)
    return is_public4(carried4(address + 12));   /* :: and ::1 carry addresses of 0.0.0.0/8 */
  if (address[0] == 0x20 && address[1] == 0x02) return is_public4(carried4(address + 2));   /* 6to4 */
  for (size_t i = 0; i < sizeof special6 / sizeof *special6; i++)
    if (begins6(address, special6[i].base, special6[i].bits)) return false;
  return true;
}

bool tk_address_is_public(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) return is_public4(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
  if (address->sa_family == AF_INET6) return is_public6(((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr);
  return false;
}
