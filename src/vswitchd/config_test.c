// SPDX-License-Identifier: Apache-2.0
#include "vswitchd/config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bits.h"
#include "test/test.h"
#include "json/json.h"

struct place {
	char folder[64];
	char path[128];
};

static void make_place(struct place *p)
{
	snprintf(p->folder, sizeof(p->folder), "/tmp/virid-config-XXXXXX");
	if (mkdtemp(p->folder) == NULL) {
		abort();
	}
	snprintf(p->path, sizeof(p->path), "%s/deep/switches.json", p->folder);
}

static void drop_place(struct place *p)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", p->folder);
	if (system(command) != 0) {
		abort();
	}
}

static void test_there_and_back(struct test *t)
{
	struct place p;
	struct switch_list list = {0}, back;
	struct switch_config a = {.name = "lan", .type = SWITCH_PRIVATE},
			     b = {.name = "wan",
				  .type = SWITCH_EXTERNAL,
				  .team = VSWITCH_TEAM_STANDBY,
				  .interfaces = {"eth0", "eth1"},
				  .interface_count = 2},
			     c = {.name = "host",
				  .type = SWITCH_INTERNAL,
				  .interfaces = {"virid-host"},
				  .interface_count = 1,
				  .address = "10.0.0.1/24",
				  .aging_seconds = 7,
				  .no_snooping = true},
			     d = {.name = "out", .type = SWITCH_NAT, .address = "10.0.3.0/24"};
	char error[600];

	make_place(&p);
	EXPECT(t, config_load(p.path, &back, error, sizeof(error)) && back.count == 0);
	EXPECT(t, config_add(&list, &a) && config_add(&list, &b) && config_add(&list, &c) &&
			  config_add(&list, &d));
	EXPECT(t, config_save(p.path, &list, error, sizeof(error)));
	EXPECT(t, config_load(p.path, &back, error, sizeof(error)) && back.count == 4);
	for (unsigned i = 0; i < 4 && back.count == 4; i++) {
		EXPECT_MEM(t, &back.switches[i], &list.switches[i], sizeof(a));
	}
	EXPECT(t, back.ports == NULL);
	config_set_port(&back, "wan", "eth0", json_loads("{\"vlan\":1}", 0, NULL));
	config_set_port(&back, "wan", "eth0", json_loads("{\"vlan\":2}", 0, NULL));
	config_set_port(&back, "host", "virid-host", json_loads("{\"link\":\"down\"}", 0, NULL));
	EXPECT(t, config_save(p.path, &back, error, sizeof(error)));
	config_fini(&back);
	EXPECT(t, config_load(p.path, &back, error, sizeof(error)) && back.count == 4);
	char *ports = json_line(back.ports);

	EXPECT(t,
	       strcmp(ports, "[{\"switch\":\"wan\",\"port\":\"eth0\",\"options\":{\"vlan\":2}},"
			     "{\"switch\":\"host\",\"port\":\"virid-host\",\"options\":{\"link\":"
			     "\"down\"}}"
			     "]") == 0);
	free(ports);
	config_drop(&back, config_find(&back, "wan"));
	EXPECT(t, json_array_size(back.ports) == 1);
	EXPECT(t, back.count == 3 && config_find(&back, "wan") == NULL &&
			  config_find(&back, "host") == &back.switches[1]);
	config_fini(&back);
	config_fini(&list);
	drop_place(&p);
}

#define SWITCHES(x) "{\"switches\":[" x "]}"
static const struct {
	const char *text;
	const char *error;
} bad[] = {
	{"", "expected {\"switches\""},
	{"[]", "expected {\"switches\""},
	{"{", "expected {\"switches\""},
	{"{\"switches\":{}}", "expected {\"switches\""},
	{"{\"switches\":[]} x", "expected {\"switches\""},
	{"{\"switches\":[],\"switches\":[]}", "expected {\"switches\""},
	{SWITCHES("1"), "has no name"},
	{SWITCHES("{\"name\":5}"), "has no name"},
	{SWITCHES("{\"name\":\"\",\"type\":\"private\"}"), "0 characters"},
	{SWITCHES("{\"name\":\"a b\",\"type\":\"private\"}"), "no blanks"},
	{SWITCHES("{\"name\":\"a/b\",\"type\":\"private\"}"), "no blanks"},
	{SWITCHES("{\"name\":\"-x\",\"type\":\"private\"}"), "begins with"},
	{SWITCHES("{\"name\":\"x\"}"), "no type"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"cable\"}"),
	 "expected private, internal, external or nat"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"nat\"}"), "such as 10.0.3.0/24"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"nat\",\"address\":\"10.0.3.1/24\"}"),
	 "such as 10.0.3.0/24"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"nat\",\"address\":\"10.0.0.0/16\"}"),
	 "such as 10.0.3.0/24"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"nat\",\"address\":\"127.0.0.0/24\"}"),
	 "such as 10.0.3.0/24"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"nat\",\"address\":\"fd00::/24\"}"),
	 "such as 10.0.3.0/24"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"nat\",\"address\":\"10.0.3.0/24\","
		  "\"interfaces\":[\"e\"]}"),
	 "none for a NAT switch"},
	{SWITCHES("{\"name\":\"default\",\"type\":\"private\"}"), "always there"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"external\"}"), "0 interfaces; expected 1 to 8"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"private\",\"interfaces\":[\"e\"]}"), "expected none"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"external\",\"interfaces\":[\"e\",\"e\"]}"),
	 "named twice"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"external\",\"interfaces\":[\"a/b\"]}"),
	 "not an interface's name"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"external\",\"interfaces\":[\"morethan15chars\","
		  "\"0123456789abcdef\"]}"),
	 "not an interface's name"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"external\",\"interfaces\":[1]}"),
	 "not an interface's name"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"external\",\"interfaces\":[1,2,3,4,5,6,7,8,9]}"),
	 "at most 8"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"private\",\"address\":\"10.0.0.1/24\"}"),
	 "only for an internal"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"internal\",\"interfaces\":[\"e\"],\"address\":\"10.0."
		  "0.1\"}"),
	 "with its prefix"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"internal\",\"interfaces\":[\"e\"],\"address\":\"10.0."
		  "0.1/33\"}"),
	 "with its prefix"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"private\",\"colour\":\"red\"}"),
	 "'colour' is not known"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"private\"},{\"name\":\"x\",\"type\":\"private\"}"),
	 "there twice"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"private\",\"aging\":0}"), "expected 1 to 1000000"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"private\",\"aging\":4294967297}"),
	 "expected 1 to 1000000"},
	{SWITCHES("{\"name\":\"x\",\"type\":\"private\",\"snooping\":1}"),
	 "'snooping' is not known or not of its kind"},
	{"{\"switches\":[],\"ports\":{}}", "expected a list"},
	{"{\"switches\":[],\"ports\":[1]}", "expected a list"},
	{"{\"switches\":[],\"ports\":[{\"switch\":\"x\",\"port\":\"y\",\"options\":1}]}",
	 "expected a list"},
};

static void test_bad_files(struct test *t)
{
	struct place p;

	make_place(&p);
	snprintf(p.path, sizeof(p.path), "%s/switches.json", p.folder);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct switch_list list;
		char error[900] = "";
		FILE *f = fopen(p.path, "w");

		if (f == NULL || fputs(bad[i].text, f) < 0 || fclose(f) != 0) {
			abort();
		}
		if (config_load(p.path, &list, error, sizeof(error)) ||
		    strstr(error, bad[i].error) == NULL || strstr(error, p.path) == NULL) {
			test_fail(t, __FILE__, __LINE__, "%s: got '%s'", bad[i].text, error);
		}
	}
	drop_place(&p);
}

static void test_hand_written(struct test *t)
{
	struct place p;
	struct switch_list list;
	char error[600];

	make_place(&p);
	snprintf(p.path, sizeof(p.path), "%s/switches.json", p.folder);
	FILE *f = fopen(p.path, "w");

	fputs("{ \"switches\": [\n { \"type\": \"private\", \"name\": \"lan\" } ] }\n\n", f);
	fclose(f);
	EXPECT(t, config_load(p.path, &list, error, sizeof(error)) && list.count == 1);
	config_fini(&list);
	drop_place(&p);
}

static void test_cannot_write(struct test *t)
{
	struct switch_list list = {0};
	char error[600];

	EXPECT(t, !config_save("/proc/nowhere/switches.json", &list, error, sizeof(error)));
	EXPECT(t, strstr(error, "/proc/nowhere") != NULL);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_there_and_back),
		TEST(test_bad_files),
		TEST(test_hand_written),
		TEST(test_cannot_write),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
