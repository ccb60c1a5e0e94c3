// SPDX-License-Identifier: Apache-2.0
#include "vswitchd/config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"
#include "message.h"

#define AGING_MAX 1000000

static const char *const type_names[] = {
	[SWITCH_NAT] = "nat",
	[SWITCH_PRIVATE] = "private",
	[SWITCH_INTERNAL] = "internal",
	[SWITCH_EXTERNAL] = "external",
};

const char *switch_type_text(enum switch_type type)
{
	return type_names[type];
}

bool switch_address_parse(const char *text, int *ret_family, uint8_t *ret_address,
			  unsigned *ret_prefix)
{
	char address[64];
	uint8_t bytes[16];
	const char *slash = strchr(text, '/');
	char *end;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(address) || slash[1] < '0' ||
	    slash[1] > '9') {
		return false;
	}
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	unsigned long prefix = strtoul(slash + 1, &end, 10);
	int family = inet_pton(AF_INET, address, bytes) == 1	? 4
		     : inet_pton(AF_INET6, address, bytes) == 1 ? 6
								: 0;

	if (family == 0 || *end != '\0' || prefix > (family == 4 ? 32 : 128)) {
		return false;
	}
	memcpy(ret_address, bytes, family == 4 ? 4 : 16);
	*ret_family = family;
	*ret_prefix = (unsigned)prefix;
	return true;
}

/* What appears in commands, paths of nothing, and lines: no blanks, no control characters. */
static bool check_name(const char *name, char *error, size_t size)
{
	size_t n = strlen(name);

	if (n == 0 || n >= VSWITCH_NAME_BYTES) {
		return refuse(error, size, "switch name '%.80s': %zu characters; expected 1 to %u",
			      name, n, VSWITCH_NAME_BYTES - 1);
	}
	for (const char *p = name; *p != '\0'; p++) {
		if ((unsigned char)*p <= ' ' || *p == 0x7f || *p == '/') {
			return refuse(error, size,
				      "switch name '%s': expected no blanks, control characters or "
				      "slashes",
				      name);
		}
	}
	if (strcmp(name, "none") == 0) {
		return refuse(
			error, size,
			"switch name 'none': means no switch (virid run --net none); expected "
			"another name");
	}
	return name[0] != '-' || refuse(error, size, "switch name '%s' begins with '-'", name);
}

static bool check_interface(const char *name, char *error, size_t size)
{
	size_t n = strlen(name);

	if (n == 0 || n >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    strpbrk(name, "/: \t\n%") != NULL) {
		return refuse(error, size,
			      "interface '%.80s': not an interface's name; expected 1 to %d "
			      "characters without blanks, '/', ':' and '%%'",
			      name, IFNAMSIZ - 1);
	}
	return true;
}

static bool check_interfaces(const struct switch_config *c, char *error, size_t size)
{
	static const struct {
		unsigned min, max;
		const char *expected;
	} counts[] = {
		[SWITCH_NAT] = {0, 0, "none for a NAT switch"},
		[SWITCH_PRIVATE] = {0, 0, "none for a private switch"},
		[SWITCH_INTERNAL] = {1, 1, "one for an internal switch"},
		[SWITCH_EXTERNAL] = {1, VSWITCH_UPLINKS_MAX, "1 to 8 for an external switch"},
	};

	if (c->interface_count < counts[c->type].min || c->interface_count > counts[c->type].max) {
		return refuse(error, size, "switch '%s': %u interfaces; expected %s", c->name,
			      c->interface_count, counts[c->type].expected);
	}
	for (unsigned i = 0; i < c->interface_count; i++) {
		if (!check_interface(c->interfaces[i], error, size)) {
			return false;
		}
		for (unsigned j = 0; j < i; j++) {
			if (strcmp(c->interfaces[i], c->interfaces[j]) == 0) {
				return refuse(error, size,
					      "switch '%s': interface '%s' is named twice", c->name,
					      c->interfaces[i]);
			}
		}
	}
	return true;
}

/* Of a NAT switch: 256 addresses, the first of them named. */
static bool check_network(const struct switch_config *c, char *error, size_t size)
{
	uint8_t a[16];
	unsigned prefix;
	int family;

	return (switch_address_parse(c->address, &family, a, &prefix) && family == 4 &&
		prefix == 24 && a[3] == 0 && a[0] != 0 && a[0] != 127 && a[0] < 224) ||
	       refuse(error, size,
		      "switch '%s': network '%s'; expected one of 256 addresses for a NAT switch, "
		      "such as 10.0.3.0/24",
		      c->name, c->address);
}

bool switch_config_check(const struct switch_config *c, char *error, size_t size)
{
	uint8_t address[16];
	unsigned prefix;
	int family;

	if (!check_name(c->name, error, size) || !check_interfaces(c, error, size)) {
		return false;
	}
	if (c->type == SWITCH_NAT) {
		return check_network(c, error, size);
	}
	if (c->address[0] != '\0' && c->type != SWITCH_INTERNAL) {
		return refuse(error, size,
			      "switch '%s': an address, but its type is %s; expected one only for "
			      "an internal switch, where it is the host's, or a NAT switch, where "
			      "it is the network's",
			      c->name, switch_type_text(c->type));
	}
	if (c->address[0] != '\0' && !switch_address_parse(c->address, &family, address, &prefix)) {
		return refuse(error, size,
			      "switch '%s': address '%s'; expected one with its prefix, such as "
			      "10.0.0.1/24 or fd00::1/64",
			      c->name, c->address);
	}
	return true;
}

static bool parse_type(const char *text, struct switch_config *c, char *error, size_t size)
{
	for (unsigned i = SWITCH_NAT; i <= SWITCH_EXTERNAL; i++) {
		if (strcmp(text, type_names[i]) == 0) {
			c->type = (enum switch_type)i;
			return true;
		}
	}
	return refuse(error, size,
		      "switch '%s': type '%.40s'; expected private, internal, external or nat",
		      c->name, text);
}

static bool parse_interfaces(json_t *list, struct switch_config *c, char *error, size_t size)
{
	size_t n = json_is_array(list) ? json_array_size(list) : SIZE_MAX;

	if (n > VSWITCH_UPLINKS_MAX) {
		return refuse(error, size, "switch '%s': interfaces: expected a list of at most %u",
			      c->name, VSWITCH_UPLINKS_MAX);
	}
	for (size_t i = 0; i < n; i++) {
		json_t *v = json_array_get(list, i);
		const char *name = json_is_string(v) ? json_string_value(v) : "";

		if (!check_interface(name, error, size)) {
			return false;
		}
		text_copy(c->interfaces[c->interface_count++], IFNAMSIZ, name);
	}
	return true;
}

static bool parse_member(const char *key, json_t *v, struct switch_config *c, char *error,
			 size_t size)
{
	const char *text = json_string_value(v);

	if (strcmp(key, "name") == 0) {
		return true; /* came first */
	}
	if (strcmp(key, "interfaces") == 0) {
		return parse_interfaces(v, c, error, size);
	}
	if (strcmp(key, "type") == 0 && text != NULL) {
		return parse_type(text, c, error, size);
	}
	if (strcmp(key, "team") == 0 && text != NULL) {
		c->team = strcmp(text, "standby") == 0 ? VSWITCH_TEAM_STANDBY : VSWITCH_TEAM_HASH;
		return strcmp(text, "standby") == 0 || strcmp(text, "hash") == 0 ||
		       refuse(error, size, "switch '%s': team '%.40s'; expected hash or standby",
			      c->name, text);
	}
	if (strcmp(key, "aging") == 0 && json_is_integer(v)) {
		json_int_t seconds = json_integer_value(v);

		c->aging_seconds = (uint32_t)seconds;
		return (seconds >= 1 && seconds <= AGING_MAX) ||
		       refuse(error, size, "switch '%s': aging %lld; expected 1 to %d seconds",
			      c->name, (long long)seconds, AGING_MAX);
	}
	if (strcmp(key, "snooping") == 0 && json_is_boolean(v)) {
		c->no_snooping = !json_is_true(v);
		return true;
	}
	if (strcmp(key, "address") == 0 && text != NULL &&
	    text_copy(c->address, sizeof(c->address), text)) {
		return true;
	}
	return refuse(error, size,
		      "switch '%s': '%.40s' is not known or not of its kind; expected name, type, "
		      "interfaces, team, address, aging, snooping",
		      c->name, key);
}

bool switch_config_parse(json_t *o, struct switch_config *ret, char *error, size_t size)
{
	struct switch_config c = {.type = SWITCH_NAT};
	const char *name, *key;
	json_t *value;

	if (!json_is_object(o) || !json_text(o, "name", &name)) {
		return refuse(error, size, "a switch has no name");
	}
	if (!check_name(name, error, size)) {
		return false;
	}
	text_copy(c.name, sizeof(c.name), name);
	json_object_foreach(o, key, value)
	{
		if (!parse_member(key, value, &c, error, size)) {
			return false;
		}
	}
	if (json_object_get(o, "type") == NULL) {
		return refuse(error, size,
			      "switch '%s': no type; expected private, internal, external or nat",
			      c.name);
	}
	if (strcmp(c.name, SWITCH_DEFAULT) == 0) {
		return refuse(error, size,
			      "'%s' is the switch that is always there; choose another name",
			      c.name);
	}
	if (!switch_config_check(&c, error, size)) {
		return false;
	}
	*ret = c;
	return true;
}

json_t *switch_config_json(const struct switch_config *c)
{
	json_t *o = json_object();

	json_add_text(o, "name", c->name);
	json_add_text(o, "type", switch_type_text(c->type));
	if (c->interface_count > 0) {
		json_t *list = json_array();

		for (unsigned i = 0; i < c->interface_count; i++) {
			json_append(list, json_new_text(c->interfaces[i]));
		}
		json_add(o, "interfaces", list);
	}
	if (c->type == SWITCH_EXTERNAL) {
		json_add_text(o, "team", c->team == VSWITCH_TEAM_STANDBY ? "standby" : "hash");
	}
	if (c->address[0] != '\0') {
		json_add_text(o, "address", c->address);
	}
	if (c->aging_seconds != 0) {
		json_add_number(o, "aging", c->aging_seconds);
	}
	if (c->no_snooping) {
		json_add_flag(o, "snooping", false);
	}
	return o;
}
