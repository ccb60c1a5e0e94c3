// SPDX-License-Identifier: Apache-2.0
#include "adapter_text.h"

#include <stdio.h>
#include <string.h>

/* What an adapter may have beside "number", "name" and "switch", by the names of `virid run --net`. */
static const char *const port_options[] = {
	"mac",	     "vlan",	   "trunk",	   "native", "private", "primary", "secondary",
	"spoofing",  "dhcp-guard", "router-guard", "mirror", "max",	"weight",  "broadcast",
	"multicast", "unknown",	   "mtu",	   "link",   "acl",
};

struct text {
	char *at;
	size_t left;
	bool full;
};

static void put(struct text *t, const char *s, bool double_commas)
{
	for (; *s != '\0'; s++) {
		size_t n = *s == ',' && double_commas ? 2 : 1;

		if (t->left <= n) {
			t->full = true;
			return;
		}
		memset(t->at, *s, n);
		t->at += n;
		t->left -= n;
	}
	*t->at = '\0';
}

static void put_option(struct text *t, const char *key, const char *value)
{
	put(t, ",", false);
	put(t, key, false);
	if (value != NULL) {
		put(t, "=", false);
		put(t, value, true);
	}
}

static bool put_value(struct text *t, const char *key, const json_t *value)
{
	char number[32];

	switch (json_typeof(value)) {
	case JSON_STRING:
		if (json_string_length(value) > 0) {
			put_option(t, key, json_string_value(value));
		}
		return true;
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(value));
		put_option(t, key, number);
		return true;
	case JSON_TRUE:
		put_option(t, key, NULL);
		return true;
	case JSON_FALSE:
	case JSON_NULL:
		return true;
	case JSON_OBJECT:
	case JSON_ARRAY:
	case JSON_REAL:
		break;
	}
	return false;
}

/* A list stands for the option several times. */
static bool put_member(struct text *t, const char *key, const json_t *value)
{
	if (!json_is_array(value)) {
		return put_value(t, key, value);
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		if (!json_is_string(json_array_get(value, i)) ||
		    !put_value(t, key, json_array_get(value, i))) {
			return false;
		}
	}
	return true;
}

bool adapter_text(const json_t *adapter, char ret[ADAPTER_TEXT_BYTES], char *error, size_t size)
{
	struct text t = {ret, ADAPTER_TEXT_BYTES, false};
	const char *name = json_string_value(json_object_get(adapter, "switch"));
	bool connected = name != NULL && name[0] != '\0';

	put(&t, connected ? name : "none", true);
	for (size_t i = 0; i < sizeof(port_options) / sizeof(port_options[0]); i++) {
		const json_t *value = json_object_get(adapter, port_options[i]);

		/* Without a switch the address is all that counts; the rest is kept for the next one. */
		if (value == NULL || (!connected && strcmp(port_options[i], "mac") != 0)) {
			continue;
		}
		if (!put_member(&t, port_options[i], value)) {
			snprintf(error, size, "%s: expected text, a whole number, true or false",
				 port_options[i]);
			return false;
		}
	}
	if (t.full) {
		snprintf(error, size, "its options are longer than %u bytes", ADAPTER_TEXT_BYTES);
		return false;
	}
	return true;
}
