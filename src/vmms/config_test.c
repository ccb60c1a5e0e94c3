// SPDX-License-Identifier: Apache-2.0
/* Configurations: what is completed, what is refused and in which words. */
#include "config.h"

#include "lib/bits.h"
#include "test/test.h"

#define ID "BA6163D9-04A1-4D29-B605-72E2FFB1DC7F"

static json_t *parse(const char *text)
{
	json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

	if (o == NULL) {
		abort();
	}
	return o;
}

static json_t *create(const char *text, struct schema_error *error)
{
	json_t *body = parse(text), *c = vm_config_create(body, ID, error);

	json_decref(body);
	return c;
}

static json_int_t number_at(const json_t *c, const char *kind, size_t index, const char *name)
{
	return json_integer_value(
		json_object_get(json_array_get(json_object_get(c, kind), index), name));
}

static void test_completed(struct test *t)
{
	struct schema_error error = {""};
	json_t *c = create(
		"{\"name\": \"a\", \"disks\": [{\"path\": \"/a\"}, {\"path\": \"/b\", "
		"\"location\": 0},"
		"{\"path\": \"/c\", \"controller\": \"ide\"}], \"dvds\": [{}, {\"location\": 1}],"
		"\"adapters\": [{}, {\"number\": 0}, {}]}",
		&error);

	EXPECT(t, c != NULL);
	/* 0 and 1 are somebody's who said so. */
	EXPECT_EQ(t, number_at(c, "disks", 0, "location"), 2);
	EXPECT_EQ(t, number_at(c, "disks", 1, "location"), 0);
	EXPECT_EQ(t, number_at(c, "disks", 2, "location"), 0);
	EXPECT_EQ(t, number_at(c, "dvds", 0, "location"), 3);
	EXPECT_EQ(t, number_at(c, "adapters", 0, "number"), 1);
	EXPECT_EQ(t, number_at(c, "adapters", 2, "number"), 2);
	EXPECT(t, vm_config_check(c, &error));
	json_decref(c);
}

static void test_full_controllers(struct test *t)
{
	struct schema_error error = {""};
	json_t *body = parse("{\"name\": \"a\", \"disks\": []}"),
	       *disks = json_object_get(body, "disks");

	for (unsigned i = 0; i < 64; i++) {
		json_array_append_new(disks, parse("{\"path\": \"/a\"}"));
	}
	json_t *c = vm_config_create(body, ID, &error);

	EXPECT(t, c != NULL);
	json_decref(c);
	json_array_append_new(disks, parse("{\"path\": \"/a\"}"));
	EXPECT(t, vm_config_create(body, ID, &error) == NULL);
	EXPECT(t, strstr(error.text,
			 "disks[64].location: found 64; expected a location from 0 to 63") != NULL);
	json_decref(body);
}

static void test_patched(struct test *t)
{
	struct schema_error error = {""};
	const char *member = "";
	json_t *c = create("{\"name\": \"a\", \"notes\": \"x\", \"more\": 1}", &error);
	json_t *patch = parse("{\"name\": \"b\", \"notes\": null, \"memory\": null, \"id\": \"x\", "
			      "\"revision\": 9,"
			      "\"restore_from\": \"checkpoints/x.vmrs\", \"cloned_from\": []}");
	json_t *p = vm_config_patch(c, patch, &error);

	EXPECT(t, p != NULL);
	EXPECT(t, strcmp(json_string_value(json_object_get(p, "name")), "b") == 0);
	EXPECT(t, strcmp(json_string_value(json_object_get(p, "notes")), "") == 0);
	EXPECT(t, strcmp(json_string_value(json_object_get(p, "id")), ID) == 0);
	EXPECT_EQ(t, json_integer_value(json_object_get(p, "revision")), 1);
	EXPECT_EQ(t, json_integer_value(json_object_get(p, "more")), 1);
	/* What only the service may say. */
	EXPECT(t, json_object_get(p, "restore_from") == NULL &&
			  json_object_get(p, "cloned_from") == NULL);
	EXPECT(t, vm_config_when(c, p, &member) == VM_CONFIG_ANY_TIME);
	json_decref(patch);
	json_decref(p);
	patch = parse("{\"processors\": {\"count\": 2}}");
	p = vm_config_patch(c, patch, &error);
	EXPECT(t, p != NULL && vm_config_when(c, p, &member) == VM_CONFIG_OFF &&
			  strcmp(member, "processors.count") == 0);
	json_decref(p);
	json_decref(patch);
	json_decref(c);
}

static void test_places(struct test *t)
{
	static const char *const wrong[] = {"",	      "x",	"scsi", "scsi0", "scsi4:0",
					    "ide2:0", "ide0:2", "0:64", "0:1x",	 "0: 1",
					    "-1:0",   "0:-1",	":",	"1:",	 "scsi 0:1"};
	struct vm_config_place p;

	EXPECT(t, vm_config_place_parse("scsi3:63", &p) && !p.ide && p.number == 3 &&
			  p.location == 63);
	EXPECT(t, vm_config_place_parse("ide1:0", &p) && p.ide && p.number == 1 && p.location == 0);
	EXPECT(t, vm_config_place_parse("0:7", &p) && !p.ide && p.location == 7);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		if (vm_config_place_parse(wrong[i], &p)) {
			test_fail(t, __FILE__, __LINE__, "'%s' was taken", wrong[i]);
		}
	}
}

static void test_refused(struct test *t)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"{}", "name: found nothing"},
		{"{\"name\": \"a\\u0000b\"}", "name: found \"a\\u0000b\""},
		{"{\"name\": \"" ID "\"}", "name"},
		{"{\"name\": \"a\", \"disks\": [{\"path\": \"..\"}]}",
		 "disks[0].path: found \"..\""},
		{"{\"name\": \"a\", \"disks\": [{\"path\": \"a/..\"}]}", "disks[0].path"},
		{"{\"name\": \"a\", \"disks\": [{\"path\": \"a/../b\"}]}", "disks[0].path"},
		{"{\"name\": \"a\", \"disks\": [{\"path\": \"\"}]}", "disks[0].path"},
		{"{\"name\": \"a\", \"disks\": [{\"path\": \"/a\", \"location\": 0.5}]}",
		 "disks[0].location: found 0.5"},
		{"{\"name\": \"a\", \"adapters\": [{\"number\": 1}, {\"number\": 1}]}",
		 "adapters[1]"},
		{"{\"name\": \"a\", \"adapters\": [{\"switch\": \"default\", \"trunk\": {}}]}",
		 "adapters[0]: trunk"},
		{"{\"name\": \"a\", \"boot\": {\"cmdline\": \"a\\nb\"}}", "boot.cmdline"},
		{"{\"name\": \"a\", \"boot\": 5}", "boot: found 5"},
		{"{\"name\": \"a\", \"checkpoints\": {\"type\": \"some\"}}", "checkpoints.type"},
		{"{\"name\": \"a\", \"automatic_start\": {\"delay_s\": -1}}",
		 "automatic_start.delay_s: found -1"},
	};
	struct schema_error error;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *body = json_loads(cases[i].text, JSON_ALLOW_NUL, NULL);
		json_t *c = vm_config_create(body, ID, &error);

		if (c != NULL || strstr(error.text, cases[i].words) == NULL) {
			test_fail(t, __FILE__, __LINE__, "%s: %s", cases[i].text,
				  c != NULL ? "was taken" : error.text);
		}
		json_decref(c);
		json_decref(body);
	}
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_completed), TEST(test_full_controllers),
						 TEST(test_patched), TEST(test_places),
						 TEST(test_refused)};

	return test_main(cases, ARRAY_LEN(cases));
}
