// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "lib/bits.h"
#include "message.h"
#include "vswitchd/client.h"

#define VID_MAX 4094u
#define RATE_MAX UINT64_C(1000000000000) /* 1 Tbit/s */
#define PPS_MAX 100000000u

enum option_kind {
	OPTION_FLAG,
	OPTION_NUMBER,
	OPTION_RATE,
	OPTION_MAC,
	OPTION_VLANS,
	OPTION_WORD,
	OPTION_ACL
};

struct option_info {
	const char *name;
	enum option_kind kind;
	bool vlan; /* of the group that changes as one */
	uint64_t min, max;
	const char *words[6];
	const char *expected;
};

static const struct option_info table[] = {
	{"mac",
	 OPTION_MAC,
	 false,
	 0,
	 0,
	 {0},
	 "an address of a single machine, such as 02:00:00:00:00:01"},
	{"vlan", OPTION_NUMBER, true, 0, VID_MAX, {0}, "a VLAN from 1 to 4094, or 0 for none"},
	{"trunk", OPTION_VLANS, true, 0, 0, {0}, "VLANs from 1 to 4094, such as 10+20-30"},
	{"native", OPTION_NUMBER, true, 0, VID_MAX, {0}, "a VLAN from 1 to 4094, or 0 for none"},
	{"private",
	 OPTION_WORD,
	 true,
	 0,
	 0,
	 {"isolated", "community", "promiscuous"},
	 "isolated, community or promiscuous"},
	{"primary", OPTION_NUMBER, true, 1, VID_MAX, {0}, "a VLAN from 1 to 4094"},
	{"secondary", OPTION_NUMBER, true, 1, VID_MAX, {0}, "a VLAN from 1 to 4094"},
	{"spoofing", OPTION_FLAG, false, 0, 0, {0}, "on or off"},
	{"dhcp-guard", OPTION_FLAG, false, 0, 0, {0}, "on or off"},
	{"router-guard", OPTION_FLAG, false, 0, 0, {0}, "on or off"},
	{"mirror",
	 OPTION_WORD,
	 false,
	 0,
	 0,
	 {"in", "out", "both", "to", "none"},
	 "in, out, both, to or none"},
	{"max",
	 OPTION_RATE,
	 false,
	 0,
	 RATE_MAX,
	 {0},
	 "bits per second with K, M or G, such as 100M, or 0 for no limit"},
	{"weight", OPTION_NUMBER, false, 1, 100, {0}, "1 to 100"},
	{"broadcast",
	 OPTION_NUMBER,
	 false,
	 0,
	 PPS_MAX,
	 {0},
	 "frames per second, or 0 for no limit"},
	{"multicast",
	 OPTION_NUMBER,
	 false,
	 0,
	 PPS_MAX,
	 {0},
	 "frames per second, or 0 for no limit"},
	{"unknown", OPTION_NUMBER, false, 0, PPS_MAX, {0}, "frames per second, or 0 for no limit"},
	{"mtu", OPTION_NUMBER, false, 576, NET_MTU_MAX, {0}, "576 to 9216"},
	{"acl", OPTION_ACL, false, 0, 0, {0}, "a rule"},
};

static const struct option_info *find(const char *name, size_t bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strlen(table[i].name) == bytes && memcmp(table[i].name, name, bytes) == 0) {
			return &table[i];
		}
	}
	return NULL;
}

bool options_known(const char *key)
{
	return find(key, strlen(key)) != NULL;
}

/* ---- Text to JSON ---- */

/* How many characters differ between two short words (Levenshtein). */
static unsigned distance(const char *a, size_t a_bytes, const char *b)
{
	unsigned row[32];
	size_t n = strlen(b);

	if (n >= ARRAY_LEN(row) || a_bytes >= ARRAY_LEN(row)) {
		return 99;
	}
	for (unsigned j = 0; j <= n; j++) {
		row[j] = j;
	}
	for (unsigned i = 1; i <= a_bytes; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= n; j++) {
			unsigned best = corner + (a[i - 1] != b[j - 1]);

			corner = row[j];
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
		}
	}
	return row[n];
}

static bool unknown_option(const char *name, size_t bytes, char *error, size_t size)
{
	const struct option_info *near = NULL;
	unsigned best = 3;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		unsigned d = distance(name, bytes, table[i].name);

		if (d < best) {
			best = d;
			near = &table[i];
		}
	}
	return near != NULL
		       ? refuse(error, size, "'%.*s' is not an option; did you mean '%s'?",
				(int)bytes, name, near->name)
		       : refuse(error, size,
				"'%.*s' is not an option; expected mac=, vlan=, trunk=, native=, "
				"private=, primary=, secondary=, spoofing, dhcp-guard, "
				"router-guard, mirror=, max=, weight=, broadcast=, multicast=, "
				"unknown=, mtu=, acl=",
				(int)bytes, name);
}

static bool parse_number(const char *text, bool units, uint64_t *ret)
{
	char *end;
	uint64_t scale = 1;
	unsigned long long n;

	if (text[0] < '0' || text[0] > '9' || strlen(text) > 18) {
		return false;
	}
	n = strtoull(text, &end, 10);
	if (units && *end != '\0') {
		scale = *end == 'K' || *end == 'k' ? 1000
			: *end == 'M'		   ? 1000000
			: *end == 'G'		   ? 1000000000
						   : 0;
		end += scale != 0;
	}
	if (*end != '\0' || scale == 0 || n > UINT64_MAX / scale) {
		return false;
	}
	*ret = n * scale;
	return true;
}

static bool add_acl(const char *value, struct json_object *o, char *error, size_t size)
{
	struct json_object *list;
	struct vswitch_acl a;

	if (!json_object_object_get_ex(o, "acl", &list)) {
		list = json_object_new_array();
		json_object_object_add(o, "acl", list);
	}
	if (strcmp(value, "none") == 0) {
		return true;
	}
	if (!acl_parse(value, &a, error, size)) {
		return false;
	}
	if (json_object_array_length(list) >= VSWITCH_ACLS_MAX) {
		return refuse(error, size, "acl: more than %u rules", VSWITCH_ACLS_MAX);
	}
	return json_object_array_add(list, json_object_new_string(value)) == 0;
}

static struct json_object *value_json(const struct option_info *info, const char *value)
{
	uint64_t n;

	switch (info->kind) {
	case OPTION_FLAG:
		return value == NULL || strcmp(value, "on") == 0 ? json_object_new_boolean(true)
		       : strcmp(value, "off") == 0		 ? json_object_new_boolean(false)
								 : NULL;
	case OPTION_NUMBER:
	case OPTION_RATE:
		return parse_number(value, info->kind == OPTION_RATE, &n)
			       ? json_object_new_uint64(n)
			       : NULL;
	case OPTION_MAC:
	case OPTION_VLANS:
	case OPTION_WORD:
	case OPTION_ACL:
		break;
	}
	return json_object_new_string(value);
}

/* ---- JSON to meaning ---- */

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

static bool is_word(const struct option_info *info, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(info->words) && info->words[i] != NULL; i++) {
		if (strcmp(info->words[i], text) == 0) {
			return true;
		}
	}
	return false;
}

static bool is_sound(const struct option_info *info, struct json_object *v)
{
	const char *text =
		json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
	uint8_t bits[NET_VIDS / 8], mac[NET_MAC_BYTES];
	static const uint8_t zero[NET_MAC_BYTES];

	switch (info->kind) {
	case OPTION_FLAG:
		return json_object_is_type(v, json_type_boolean);
	case OPTION_NUMBER:
	case OPTION_RATE:
		return json_object_is_type(v, json_type_int) && json_object_get_int64(v) >= 0 &&
		       json_object_get_uint64(v) >= info->min &&
		       json_object_get_uint64(v) <= info->max;
	case OPTION_MAC:
		return mac_parse(text, mac) && (mac[0] & 1) == 0 &&
		       memcmp(mac, zero, sizeof(mac)) != 0;
	case OPTION_VLANS:
		return parse_vlans(text, bits);
	case OPTION_WORD:
		return is_word(info, text);
	case OPTION_ACL:
		return json_object_is_type(v, json_type_array) &&
		       json_object_array_length(v) <= VSWITCH_ACLS_MAX;
	}
	return false;
}

static bool check(const struct option_info *info, struct json_object *v, char *error, size_t size)
{
	return is_sound(info, v) ||
	       refuse(error, size, "%s=%.60s: expected %s", info->name,
		      json_object_is_type(v, json_type_null) ? "null" : json_object_get_string(v),
		      info->expected);
}

bool options_take(const char *text, struct json_object *o, char *error, size_t size)
{
	const char *equals = strchr(text, '=');
	size_t bytes = equals == NULL ? strlen(text) : (size_t)(equals - text);
	const struct option_info *info = find(text, bytes);

	if (info == NULL) {
		return unknown_option(text, bytes, error, size);
	}
	if (equals == NULL && info->kind != OPTION_FLAG) {
		return refuse(error, size, "%s needs a value: %s=..., %s", info->name, info->name,
			      info->expected);
	}
	if (info->kind == OPTION_ACL) {
		return add_acl(equals + 1, o, error, size);
	}
	if (json_object_object_get_ex(o, info->name, NULL)) {
		return refuse(error, size, "%s is given twice", info->name);
	}
	struct json_object *v = value_json(info, equals == NULL ? NULL : equals + 1);

	if (v == NULL) {
		return refuse(error, size, "%s=%s: expected %s", info->name, equals + 1,
			      info->expected);
	}
	bool ok = check(info, v, error, size);

	if (ok) {
		json_object_object_add(o, info->name, v);
	} else {
		json_object_put(v);
	}
	return ok;
}

struct vlan_words {
	struct json_object *vlan, *trunk, *native, *private, *primary, *secondary;
};

static uint16_t vid(struct json_object *v)
{
	return v == NULL ? 0 : (uint16_t)json_object_get_int(v);
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
		parse_vlans(json_object_get_string(w->trunk), ret->trunk);
		return true;
	}
	if (w->private == NULL) {
		ret->vid = vid(w->vlan);
		return true;
	}
	const char *text = json_object_get_string(w->private);
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

static bool acl_config(struct json_object *list, struct vswitch_port_config *c,
		       struct vswitch_acl **ret, char *error, size_t size)
{
	size_t n = list == NULL ? 0 : json_object_array_length(list);
	struct vswitch_acl *acls = n == 0 ? NULL : calloc(n, sizeof(*acls));

	if (n > 0 && acls == NULL) {
		return refuse(error, size, "out of memory");
	}
	for (size_t i = 0; i < n; i++) {
		struct json_object *v = json_object_array_get_idx(list, i);

		if (!json_object_is_type(v, json_type_string)) {
			free(acls);
			return refuse(error, size, "acl: a rule is no text; " ACL_EXPECTED);
		}
		if (!acl_parse(json_object_get_string(v), &acls[i], error, size)) {
			free(acls);
			return false;
		}
	}
	c->acls = acls;
	c->acl_count = (unsigned)n;
	*ret = acls;
	return true;
}

static uint32_t mirror_bits(const char *text)
{
	return strcmp(text, "in") == 0	   ? VSWITCH_MIRROR_IN
	       : strcmp(text, "out") == 0  ? VSWITCH_MIRROR_OUT
	       : strcmp(text, "both") == 0 ? VSWITCH_MIRROR_IN | VSWITCH_MIRROR_OUT
	       : strcmp(text, "to") == 0   ? VSWITCH_MIRROR_TO
					   : 0;
}

static uint32_t member(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) ? (uint32_t)json_object_get_uint64(v) : 0;
}

static bool flag(struct json_object *o, const char *key)
{
	struct json_object *v;

	return json_object_object_get_ex(o, key, &v) && json_object_get_boolean(v);
}

static struct json_object *get(struct json_object *o, const char *key)
{
	struct json_object *v = NULL;

	json_object_object_get_ex(o, key, &v);
	return v;
}

bool options_config(struct json_object *o, struct vswitch_port_config *ret,
		    struct vswitch_acl **ret_acls, char *error, size_t size)
{
	struct vswitch_port_config c = {.role = ret->role, .takes = ret->takes};
	const struct vlan_words words = {get(o, "vlan"),    get(o, "trunk"),   get(o, "native"),
					 get(o, "private"), get(o, "primary"), get(o, "secondary")};

	memcpy(c.name, ret->name, sizeof(c.name));
	json_object_object_foreach(o, key, value)
	{
		const struct option_info *info = find(key, strlen(key));

		if (info != NULL && !check(info, value, error, size)) {
			return false;
		}
	}
	if (!vlan_config(&words, &c.vlan, error, size)) {
		return false;
	}
	if (get(o, "mac") != NULL) {
		mac_parse(json_object_get_string(get(o, "mac")), c.mac);
	}
	if (get(o, "mirror") != NULL) {
		c.mirror = mirror_bits(json_object_get_string(get(o, "mirror")));
	}
	c.mtu = member(o, "mtu");
	c.spoofing = flag(o, "spoofing");
	c.dhcp_guard = flag(o, "dhcp-guard");
	c.router_guard = flag(o, "router-guard");
	c.broadcast_pps = member(o, "broadcast");
	c.multicast_pps = member(o, "multicast");
	c.unknown_pps = member(o, "unknown");
	c.max_bps = get(o, "max") == NULL ? 0 : json_object_get_uint64(get(o, "max"));
	c.weight = member(o, "weight");
	if (!acl_config(get(o, "acl"), &c, ret_acls, error, size)) {
		return false;
	}
	*ret = c;
	return true;
}

void options_merge(struct json_object *o, struct json_object *changes)
{
	bool vlan = false;

	json_object_object_foreach(changes, name, unused)
	{
		const struct option_info *info = find(name, strlen(name));

		(void)unused;
		vlan = vlan || (info != NULL && info->vlan);
	}
	for (size_t i = 0; vlan && i < ARRAY_LEN(table); i++) {
		if (table[i].vlan) {
			json_object_object_del(o, table[i].name);
		}
	}
	json_object_object_foreach(changes, key, value)
	{
		if (options_known(key)) {
			json_object_object_add(o, key, json_object_get(value));
		}
	}
}

/* ---- SWITCH[,option...] ---- */

/* Copies up to a single comma; two commas are one in the text. Returns what follows, or NULL. */
static const char *take_piece(const char *text, char *piece, size_t size)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		if (*text == ',' && *++text != ',') {
			break;
		}
		if (n + 1 >= size) {
			return NULL;
		}
		piece[n++] = *text;
	}
	piece[n] = '\0';
	return text;
}

struct json_object *vswitch_client_parse(const char *text, char *error, size_t size)
{
	struct json_object *o = json_object_new_object();
	struct vswitch_port_config config = {0};
	struct vswitch_acl *acls = NULL;
	char piece[512], why[512];
	const char *at = take_piece(text, piece, sizeof(piece));
	bool ok = at != NULL && piece[0] != '\0' && strlen(piece) < VSWITCH_NAME_BYTES;

	if (!ok) {
		snprintf(error, size,
			 "'%.80s': no switch's name of 1 to %u characters; expected "
			 "SWITCH[,option...], such as default or lan,vlan=10",
			 text, VSWITCH_NAME_BYTES - 1);
	} else {
		json_object_object_add(o, "switch", json_object_new_string(piece));
	}
	/* A comma at the end ends nothing. */
	while (ok && *at != '\0') {
		at = take_piece(at, piece, sizeof(piece));
		ok = at != NULL;
		if (!ok) {
			snprintf(error, size, "'%.80s': an option is too long", text);
		} else if (piece[0] != '\0' && !options_take(piece, o, why, sizeof(why))) {
			snprintf(error, size, "'%.80s': %s", text, why);
			ok = false;
		}
	}
	if (ok && !options_config(o, &config, &acls, why, sizeof(why))) {
		snprintf(error, size, "'%.80s': %s", text, why);
		ok = false;
	}
	free(acls);
	if (!ok) {
		json_object_put(o);
		return NULL;
	}
	return o;
}
