/* Which addresses are nobody's business outside: the guard against requests that are made to reach what is private (SSRF). */
#ifndef TK_NET_GUARD_H
#define TK_NET_GUARD_H
#include <stdbool.h>
#include <sys/socket.h>

/* Whether the address is a public unicast one: none of the special-purpose ranges of the IANA registries for IPv4 and IPv6 (RFC
 * 6890 and its successors: loopback, private, link-local, shared, benchmark, documentation, reserved, multicast), nor an IPv6
 * address that carries such an IPv4 one (mapped, compatible, NAT64 of RFC 6052, 6to4). Teredo (RFC 4380) is none. Any family but
 * IPv4 and IPv6 is none. Pure. */
bool tk_address_is_public(const struct sockaddr *address);

#endif
