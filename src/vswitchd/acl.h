/* SPDX-License-Identifier: Apache-2.0 */
/* A port's access rules as people write them. */
#ifndef VSWITCHD_ACL_H
#define VSWITCHD_ACL_H

#include "vswitch/vswitch.h"

#define ACL_EXPECTED                                                                               \
	"expected (allow|deny|meter) (in|out|both) and then any of arp, ip4, ip6, ethertype N, "   \
	"tcp, udp, icmp, icmp6, protocol N, "                                                      \
	"local ADDRESS, remote ADDRESS, local-port N[-M], remote-port N[-M], weight N"

/*
 * "deny in tcp remote 10.0.0.0/8 local-port 22 weight 10", words separated by blanks. ADDRESS is a MAC, an IPv4 or an IPv6 address, with /BITS
 * or without. False: @error names the word.
 */
bool acl_parse(const char *text, struct vswitch_acl *ret, char *error, size_t size);
/* "02:00:00:00:00:01"; dashes do as well. */
bool mac_parse(const char *text, uint8_t *ret);
void mac_text(const uint8_t *mac, char *ret); /* 18 bytes */

#endif
