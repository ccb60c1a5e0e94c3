// SPDX-License-Identifier: Apache-2.0
#include "openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bits.h"
#include "lib/check.h"
#include "routes.h"

/* What schemas are that are not JSON. */
static const struct {
	const char *schema, *content_type;
} other_types[] = {{"EventStream", "text/event-stream"}, {"Metrics", "text/plain"}};

static const char *type_of(const char *schema)
{
	for (size_t i = 0; i < ARRAY_LEN(other_types); i++) {
		if (strcmp(other_types[i].schema, schema) == 0) {
			return other_types[i].content_type;
		}
	}
	return "application/json";
}

static json_t *reference(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "#/components/schemas/%s", name);
	return json_pack("{s:s}", "$ref", path);
}

static json_t *content(const char *name)
{
	return json_pack("{s:{s:o}}", type_of(name), "schema", reference(name));
}

/* ---- Parameters ---- */

static void add_path_parameters(json_t *list, const struct route *r)
{
	for (const char *p = strchr(r->path, '{'); p != NULL; p = strchr(p + 1, '{')) {
		const char *end = strchr(p, '}');
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)(end - p - 1), p + 1);
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in",
						"path", "required", 1, "schema", "type", "string"));
	}
}

/* A summary names the query's parameters as "?name=". */
static void add_query_parameters(json_t *list, const struct route *r)
{
	for (const char *p = strchr(r->summary, '?'); p != NULL; p = strchr(p + 1, '?')) {
		size_t n = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_");
		char name[64];

		if (n > 0 && p[1 + n] == '=') {
			snprintf(name, sizeof(name), "%.*s", (int)n, p + 1);
			json_array_append_new(list,
					      json_pack("{s:s, s:s, s:{s:s}}", "name", name, "in",
							"query", "schema", "type", "string"));
		}
	}
}

static void add_revision_parameter(json_t *list, const struct route *r)
{
	if (strcmp(r->method, "PATCH") == 0) {
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:{s:s}}", "name",
						      "If-Match", "in", "header", "description",
						      "The revision that the change is made for",
						      "schema", "type", "string"));
	}
}

/* ---- Operations ---- */

/* "get_vms_vm_disks" of GET /vms/{vm}/disks. */
static void operation_id(const struct route *r, char *ret, size_t size)
{
	size_t n = 0;

	CHECK(r->method[0] != '\0' && size > 1);
	for (const char *p = r->method; *p != '\0' && n + 1 < size; p++) {
		ret[n++] = (char)tolower((unsigned char)*p);
	}
	for (const char *p = r->path; *p != '\0' && n + 1 < size; p++) {
		if (isalnum((unsigned char)*p)) {
			ret[n++] = *p;
		} else if (ret[n - 1] != '_') {
			ret[n++] = '_';
		}
	}
	n -= ret[n - 1] == '_';
	ret[n] = '\0';
}

static const char *right_name(enum right right)
{
	static const char *const names[] = {
		[RIGHT_READ] = "viewer",
		[RIGHT_OPERATE] = "operator",
		[RIGHT_CHANGE] = "administrator",
		[RIGHT_HOST] = "administrator of the host",
	};

	return names[right];
}

static json_t *responses(const struct route *r)
{
	json_t *o = json_object();
	json_t *error =
		json_pack("{s:s, s:o}", "description", "Why not", "content", content("Error"));

	if (r->answer == NULL) {
		json_object_set_new(o, "204", json_pack("{s:s}", "description", "Done"));
	} else {
		/* what is made has its place; what takes longer is a job, whatever else it may be */
		json_object_set_new(o, "2XX",
				    json_pack("{s:s, s:o}", "description", "Done, made or begun",
					      "content", content(r->answer)));
		if (strcmp(r->answer, "Job") != 0 && r->audited) {
			json_object_set_new(o, "202",
					    json_pack("{s:s, s:o}", "description", "Begun: a job",
						      "content", content("Job")));
		}
	}
	json_object_set_new(o, "4XX", json_incref(error));
	json_object_set_new(o, "5XX", error);
	return o;
}

static json_t *operation(const struct route *r)
{
	json_t *parameters = json_array(), *o;
	char id[128];

	operation_id(r, id, sizeof(id));
	add_path_parameters(parameters, r);
	add_query_parameters(parameters, r);
	add_revision_parameter(parameters, r);
	o = json_pack("{s:s, s:s, s:s, s:o, s:o}", "operationId", id, "summary", r->summary,
		      "x-role", right_name(r->right), "parameters", parameters, "responses",
		      responses(r));
	CHECK(o != NULL);
	if (r->body != NULL) {
		json_object_set_new(o, "requestBody",
				    json_pack("{s:o}", "content", content(r->body)));
	}
	return o;
}

static void add_route(json_t *paths, const struct route *r)
{
	json_t *path = json_object_get(paths, r->path);
	char method[16];
	size_t n = strlen(r->method);

	CHECK(n < sizeof(method));
	for (size_t i = 0; i <= n; i++) {
		method[i] = (char)tolower((unsigned char)r->method[i]);
	}
	if (path == NULL) {
		path = json_object();
		json_object_set_new(paths, r->path, path);
	}
	CHECK(json_object_get(path, method) == NULL);
	json_object_set_new(path, method, operation(r));
}

json_t *openapi_document(const struct route_table *const *tables)
{
	json_t *schemas = json_loadb(openapi_schemas, openapi_schemas_bytes, 0, NULL);
	json_t *paths = json_object(), *document;

	CHECK(schemas != NULL);
	for (; *tables != NULL; tables++) {
		for (size_t i = 0; i < (*tables)->count; i++) {
			add_route(paths, &(*tables)->routes[i]);
		}
	}
	document = json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:o, s:{s:o}}", "openapi",
			     "3.1.0", "info", "title", "Virid", "version", VIRID_VERSION,
			     "description", "The management service of virtual machines", "servers",
			     "url", API_PREFIX, "paths", paths, "components", "schemas", schemas);
	CHECK(document != NULL);
	return document;
}

static void get_openapi(struct call *c)
{
	call_ok(c, openapi_document(api_tables(call_api(c))));
}

static const struct route routes[] = {
	{"GET", "/openapi.json", RIGHT_READ, false, get_openapi, "This description", NULL,
	 "Object"},
};

const struct route_table openapi_routes = {routes, ARRAY_LEN(routes)};
