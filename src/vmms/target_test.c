// SPDX-License-Identifier: Apache-2.0
/* Targets, routes and bodies: what is understood, and what is refused with which words. */
#include "body.h"
#include "lib/bits.h"
#include "router.h"
#include "target.h"
#include "test/test.h"

/* ---- Targets ---- */

static void test_segments(struct test *t)
{
	struct target g;
	char error[256];

	EXPECT(t, target_parse(&g, "/api/v1/vms/a%2Fb%20%C3%A4/?x=1+2&y&z=%26=", error,
			       sizeof(error)));
	EXPECT_EQ(t, g.segment_count, 4);
	EXPECT(t, strcmp(g.segments[3], "a/b \xc3\xa4") == 0);
	EXPECT(t, strcmp(target_query(&g, "x"), "1 2") == 0);
	EXPECT(t, strcmp(target_query(&g, "y"), "") == 0);
	EXPECT(t, strcmp(target_query(&g, "z"), "&=") == 0);
	EXPECT(t, target_query(&g, "w") == NULL);
	EXPECT(t, target_parse(&g, "/", error, sizeof(error)));
	EXPECT_EQ(t, g.segment_count, 0);
}

static void test_bad_targets(struct test *t)
{
	static const struct {
		const char *raw, *why;
	} cases[] = {
		{"", "begins with '/'"},
		{"vms", "begins with '/'"},
		{"*", "begins with '/'"},
		{"http://x/api", "begins with '/'"},
		{"/a#b", "begins with '/'"},
		{"//a", "empty part"},
		{"/a//b", "empty part"},
		{"/a/%", "not an escape"},
		{"/a/%4", "not an escape"},
		{"/a/%4g", "not an escape"},
		{"/a/%00", "not an escape"},
		{"/a/%c3", "not UTF-8"},
		{"/a/%c0%af", "not UTF-8"},
		{"/a/%ed%a0%80", "not UTF-8"},
		{"/a/%f5%80%80%80", "not UTF-8"},
		{"/a/%1b", "control characters"},
		{"/a?b=%zz", "the query: '%zz'"},
		{"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", "too many parts"},
		{"/?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17", "more than 16 parameters"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct target g;
		char error[256] = "";

		if (target_parse(&g, cases[i].raw, error, sizeof(error)) ||
		    strstr(error, cases[i].why) == NULL) {
			test_fail(t, __FILE__, __LINE__, "'%s': want '%s', got '%s'", cases[i].raw,
				  cases[i].why, error);
		}
	}
}

static void test_long_target(struct test *t)
{
	char raw[TARGET_BYTES_MAX + 1], error[256];
	struct target g;

	memset(raw, 'a', sizeof(raw));
	raw[0] = '/';
	raw[TARGET_BYTES_MAX - 1] = '\0';
	EXPECT(t, target_parse(&g, raw, error, sizeof(error)));
	raw[TARGET_BYTES_MAX - 1] = 'a';
	raw[TARGET_BYTES_MAX] = '\0';
	EXPECT(t, !target_parse(&g, raw, error, sizeof(error)));
	EXPECT(t, strstr(error, "4096 bytes long") != NULL);
}

/* ---- Routes ---- */

static void handler(struct call *c)
{
}

static const struct route first[] = {
	{"GET", "/vms", RIGHT_READ, false, handler, "", NULL, NULL},
	{"POST", "/vms/{vm}/start", RIGHT_READ, false, handler, "", NULL, NULL},
	{"POST", "/vms/import", RIGHT_READ, false, handler, "", NULL, NULL},
	{"GET", "/vms/{vm}", RIGHT_READ, false, handler, "", NULL, NULL},
};
static const struct route second[] = {
	{"POST", "/vms/{vm}", RIGHT_READ, false, handler, "", NULL, NULL},
	{"DELETE", "/vms/{vm}/disks/{controller}:{location}", RIGHT_READ, false, handler, "", NULL,
	 NULL},
};
static const struct route_table first_table = {first, ARRAY_LEN(first)};
static const struct route_table second_table = {second, ARRAY_LEN(second)};
static const struct route_table *const tables[] = {&first_table, &second_table, NULL};

static enum router_result find(const char *method, const char *raw, struct router_match *m)
{
	static struct target g;
	char error[256];

	return target_parse(&g, raw, error, sizeof(error)) ? router_find(tables, method, &g, m)
							   : ROUTER_NO_PATH;
}

static void test_routes(struct test *t)
{
	struct router_match m;

	EXPECT_EQ(t, find("GET", "/api/v1/vms", &m), ROUTER_FOUND);
	EXPECT(t, m.route == &first[0]);
	EXPECT_EQ(t, find("HEAD", "/api/v1/vms/", &m), ROUTER_FOUND);
	EXPECT_EQ(t, find("POST", "/api/v1/vms/x/start", &m), ROUTER_FOUND);
	EXPECT(t, m.route == &first[1] && strcmp(m.parameters[0], "x") == 0);
	/* what is named goes before what stands for anything */
	EXPECT_EQ(t, find("POST", "/api/v1/vms/import", &m), ROUTER_FOUND);
	EXPECT(t, m.route == &first[2]);
	EXPECT_EQ(t, find("DELETE", "/api/v1/vms/x/disks/scsi0:3", &m), ROUTER_FOUND);
	EXPECT(t, strcmp(m.parameters[1], "scsi0") == 0 && strcmp(m.parameters[2], "3") == 0);
	EXPECT_EQ(t, router_parameter_index(m.route, "vm"), 0);
	EXPECT_EQ(t, router_parameter_index(m.route, "location"), 2);
	EXPECT_EQ(t, router_parameter_index(m.route, "loc") + 1, 0);
}

static void test_no_route(struct test *t)
{
	static const char *const paths[] = {"/",
					    "/api",
					    "/api/v2/vms",
					    "/vms",
					    "/api/v1",
					    "/api/v1/vms/x/stop",
					    "/api/v1/vms/x/start/y",
					    "/api/v1/vms/x/disks/:3",
					    "/api/v1/vms/x/disks/3",
					    "/api/v1/vms/x/disks/3:",
					    "/api/v1/VMS"};
	struct router_match m;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (find("POST", paths[i], &m) != ROUTER_NO_PATH) {
			test_fail(t, __FILE__, __LINE__, "%s was found", paths[i]);
		}
	}
	EXPECT_EQ(t, find("DELETE", "/api/v1/vms/x", &m), ROUTER_NO_METHOD);
	EXPECT(t, strcmp(m.allow, "GET, POST") == 0);
}

/* ---- Bodies ---- */

static void test_depth(struct test *t)
{
	char text[2 * BODY_DEPTH_MAX + 16], error[256];
	size_t lists = BODY_DEPTH_MAX - 1, n = 0;

	n += (size_t)sprintf(text, "{\"a\":");
	memset(text + n, '[', lists);
	memset(text + n + lists, ']', lists);
	text[n + 2 * lists] = '}';
	json_t *j = body_parse("x", text, n + 2 * lists + 1, error, sizeof(error));

	EXPECT(t, j != NULL);
	json_decref(j);
	text[n - 1] = '['; /* one more opens */
	EXPECT(t, body_parse("x", text, n + 2 * lists + 1, error, sizeof(error)) == NULL);
	EXPECT(t, strstr(error, "nested deeper than 32 levels") != NULL);
	EXPECT(t, body_parse("x", text, BODY_BYTES_MAX + 1, error, sizeof(error)) == NULL);
	EXPECT(t, strstr(error, "at most 1048576") != NULL);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_segments), TEST(test_bad_targets), TEST(test_long_target),
		TEST(test_routes),   TEST(test_no_route),    TEST(test_depth),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
