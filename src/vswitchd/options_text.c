// SPDX-License-Identifier: Apache-2.0
/* Options as people write them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "lib/bits.h"
#include "message.h"
#include "option_table.h"
#include "vswitchd/client.h"
#include "json/json.h"

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

	for (size_t i = 0; i < option_count; i++) {
		unsigned d = distance(name, bytes, option_table[i].name);

		if (d < best) {
			best = d;
			near = &option_table[i];
		}
	}
	return near != NULL
		       ? refuse(error, size, "'%.*s' is not an option; did you mean '%s'?",
				(int)bytes, name, near->name)
		       : refuse(error, size,
				"'%.*s' is not an option; expected mac=, vlan=, trunk=, native=, "
				"private=, primary=, secondary=, spoofing, dhcp-guard, "
				"router-guard, mirror=, max=, weight=, broadcast=, multicast=, "
				"unknown=, mtu=, link=, static=, acl=",
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

static bool add_acl(const char *value, json_t *o, char *error, size_t size)
{
	json_t *list = json_object_get(o, "acl");
	struct vswitch_acl a;

	if (list == NULL) {
		list = json_array();
		json_add(o, "acl", list);
	}
	if (strcmp(value, "none") == 0) {
		return true;
	}
	if (!acl_parse(value, &a, error, size)) {
		return false;
	}
	if (json_array_size(list) >= VSWITCH_ACLS_MAX) {
		return refuse(error, size, "acl: more than %u rules", VSWITCH_ACLS_MAX);
	}
	json_append(list, json_new_text(value));
	return true;
}

static json_t *value_json(const struct option_info *info, const char *value)
{
	uint64_t n;

	switch (info->kind) {
	case OPTION_FLAG:
		return value == NULL || strcmp(value, "on") == 0 ? json_boolean(true)
		       : strcmp(value, "off") == 0		 ? json_boolean(false)
								 : NULL;
	case OPTION_NUMBER:
	case OPTION_RATE:
		return parse_number(value, info->kind == OPTION_RATE, &n) ? json_new_number(n)
									  : NULL;
	case OPTION_MAC:
	case OPTION_VLANS:
	case OPTION_MACS:
	case OPTION_WORD:
	case OPTION_ACL:
		break;
	}
	return json_new_text(value);
}

bool options_take(const char *text, json_t *o, char *error, size_t size)
{
	const char *equals = strchr(text, '=');
	size_t bytes = equals == NULL ? strlen(text) : (size_t)(equals - text);
	const struct option_info *info = option_find(text, bytes);

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
	if (json_object_get(o, info->name) != NULL) {
		return refuse(error, size, "%s is given twice", info->name);
	}
	json_t *v = value_json(info, equals == NULL ? NULL : equals + 1);

	if (v == NULL) {
		return refuse(error, size, "%s=%s: expected %s", info->name, equals + 1,
			      info->expected);
	}
	bool ok = option_check(info, v, error, size);

	if (ok) {
		json_add(o, info->name, v);
	} else {
		json_decref(v);
	}
	return ok;
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

json_t *vswitch_client_parse(const char *text, char *error, size_t size)
{
	json_t *o = json_object();
	struct vswitch_port_config config = {0};
	struct vswitch_acl *acls = NULL;
	char piece[2048], why[512]; /* sixty-four addresses and their VLANs */
	const char *at = take_piece(text, piece, sizeof(piece));
	bool ok = at != NULL && piece[0] != '\0' && strlen(piece) < VSWITCH_NAME_BYTES;

	if (!json_is_utf8(text)) {
		snprintf(error, size, "'%.80s': not UTF-8; expected names and options in UTF-8",
			 text);
		ok = false;
	} else if (!ok) {
		snprintf(error, size,
			 "'%.80s': no switch's name of 1 to %u characters; expected "
			 "SWITCH[,option...], such as default or lan,vlan=10",
			 text, VSWITCH_NAME_BYTES - 1);
	} else {
		json_add_text(o, "switch", piece);
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
		json_decref(o);
		return NULL;
	}
	return o;
}
