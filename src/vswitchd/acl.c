// SPDX-License-Identifier: Apache-2.0
#include "acl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/text.h"

#define WORDS_MAX 40u
#define TEXT_MAX 400u
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_IP6 0x86dd

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool mac_parse(const char *text, uint8_t *ret)
{
	uint8_t mac[NET_MAC_BYTES] = {0};

	for (unsigned i = 0; i < NET_MAC_BYTES; i++, text += 3) {
		if (hex(text[0]) < 0 || hex(text[1]) < 0) {
			return false;
		}
		mac[i] = (uint8_t)(hex(text[0]) << 4 | hex(text[1]));
		if (i + 1 < NET_MAC_BYTES ? text[2] != ':' && text[2] != '-' : text[2] != '\0') {
			return false;
		}
	}
	memcpy(ret, mac, sizeof(mac));
	return true;
}

void mac_text(const uint8_t *mac, char *ret)
{
	snprintf(ret, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
}

static bool number(const char *text, unsigned long max, unsigned long *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || n > max) {
		return false;
	}
	*ret = n;
	return true;
}

static bool ports(const char *text, uint16_t *ret_first, uint16_t *ret_last)
{
	char first[16];
	const char *dash = strchr(text, '-');
	size_t n = dash == NULL ? strlen(text) : (size_t)(dash - text);
	unsigned long a, b;

	if (n >= sizeof(first)) {
		return false;
	}
	memcpy(first, text, n);
	first[n] = '\0';
	if (!number(first, 65535, &a) || !number(dash == NULL ? first : dash + 1, 65535, &b) ||
	    a > b || b == 0) {
		return false;
	}
	*ret_first = (uint16_t)a;
	*ret_last = (uint16_t)b;
	return true;
}

static bool ip(const char *text, struct vswitch_acl *a, bool local)
{
	char address[64];
	const char *slash = strchr(text, '/');
	size_t n = slash == NULL ? strlen(text) : (size_t)(slash - text);
	uint8_t *to = local ? a->local_ip : a->remote_ip;
	unsigned long prefix;

	if (n >= sizeof(address)) {
		return false;
	}
	memcpy(address, text, n);
	address[n] = '\0';
	uint8_t family = strchr(address, ':') != NULL ? 6 : 4;

	if ((a->family != 0 && a->family != family) ||
	    inet_pton(family == 4 ? AF_INET : AF_INET6, address, to) != 1) {
		return false;
	}
	prefix = family == 4 ? 32 : 128;
	if (slash != NULL && !number(slash + 1, prefix, &prefix)) {
		return false;
	}
	a->family = family;
	*(local ? &a->local_prefix : &a->remote_prefix) = (uint8_t)prefix;
	return true;
}

static bool address(const char *text, struct vswitch_acl *a, bool local)
{
	if (mac_parse(text, local ? a->local_mac : a->remote_mac)) {
		*(local ? &a->has_local_mac : &a->has_remote_mac) = true;
		return true;
	}
	return ip(text, a, local);
}

/* Words that stand alone. */
static const struct {
	const char *word;
	uint16_t ethertype;
	uint8_t protocol;
} kinds[] = {
	{"arp", ETHERTYPE_ARP, 0},    {"ip4", ETHERTYPE_IP4, 0},
	{"ip6", ETHERTYPE_IP6, 0},    {"tcp", 0, IPPROTO_TCP},
	{"udp", 0, IPPROTO_UDP},      {"icmp", ETHERTYPE_IP4, IPPROTO_ICMP},
	{"icmp6", ETHERTYPE_IP6, 58},
};

static bool take_kind(const char *word, struct vswitch_acl *a)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(word, kinds[i].word) == 0) {
			a->ethertype = kinds[i].ethertype != 0 ? kinds[i].ethertype : a->ethertype;
			a->protocol = kinds[i].protocol != 0 ? kinds[i].protocol : a->protocol;
			return true;
		}
	}
	return false;
}

/* A word and its value. */
static bool take_pair(const char *word, const char *value, struct vswitch_acl *a)
{
	unsigned long n;

	if (strcmp(word, "local") == 0 || strcmp(word, "remote") == 0) {
		return address(value, a, word[0] == 'l');
	}
	if (strcmp(word, "local-port") == 0) {
		return ports(value, &a->local_port_first, &a->local_port_last);
	}
	if (strcmp(word, "remote-port") == 0) {
		return ports(value, &a->remote_port_first, &a->remote_port_last);
	}
	if (strcmp(word, "ethertype") == 0 && number(value, 0xffff, &n)) {
		a->ethertype = (uint16_t)n;
		return n >= 0x600;
	}
	if (strcmp(word, "protocol") == 0 && number(value, 255, &n)) {
		a->protocol = (uint8_t)n;
		return n != 0;
	}
	if (strcmp(word, "weight") == 0 && number(value, 65535, &n)) {
		a->weight = (uint32_t)n;
		return true;
	}
	return false;
}

static bool take_action(const char *word, struct vswitch_acl *a)
{
	a->action = strcmp(word, "deny") == 0	 ? VSWITCH_ACL_DENY
		    : strcmp(word, "meter") == 0 ? VSWITCH_ACL_METER
						 : VSWITCH_ACL_ALLOW;
	return a->action != VSWITCH_ACL_ALLOW || strcmp(word, "allow") == 0;
}

static bool take_direction(const char *word, struct vswitch_acl *a)
{
	bool both = strcmp(word, "both") == 0;

	a->in = both || strcmp(word, "in") == 0;
	a->out = both || strcmp(word, "out") == 0;
	return a->in || a->out;
}

bool acl_parse(const char *text, struct vswitch_acl *ret, char *error, size_t size)
{
	struct vswitch_acl a = {0};
	char copy[TEXT_MAX];
	char *words[WORDS_MAX], *save = NULL;
	unsigned count = 0, at = 0;

	if (!text_copy(copy, sizeof(copy), text)) {
		snprintf(error, size, "acl: longer than %u characters", TEXT_MAX - 1);
		return false;
	}
	for (char *w = strtok_r(copy, " ", &save); w != NULL && count < WORDS_MAX;
	     w = strtok_r(NULL, " ", &save)) {
		words[count++] = w;
	}
	bool ok = count >= 2 && take_action(words[0], &a) && take_direction(words[at = 1], &a);

	for (at = ok ? 2 : at; ok && at < count; at++) {
		if (take_kind(words[at], &a)) {
			continue;
		}
		ok = at + 1 < count && take_pair(words[at], words[at + 1], &a);
		at += ok;
	}
	if (!ok) {
		snprintf(error, size, "acl '%s': at '%s'; " ACL_EXPECTED, text,
			 at < count ? words[at] : "the end");
		return false;
	}
	*ret = a;
	return true;
}
