// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "lib/bits.h"
#include "message.h"
#include "option_table.h"

#define VID_MAX 4094u
#define RATE_MAX UINT64_C(1000000000000) /* 1 Tbit/s */
#define PPS_MAX 100000000u

/* The same words for several options. */
#define A_VLAN "a VLAN from 1 to 4094"
#define A_VLAN_OR_NONE A_VLAN ", or 0 for none"
#define ON_OR_OFF "on or off"
#define FRAMES "frames per second, or 0 for no limit"

const struct option_info option_table[] = {
	{"mac", OPTION_MAC, "an address of a single machine, such as 02:00:00:00:00:01"},
	{"vlan", OPTION_NUMBER, A_VLAN_OR_NONE, .vlan = true, .max = VID_MAX},
	{"trunk", OPTION_VLANS, "VLANs from 1 to 4094, such as 10+20-30", .vlan = true},
	{"native", OPTION_NUMBER, A_VLAN_OR_NONE, .vlan = true, .max = VID_MAX},
	{"private", OPTION_WORD, "isolated, community or promiscuous", .vlan = true,
	 .words = {"isolated", "community", "promiscuous"}},
	{"primary", OPTION_NUMBER, A_VLAN, .vlan = true, .min = 1, .max = VID_MAX},
	{"secondary", OPTION_NUMBER, A_VLAN, .vlan = true, .min = 1, .max = VID_MAX},
	{"spoofing", OPTION_FLAG, ON_OR_OFF},
	{"dhcp-guard", OPTION_FLAG, ON_OR_OFF},
	{"router-guard", OPTION_FLAG, ON_OR_OFF},
	{"mirror", OPTION_WORD, "in, out, both, to or none",
	 .words = {"in", "out", "both", "to", "none"}},
	{"max", OPTION_RATE, "bits per second with K, M or G, such as 100M, or 0 for no limit",
	 .max = RATE_MAX},
	{"weight", OPTION_NUMBER, "1 to 100", .min = 1, .max = 100},
	{"broadcast", OPTION_NUMBER, FRAMES, .max = PPS_MAX},
	{"multicast", OPTION_NUMBER, FRAMES, .max = PPS_MAX},
	{"unknown", OPTION_NUMBER, FRAMES, .max = PPS_MAX},
	{"mtu", OPTION_NUMBER, "576 to 9216", .min = 576, .max = NET_MTU_MAX},
	{"link", OPTION_WORD, "up or down", .words = {"up", "down"}},
	{"static", OPTION_MACS,
	 "addresses, with @VLAN where they have one, such as "
	 "02:00:00:00:00:01@10+02:00:00:00:00:02, or none"},
	{"acl", OPTION_ACL, "a rule"},
};

const size_t option_count = ARRAY_LEN(option_table);

const struct option_info *option_find(const char *name, size_t bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(option_table); i++) {
		if (strlen(option_table[i].name) == bytes &&
		    memcmp(option_table[i].name, name, bytes) == 0) {
			return &option_table[i];
		}
	}
	return NULL;
}

bool options_known(const char *key)
{
	return option_find(key, strlen(key)) != NULL;
}

/* Of a single machine. */
static bool mac_is_host(const char *text, uint8_t *ret)
{
	static const uint8_t zero[NET_MAC_BYTES];

	return mac_parse(text, ret) && (ret[0] & 1) == 0 && memcmp(ret, zero, sizeof(zero)) != 0;
}

/* "10+20-30" into bits. */
static bool parse_vlans(const char *text, uint8_t *ret_bits)
{
	uint8_t bits[NET_VIDS / 8] = {0};

	for (;;) {
		char *end;
		unsigned long first, last;

		if (*text < '0' || *text > '9') {
			return false;
		}
		first = last = strtoul(text, &end, 10);
		if (*end == '-' && end[1] >= '0' && end[1] <= '9') {
			last = strtoul(end + 1, &end, 10);
		}
		if (first < 1 || last > VID_MAX || first > last) {
			return false;
		}
		for (unsigned long v = first; v <= last; v++) {
			bits[v / 8] = (uint8_t)(bits[v / 8] | 1u << v % 8);
		}
		if (*end == '\0') {
			memcpy(ret_bits, bits, sizeof(bits));
			return true;
		}
		if (*end != '+') {
			return false;
		}
		text = end + 1;
	}
}

/* One of "ADDRESS[@VLAN]+...". Returns what follows, or NULL. */
static const char *parse_static(const char *text, struct static_mac *ret)
{
	char mac[18] = "";
	char *end;

	if (strlen(text) < sizeof(mac) - 1) {
		return NULL;
	}
	memcpy(mac, text, sizeof(mac) - 1);
	text += sizeof(mac) - 1;
	*ret = (struct static_mac){.vid = 0};
	if (*text == '@') {
		unsigned long vid =
			text[1] >= '0' && text[1] <= '9' ? strtoul(text + 1, &end, 10) : 0;

		if (vid < 1 || vid > VID_MAX) {
			return NULL;
		}
		ret->vid = (uint16_t)vid;
		text = end;
	}
	return mac_is_host(mac, ret->mac) ? text : NULL;
}

static bool parse_statics(const char *text, struct static_mac *ret, unsigned *ret_count)
{
	*ret_count = 0;
	if (strcmp(text, "none") == 0) {
		return true;
	}
	while (*ret_count < STATICS_MAX) {
		text = parse_static(text, &ret[(*ret_count)++]);
		if (text == NULL || *text == '\0') {
			return text != NULL;
		}
		if (*text++ != '+') {
			return false;
		}
	}
	return false;
}

unsigned options_statics(json_t *o, struct static_mac *ret)
{
	const char *text;
	unsigned count = 0;

	return json_text(o, "static", &text) && parse_statics(text, ret, &count) ? count : 0;
}

static bool is_word(const struct option_info *info, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(info->words) && info->words[i] != NULL; i++) {
		if (strcmp(info->words[i], text) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_sound(const struct option_info *info, json_t *v)
{
	const char *text = json_is_string(v) ? json_string_value(v) : "";
	uint8_t bits[NET_VIDS / 8], mac[NET_MAC_BYTES];
	struct static_mac statics[STATICS_MAX];
	unsigned count;

	switch (info->kind) {
	case OPTION_FLAG:
		return json_is_boolean(v);
	case OPTION_NUMBER:
	case OPTION_RATE:
		return json_is_integer(v) && json_integer_value(v) >= 0 &&
		       (uint64_t)json_integer_value(v) >= info->min &&
		       (uint64_t)json_integer_value(v) <= info->max;
	case OPTION_MAC:
		return mac_is_host(text, mac);
	case OPTION_MACS:
		return parse_statics(text, statics, &count);
	case OPTION_VLANS:
		return parse_vlans(text, bits);
	case OPTION_WORD:
		return is_word(info, text);
	case OPTION_ACL:
		return json_is_array(v) && json_array_size(v) <= VSWITCH_ACLS_MAX;
	}
	return false;
}

bool option_check(const struct option_info *info, json_t *v, char *error, size_t size)
{
	char found[64];

	return is_sound(info, v) ||
	       refuse(error, size, "%s=%.60s: expected %s", info->name,
		      json_show(v, "null", found, sizeof(found)), info->expected);
}

struct vlan_words {
	json_t *vlan, *trunk, *native, *private, *primary, *secondary;
};

static uint16_t vid(json_t *v)
{
	return (uint16_t)json_integer_value(v);
}

/* Which words may stand together, and what they mean. */
static bool vlan_config(const struct vlan_words *w, struct vswitch_vlan *ret, char *error,
			size_t size)
{
	if ((w->vlan != NULL) + (w->trunk != NULL) + (w->private != NULL) > 1) {
		return refuse(error, size,
			      "only one of vlan=, trunk= and private= can be; expected vlan= for "
			      "one VLAN, trunk= for several");
	}
	if (w->native != NULL && w->trunk == NULL) {
		return refuse(error, size, "native= is for a trunk; expected trunk= beside it");
	}
	if ((w->primary != NULL || w->secondary != NULL) && w->private == NULL) {
		return refuse(error, size,
			      "primary= and secondary= are for a private VLAN; expected private= "
			      "beside them");
	}
	if (w->trunk != NULL) {
		ret->mode = VSWITCH_VLAN_TRUNK;
		ret->vid = vid(w->native);
		parse_vlans(json_string_value(w->trunk), ret->trunk);
		return true;
	}
	if (w->private == NULL) {
		ret->vid = vid(w->vlan);
		return true;
	}
	const char *text = json_string_value(w->private);
	bool promiscuous = strcmp(text, "promiscuous") == 0;

	ret->mode = VSWITCH_VLAN_PRIVATE;
	ret->private = promiscuous			? VSWITCH_PRIVATE_PROMISCUOUS
		       : strcmp(text, "community") == 0 ? VSWITCH_PRIVATE_COMMUNITY
							: VSWITCH_PRIVATE_ISOLATED;
	ret->vid = vid(w->primary);
	ret->secondary = vid(w->secondary);
	if (ret->vid == 0 || (ret->secondary == 0) != promiscuous || ret->vid == ret->secondary) {
		return refuse(error, size, "private=%s: expected primary=VLAN%s", text,
			      promiscuous ? " and no secondary=" : " and another secondary=VLAN");
	}
	return true;
}

static bool acl_config(json_t *list, struct vswitch_port_config *c, struct vswitch_acl **ret,
		       char *error, size_t size)
{
	size_t n = list == NULL ? 0 : json_array_size(list);
	struct vswitch_acl *acls = n == 0 ? NULL : calloc(n, sizeof(*acls));

	if (n > 0 && acls == NULL) {
		return refuse(error, size, "out of memory");
	}
	for (size_t i = 0; i < n; i++) {
		json_t *v = json_array_get(list, i);

		if (!json_is_string(v)) {
			free(acls);
			return refuse(error, size, "acl: a rule is no text; " ACL_EXPECTED);
		}
		if (!acl_parse(json_string_value(v), &acls[i], error, size)) {
			free(acls);
			return false;
		}
	}
	c->acls = acls;
	c->acl_count = (unsigned)n;
	*ret = acls;
	return true;
}

bool options_link(json_t *o)
{
	const char *text;

	return !json_text(o, "link", &text) || strcmp(text, "down") != 0;
}

static uint32_t mirror_bits(const char *text)
{
	return strcmp(text, "in") == 0	   ? VSWITCH_MIRROR_IN
	       : strcmp(text, "out") == 0  ? VSWITCH_MIRROR_OUT
	       : strcmp(text, "both") == 0 ? VSWITCH_MIRROR_IN | VSWITCH_MIRROR_OUT
	       : strcmp(text, "to") == 0   ? VSWITCH_MIRROR_TO
					   : 0;
}

static uint32_t member(json_t *o, const char *key)
{
	return (uint32_t)json_integer_value(json_object_get(o, key));
}

bool options_config(json_t *o, struct vswitch_port_config *ret, struct vswitch_acl **ret_acls,
		    char *error, size_t size)
{
	struct vswitch_port_config c = {.role = ret->role, .takes = ret->takes};
	const struct vlan_words words = {
		json_object_get(o, "vlan"),    json_object_get(o, "trunk"),
		json_object_get(o, "native"),  json_object_get(o, "private"),
		json_object_get(o, "primary"), json_object_get(o, "secondary")};
	const char *key, *text;
	json_t *value;

	memcpy(c.name, ret->name, sizeof(c.name));
	json_object_foreach(o, key, value)
	{
		const struct option_info *info = option_find(key, strlen(key));

		if (info != NULL && !option_check(info, value, error, size)) {
			return false;
		}
	}
	if (!vlan_config(&words, &c.vlan, error, size)) {
		return false;
	}
	if (json_text(o, "mac", &text)) {
		mac_parse(text, c.mac);
	}
	if (json_text(o, "mirror", &text)) {
		c.mirror = mirror_bits(text);
	}
	c.mtu = member(o, "mtu");
	c.spoofing = json_flag(o, "spoofing");
	c.dhcp_guard = json_flag(o, "dhcp-guard");
	c.router_guard = json_flag(o, "router-guard");
	c.broadcast_pps = member(o, "broadcast");
	c.multicast_pps = member(o, "multicast");
	c.unknown_pps = member(o, "unknown");
	c.max_bps = (uint64_t)json_integer_value(json_object_get(o, "max"));
	c.weight = member(o, "weight");
	if (!acl_config(json_object_get(o, "acl"), &c, ret_acls, error, size)) {
		return false;
	}
	*ret = c;
	return true;
}

void options_merge(json_t *o, json_t *changes)
{
	bool vlan = false;
	const char *key;
	json_t *value;

	json_object_foreach(changes, key, value)
	{
		const struct option_info *info = option_find(key, strlen(key));

		vlan = vlan || (info != NULL && info->vlan);
	}
	for (size_t i = 0; vlan && i < ARRAY_LEN(option_table); i++) {
		if (option_table[i].vlan) {
			json_object_del(o, option_table[i].name);
		}
	}
	json_object_foreach(changes, key, value)
	{
		if (options_known(key)) {
			json_add(o, key, json_deep_copy(value));
		}
	}
}
