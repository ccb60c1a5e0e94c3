// SPDX-License-Identifier: Apache-2.0
/* /host: what this machine is, and the settings of the service. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "api_error.h"
#include "cpu_policy.h"
#include "engine_guide.h"
#include "lib/bits.h"
#include "lib/check.h"
#include "resources.h"
#include "roles.h"
#include "routes.h"
#include "schema.h"
#include "store.h"
#include "vm.h"
#include "vmms.h"

#define FOLDERS_MAX 64u

static json_int_t revision(const struct vmms *v)
{
	return json_integer_value(json_object_get(store_host(v), "revision"));
}

static unsigned count_running(const struct call *c, unsigned *ret_all)
{
	unsigned running = 0;

	*ret_all = 0;
	for (size_t i = 0; i < c->vmms->vm_count; i++) {
		const struct vm *vm = c->vmms->vms[i];

		if (caller_may(c->caller, vm->id, RIGHT_READ)) {
			(*ret_all)++;
			running += vm_is_active(vm);
		}
	}
	return running;
}

/* What "auto" takes here, and why. */
static json_t *describe_engine(struct vmms *v)
{
	struct engines_choice c;
	bool known = engine_guide_peek(v->engines, v->tasks, &c);
	json_t *o = json_pack("{s:s?, s:s}", "auto", known ? engines_name(c.engine) : NULL,
			      "reason", known ? c.reason : "it is being measured");

	CHECK(o != NULL);
	return o;
}

static json_t *describe(const struct call *c)
{
	const struct vmms *v = c->vmms;
	const json_t *folders = json_object_get(store_host(v), "disk_folders");
	char name[HOST_NAME_MAX + 1] = "", vm_folder[VMMS_PATH_BYTES + 8];
	struct sysinfo info = {0};
	unsigned all, running = count_running(c, &all);
	json_t *o;

	gethostname(name, sizeof(name) - 1);
	sysinfo(&info);
	snprintf(vm_folder, sizeof(vm_folder), "%s/vms", v->state);
	o = json_pack(
		"{s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:i, s:s, s:o, s:I}", "name", name, "version",
		VIRID_VERSION, "processors", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
		"memory_bytes", (json_int_t)info.totalram * (json_int_t)info.mem_unit,
		"memory_available_bytes", (json_int_t)resources_memory_available(), "uptime_s",
		(json_int_t)info.uptime, "vms", (int)all, "running", (int)running, "vm_folder",
		vm_folder, "disk_folders", folders == NULL ? json_array() : json_deep_copy(folders),
		"revision", revision(v));
	CHECK(o != NULL);
	json_object_set_new(o, "engine", describe_engine(c->vmms));
	json_object_set_new(o, "cpu_policy", cpu_policy_host_json(v));
	if (caller_may(c->caller, NULL, RIGHT_HOST)) {
		json_t *settings = json_object_get(store_host(v), "api");

		json_object_set_new(o, "api",
				    settings == NULL ? json_null() : json_incref(settings));
	}
	return o;
}

static void get_host(struct call *c)
{
	call_ok(c, describe(c));
}

/* ---- Settings ---- */

static bool is_absolute(const char *text)
{
	return text[0] == '/' && strlen(text) < PATH_MAX;
}

#define FILE_MEMBER(member, may_lack)                                                              \
	{                                                                                          \
		.name = (member), .type = SCHEMA_TEXT, .max = PATH_MAX - 1, .check = is_absolute,  \
		.optional = (may_lack), .nullable = (may_lack),                                    \
		.expected = "the absolute path of a PEM file"                                      \
	}

static const struct schema tls_schema[] = {
	{.name = "address",
	 .type = SCHEMA_TEXT,
	 .max = 63,
	 .optional = true,
	 .nullable = true,
	 .expected = "an address of this host, or null for all"},
	{.name = "port", .type = SCHEMA_WHOLE, .min = 1, .max = 65535, .expected = "1 to 65535"},
	FILE_MEMBER("certificate", false),
	FILE_MEMBER("key", false),
	FILE_MEMBER("client_ca", true),
	{.name = "passwords", .type = SCHEMA_FLAG, .optional = true, .expected = "true or false"},
	{0},
};
static const struct schema api_schema[] = {
	{.name = "group",
	 .type = SCHEMA_TEXT,
	 .max = 63,
	 .optional = true,
	 .nullable = true,
	 .expected = "the group that may use the socket, or null"},
	{.name = "request_timeout_s",
	 .type = SCHEMA_WHOLE,
	 .min = 1,
	 .max = 3600,
	 .optional = true,
	 .expected = "1 to 3600 seconds"},
	{.name = "tls",
	 .type = SCHEMA_OBJECT,
	 .members = tls_schema,
	 .optional = true,
	 .nullable = true,
	 .expected = "an object, or null"},
	{0},
};
static const struct schema host_schema[] = {
	{.name = "api",
	 .type = SCHEMA_OBJECT,
	 .members = api_schema,
	 .optional = true,
	 .nullable = true,
	 .expected = "an object, or null"},
	{0},
};

static bool check_folders(struct call *c)
{
	const json_t *list = json_object_get(c->body, "disk_folders"), *folder;
	size_t i;

	if (list == NULL || json_is_null(list)) {
		return true;
	}
	if (!json_is_array(list) || json_array_size(list) > FOLDERS_MAX) {
		call_refuse(c, API_INVALID, NULL,
			    "disk_folders: expected a list of at most %u folders", FOLDERS_MAX);
		return false;
	}
	json_array_foreach(list, i, folder)
	{
		if (!json_is_string(folder) || !is_absolute(json_string_value(folder))) {
			call_refuse(c, API_INVALID, NULL,
				    "disk_folders[%zu]: expected the absolute path of a folder", i);
			return false;
		}
	}
	return true;
}

/* Only what is a setting: the rest of what GET shows is how things are. */
static bool check_members(struct call *c)
{
	static const char *const settings[] = {"disk_folders", "api"};
	struct schema_error error;
	const char *name;
	json_t *value;

	json_object_foreach(c->body, name, value)
	{
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
			known = known || strcmp(name, settings[i]) == 0;
		}
		if (!known) {
			call_refuse(c, API_INVALID, NULL,
				    "'%.100s' is not a setting of the host; expected disk_folders "
				    "or api",
				    name);
			return false;
		}
	}
	if (!schema_check(c->body, host_schema, "", &error)) {
		call_refuse(c, API_INVALID, NULL, "%s", error.text);
		return false;
	}
	return check_folders(c);
}

static bool check_revision(struct call *c)
{
	json_int_t now = revision(c->vmms);

	if (c->if_match == NULL || strtoll(c->if_match, NULL, 10) == now) {
		return true;
	}
	call_refuse(c, API_CONFLICT, json_pack("{s:I}", "revision", now),
		    "the host's settings were changed meanwhile: found revision %lld, expected %s; "
		    "read them "
		    "again",
		    (long long)now, c->if_match);
	return false;
}

static void patch_host(struct call *c)
{
	struct json_file_error error;
	json_t *patch;

	if (c->body == NULL) {
		call_refuse(c, API_INVALID, NULL, "the request has no body; expected an object");
		return;
	}
	if (!check_members(c) || !check_revision(c)) {
		return;
	}
	patch = json_copy(c->body);
	json_object_set_new(patch, "revision", json_integer(revision(c->vmms) + 1));
	int r = store_set_host(c->vmms, patch, &error);

	json_decref(patch);
	if (r < 0) {
		call_refuse(c, api_error_of_errno(-r), NULL, "%s", error.text);
		return;
	}
	call_ok(c, describe(c));
}

static const struct route routes[] = {
	{"GET", "/host", RIGHT_READ, false, get_host, "This machine and the service's settings",
	 NULL, "Host"},
	{"PATCH", "/host", RIGHT_HOST, true, patch_host,
	 "Changes settings; those of \"api\" hold from the service's next start", "HostSettings",
	 "Host"},
};

const struct route_table host_routes = {routes, ARRAY_LEN(routes)};
