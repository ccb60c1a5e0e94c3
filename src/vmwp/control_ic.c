// SPDX-License-Identifier: Apache-2.0
/* Requests to the guest, through its integration components. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_connection.h"
#include "control_ic.h"
#include "ic.h"

#define NS_PER_S UINT64_C(1000000000)
#define HOLD_S 60u	/* a freeze, unless somebody says otherwise */
#define HOLD_MAX_S 900u /* Linux gives up after as long */
#define ESCAPED_BYTES 8192u

void control_ic_answered(struct connection *c, enum vsp_ic_result result, uint32_t status)
{
	char why[100];

	switch (result) {
	case VSP_IC_DONE:
		control_done(c, NULL);
		break;
	case VSP_IC_REFUSED:
		snprintf(why, sizeof(why), "the guest refused (status 0x%08" PRIx32 ")", status);
		control_done(c, why);
		break;
	case VSP_IC_TIMEOUT:
		control_done(c, "the guest does not answer");
		break;
	case VSP_IC_GONE:
	default:
		control_done(c, "the guest's component ended, or broke its protocol");
		break;
	}
}

static void guest_answered(void *ctx, enum vsp_ic_result result, uint32_t status)
{
	control_ic_answered(ctx, result, status);
}

static struct vsp_ic_done answer_to(struct connection *c)
{
	const struct vsp_ic_done done = {.fn = guest_answered, .ctx = c};

	return done;
}

/* @why NULL: the guest's answer is waited for. */
static bool asked(struct connection *c, const char *why)
{
	c->busy = why == NULL;
	return why == NULL || control_refuse(c, why);
}

/* What stands behind @name=; NULL: there is no such option. */
static const char *value_of(const struct control_request *q, const char *name)
{
	size_t n = strlen(name);

	for (char *o = NULL; (o = control_option(q, o)) != NULL;) {
		if (strncmp(o, name, n) == 0 && o[n] == '=') {
			return o + n + 1;
		}
	}
	return NULL;
}

/* A number up to @max; *ret keeps its value when there is no such option. */
static bool number_of(const struct control_request *q, const char *name, uint32_t max,
		      uint32_t *ret)
{
	const char *text = value_of(q, name);
	char *end;

	if (text == NULL) {
		return true;
	}
	unsigned long long n = strtoull(text, &end, 0);

	if (end == text || *end != '\0' || *text == '-' || n > max) {
		return false;
	}
	*ret = (uint32_t)n;
	return true;
}

/* ---- Shutdown ---- */

static bool shut_down(struct connection *c, const struct control_request *q)
{
	bool restart = control_has(q, "--reboot"), hibernate = control_has(q, "--hibernate");
	struct vsp_ic_shutdown how = {
		.what = restart	    ? VSP_IC_POWER_RESTART
			: hibernate ? VSP_IC_POWER_HIBERNATE
				    : VSP_IC_POWER_OFF,
		.force = control_has(q, "--force"),
		.text = value_of(q, "--text"),
	};
	bool pressed;

	if (!control_running(c)) {
		return false;
	}
	if ((restart && hibernate) || !number_of(q, "--reason", UINT32_MAX, &how.reason) ||
	    !number_of(q, "--timeout", UINT32_MAX, &how.timeout_seconds)) {
		return control_refuse(c, "the request is malformed");
	}
	const char *why = ic_shutdown(c->worker, &how, answer_to(c), &pressed);

	if (why == NULL) {
		control_say(c, "by=%s", pressed ? "power-button" : "component");
	}
	asked(c, why);
	c->busy = c->busy && !pressed;
	return why == NULL;
}

/* ---- What is there ---- */

static void say_component(struct connection *c, enum vsp_ic_kind kind)
{
	static const char *const states[] = {
		[VSP_IC_CLOSED] = "absent", [VSP_IC_NEGOTIATING] = "starting",
		[VSP_IC_READY] = "ready",   [VSP_IC_INCOMPATIBLE] = "incompatible",
		[VSP_IC_BROKEN] = "broken",
	};
	struct vsp_ic_status s;

	vsp_ic_get_status(ic_components(c->worker), kind, &s);
	if (s.state == VSP_IC_READY) {
		control_say(c, "%s=ready %u.%u", vsp_ic_name(kind), s.message_major,
			    s.message_minor);
	} else {
		control_say(c, "%s=%s", vsp_ic_name(kind), s.offered ? states[s.state] : "off");
	}
}

static bool heartbeat(struct connection *c, const struct control_request *q)
{
	uint32_t application;

	(void)q;
	vsp_ic_get_heartbeat(ic_components(c->worker), &application);
	control_say(c, "state=%s", ic_heartbeat_word(c->worker));
	control_say(c, "application=%" PRIu32, application);
	for (unsigned i = 0; i < VSP_IC_KINDS; i++) {
		say_component(c, (enum vsp_ic_kind)i);
	}
	return true;
}

/* ---- Key-value pairs ---- */

/* What a guest says fits on a line: control characters, '%' and @special become %XX. */
static void escape(const char *text, char special, char *ret, size_t size)
{
	size_t n = 0;

	for (; *text != '\0' && n + 4 < size; text++) {
		unsigned char ch = (unsigned char)*text;

		if (ch < 0x20 || ch == 0x7f || ch == '%' || ch == (unsigned char)special) {
			n += (size_t)snprintf(ret + n, size - n, "%%%02X", ch);
		} else {
			ret[n++] = (char)ch;
		}
	}
	ret[n] = '\0';
}

void control_ic_say(struct connection *c, const char *key, const char *value)
{
	char key_line[ESCAPED_BYTES], value_line[ESCAPED_BYTES];

	escape(key, '=', key_line, sizeof(key_line));
	escape(value, '\n', value_line, sizeof(value_line));
	control_say(c, "%s=%s", key_line, value_line);
}

static void say_items(struct connection *c)
{
	const struct vsp_ic_item *items;
	struct vsp_ic *ic = ic_components(c->worker);
	unsigned count = ic == NULL ? 0 : vsp_ic_kvp_items(ic, &items);

	for (unsigned i = 0; i < count; i++) {
		control_ic_say(c, items[i].key, items[i].value);
	}
}

static void items_read(void *ctx, enum vsp_ic_result result, uint32_t status)
{
	if (result == VSP_IC_DONE) {
		say_items(ctx);
	}
	guest_answered(ctx, result, status);
}

/* As last read, or with --refresh read for this request. */
static bool kvp(struct connection *c, const struct control_request *q)
{
	const struct vsp_ic_done done = {.fn = items_read, .ctx = c};

	if (!control_has(q, "--refresh")) {
		say_items(c);
		return true;
	}
	return control_running(c) &&
	       asked(c, ic_why(VSP_IC_KVP, vsp_ic_kvp_refresh(ic_components(c->worker), done)));
}

/* Then KEY and VALUE. */
static bool kvp_set(struct connection *c, const struct control_request *q)
{
	char *key = control_option(q, NULL), *value = key != NULL ? control_option(q, key) : NULL;

	if (value == NULL) {
		return control_refuse(c, "the request is malformed");
	}
	return control_running(c) &&
	       asked(c, ic_why(VSP_IC_KVP,
			       vsp_ic_kvp_set(ic_components(c->worker), VSP_IC_POOL_EXTERNAL, key,
					      value, answer_to(c))));
}

/* Then KEY. */
static bool kvp_delete(struct connection *c, const struct control_request *q)
{
	char *key = control_option(q, NULL);

	if (key == NULL) {
		return control_refuse(c, "the request is malformed");
	}
	return control_running(c) &&
	       asked(c, ic_why(VSP_IC_KVP,
			       vsp_ic_kvp_delete(ic_components(c->worker), VSP_IC_POOL_EXTERNAL,
						 key, answer_to(c))));
}

/* ---- Backup ---- */

static bool freeze(struct connection *c, const struct control_request *q)
{
	uint32_t hold_s = HOLD_S;

	if (!number_of(q, "--hold", HOLD_MAX_S, &hold_s)) {
		return control_refuse(c, "the request is malformed");
	}
	return control_running(c) &&
	       asked(c, ic_freeze(c->worker, hold_s * NS_PER_S, answer_to(c)));
}

static bool thaw(struct connection *c, const struct control_request *q)
{
	(void)q;
	return control_running(c) && asked(c, ic_thaw(c->worker, answer_to(c)));
}

const struct control_word control_ic_words[] = {
	{"shutdown", 0, shut_down},
	{"heartbeat", 0, heartbeat},
	{"kvp", 0, kvp},
	{"kvp-set", 0, kvp_set},
	{"kvp-delete", 0, kvp_delete},
	{"freeze", 0, freeze},
	{"thaw", 0, thaw},
	{NULL},
};
