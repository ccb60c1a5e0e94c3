// SPDX-License-Identifier: Apache-2.0
/* What options mean: members of the request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "manage.h"

static bool is_choice(const char *choices, const char *text)
{
	size_t n = strlen(text);

	for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
		at += at != choices;
		if (strncmp(at, text, n) == 0 && (at[n] == '|' || at[n] == '\0') && n != 0) {
			return true;
		}
	}
	return false;
}

static json_t *number_of(const struct manage_call *c, const struct manage_option *o,
			 const char *text)
{
	uint64_t value;
	bool ok = o->kind == OPTION_SIZE     ? parse_size(text, o->bare_mib, &value)
		  : o->kind == OPTION_NUMBER ? parse_count(text, &value)
					     : parse_duration_ns(text, &value);

	if (!ok || value > INT64_MAX) {
		manage_usage(c, "--%s: '%s' is not %s", o->name, text,
			     o->kind == OPTION_SIZE	? "a size such as 512M or 20G"
			     : o->kind == OPTION_NUMBER ? "a number"
							: "a time such as 90, 5m or 1h");
		return NULL;
	}
	if (o->kind == OPTION_DURATION) {
		value /= 1000000000u;
	}
	return json_new_number(value);
}

json_t *manage_text(const char *text)
{
	if (!json_is_utf8(text)) {
		complain("'%s' is not UTF-8, and the service takes nothing else", text);
		return NULL;
	}
	return json_new_text(text);
}

json_t *manage_absolute(const char *path)
{
	char *folder = path[0] == '/' ? NULL : realpath(".", NULL), *whole;
	json_t *o;

	if (folder == NULL) {
		return manage_text(path);
	}
	if (asprintf(&whole, "%s/%s", folder, path) < 0) {
		abort();
	}
	o = manage_text(whole);
	free(whole);
	free(folder);
	return o;
}

static json_t *text_of_file(const struct manage_call *c, const struct manage_option *o,
			    const char *path)
{
	static const size_t max = (size_t)1 << 20;
	FILE *f = fopen(path, "re");
	char *text = malloc(max);
	json_t *value = NULL;

	CHECK(text != NULL);
	if (f == NULL) {
		complain("%s: --%s: %s: %m", c->shown_as, o->name, path);
	} else {
		value = json_stringn(text, fread(text, 1, max, f));
		fclose(f);
		if (value == NULL) {
			complain("%s: --%s: %s is not UTF-8 text", c->shown_as, o->name, path);
		}
	}
	free(text);
	return value;
}

/* What @text means for the request; NULL after a message. */
static json_t *value_of(const struct manage_call *c, const struct manage_option *o,
			const char *text)
{
	switch (o->kind) {
	case OPTION_SIZE:
	case OPTION_NUMBER:
	case OPTION_DURATION:
		return number_of(c, o, text);
	case OPTION_CHOICE:
		if (!is_choice(o->choices, text)) {
			manage_usage(c, "--%s: '%s' is not one of %s", o->name, text, o->choices);
			return NULL;
		}
		return manage_text(text);
	case OPTION_FLAG:
		return o->choices == NULL ? json_boolean(true) : json_new_text(o->choices);
	case OPTION_PATH:
		return manage_absolute(text);
	case OPTION_FILE:
		return text_of_file(c, o, text);
	case OPTION_TEXT:
	case OPTION_FUNCTION:
	case OPTION_QUERY:
	case OPTION_OURS:
		break;
	}
	return manage_text(text);
}

json_t *manage_body(struct manage_call *c)
{
	if (c->body == NULL) {
		c->body = json_object();
	}
	return c->body;
}

bool manage_put(struct manage_call *c, const char *member, json_t *value)
{
	if (value != NULL) {
		member_set(manage_body(c), member, value);
	}
	return value != NULL;
}

bool manage_option_apply(struct manage_call *c, size_t i, const char *text)
{
	const struct manage_option *o = &c->verb->options[i];

	c->values[i] = text;
	if (o->kind == OPTION_OURS) {
		return true;
	}
	if (o->kind == OPTION_FUNCTION) {
		return o->apply(manage_body(c), text);
	}
	if (o->kind == OPTION_QUERY) {
		size_t used = strlen(c->query);

		snprintf(c->query + used, sizeof(c->query) - used, "%c%s=1", used == 0 ? '?' : '&',
			 o->member);
		return true;
	}
	return manage_put(c, o->member, value_of(c, o, text));
}
