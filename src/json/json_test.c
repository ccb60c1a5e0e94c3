// SPDX-License-Identifier: Apache-2.0
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/bits.h"
#include "test/test.h"
#include "json/file.h"

/* What is taken, or a part of the error. */
static const struct {
	const char *text;
	const char *why;
} texts[] = {
	{"{}", NULL},
	{" {\"a\" : 1}\n\t ", NULL},
	{"{\"a\": \"[[[[\\\"{{{{\"}", NULL},
	{"{\"a\":[[1]]}", NULL},
	{"{\"a\":9223372036854775807,\"b\":-9223372036854775808}", NULL},
	{"", "x: line 1, column 0: not JSON"},
	{"[]", "x: line 1, column 1: expected an object"},
	{"{\"a\":1}x", "line 1, column 8: not JSON"},
	{"{} {}", "not JSON"},
	{"{\n\"a\": tru}", "line 2, column 8: not JSON"},
	{"{\"a\":1,\"a\":1}", "duplicate"},
	{"{\"a\":{\"b\":1,\"b\":null}}", "duplicate"},
	{"{\"a\":\"\\u0000\"}", "not JSON"},
	{"{\"\\u0000\":1}", "not JSON"},
	{"{\"a\":\"\xff\"}", "not JSON"},
	{"{\"a\":\"\xed\xa0\x80\"}", "not JSON"},
	{"{\"a\":1e999}", "not JSON"},
	{"{\"a\":9223372036854775808}", "too big"},
	{"{\"a\":[[[1]]]}", "line 1, column 8: nested deeper than 3 levels"},
	{"{a:1}", "not JSON"},
	{"{'a':1}", "not JSON"},
	{"{\"a\":1,}", "not JSON"},
	{"{\"a\":01}", "not JSON"},
	{"{\"a\":NaN}", "not JSON"},
	{"{/**/}", "not JSON"},
};

static void test_parse(struct test *t)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		char error[256] = "";
		json_t *j = json_parse("x", texts[i].text, strlen(texts[i].text), 3, error,
				       sizeof(error));

		if ((j != NULL) != (texts[i].why == NULL) ||
		    (j == NULL && strstr(error, texts[i].why) == NULL)) {
			test_fail(t, __FILE__, __LINE__, "'%s': %s", texts[i].text, error);
		}
		json_decref(j);
	}
}

/* A NUL ends nothing: what is behind it counts. */
static void test_nul(struct test *t)
{
	static const char text[] = "{\"a\":1}\0{}";
	char error[256];

	EXPECT(t, json_parse("x", text, 8, 3, error, sizeof(error)) == NULL);
	EXPECT(t, json_parse("x", text, sizeof(text) - 1, 3, error, sizeof(error)) == NULL);
	json_t *j = json_parse("x", text, 7, 3, error, sizeof(error));

	EXPECT(t, j != NULL);
	json_decref(j);
}

static void test_members(struct test *t)
{
	static const char text[] = "{\"t\":\"x\",\"n\":7,\"m\":-1,\"r\":1.0,\"y\":true,\"z\":null}";
	char error[256];
	json_t *o = json_parse("x", text, strlen(text), 3, error, sizeof(error));
	const char *s = "before";
	uint64_t n = 5;

	EXPECT(t, !json_text(o, "n", &s) && !json_text(o, "none", &s) && !json_text(NULL, "t", &s));
	EXPECT(t, strcmp(s, "before") == 0);
	EXPECT(t, json_text(o, "t", &s) && strcmp(s, "x") == 0);
	EXPECT(t, !json_number(o, "m", &n) && !json_number(o, "r", &n) && !json_number(o, "t", &n));
	EXPECT_EQ(t, n, 5);
	EXPECT(t, json_number(o, "n", &n) && n == 7);
	EXPECT(t, json_flag(o, "y") && !json_flag(o, "n") && !json_flag(o, "z"));
	json_decref(o);
}

static void expect_line(struct test *t, json_t *v, const char *want)
{
	char *line = json_line(v);

	if (strcmp(line, want) != 0) {
		test_fail(t, __FILE__, __LINE__, "got %s, want %s", line, want);
	}
	free(line);
}

/* In the order in which it was made, whatever bytes there are. */
static void test_make(struct test *t)
{
	json_t *o = json_object(), *list = json_array();
	char shown[8];

	json_add_text(o, "z", "a/b\n");
	json_add_number(o, "a", UINT64_MAX);
	json_add_flag(o, "m", false);
	json_append(list, json_new_text("\xff\xc3\xa4\xe2\x82"));
	json_append(list, json_new_text("\xed\xa0\x80\xf4\x90\x80\x80"));
	json_append(list, json_new_number(3));
	json_add(o, "list", list);
	json_add_number(o, "a", 1);
	expect_line(t, o,
		    "{\"z\":\"a/b\\n\",\"a\":1,\"m\":false,\"list\":["
		    "\"\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\","
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef"
		    "\xbf\xbd\",3]}");
	json_add_number(o, "a", UINT64_MAX);
	EXPECT(t, json_integer_value(json_object_get(o, "a")) == INT64_MAX);
	EXPECT(t, strcmp(json_show(json_object_get(o, "z"), "-", shown, 4), "a/b") == 0);
	EXPECT(t, strcmp(json_show(json_object_get(o, "m"), "-", shown, 8), "false") == 0);
	EXPECT(t, strcmp(json_show(NULL, "-", shown, 8), "-") == 0);
	EXPECT(t, json_is_utf8("") && json_is_utf8("a\xc3\xa4\xf4\x8f\xbf\xbf"));
	EXPECT(t, !json_is_utf8("a\xc3") && !json_is_utf8("\xc0\x80") &&
			  !json_is_utf8("\xed\xbf\xbf"));
	json_decref(o);
}

/* What others can reach, or have put there, is not taken for ours. */
static void test_own_folder(struct test *t)
{
	char top[] = "/tmp/virid-json-XXXXXX", folder[64], link[64], error[512] = "";
	FILE *file;

	EXPECT(t, mkdtemp(top) != NULL);
	snprintf(folder, sizeof(folder), "%s/own", top);
	snprintf(link, sizeof(link), "%s/link", top);
	EXPECT(t, folder_own(folder, error, sizeof(error)));
	EXPECT(t, folder_own(folder, error, sizeof(error)));
	EXPECT_EQ(t, chmod(folder, 0750), 0);
	EXPECT(t, !folder_own(folder, error, sizeof(error)));
	EXPECT(t, strstr(error, "mode 750; expected owner") != NULL);
	EXPECT_EQ(t, symlink(top, link), 0);
	EXPECT(t, !folder_own(link, error, sizeof(error)));
	EXPECT_EQ(t, unlink(link), 0);
	file = fopen(link, "w");
	EXPECT(t, file != NULL && fchmod(fileno(file), 0600) == 0 && fclose(file) == 0);
	EXPECT(t, !folder_own(link, error, sizeof(error)));
	EXPECT_EQ(t, unlink(link), 0);
	snprintf(link, sizeof(link), "%s/none/own", top);
	EXPECT(t, !folder_own(link, error, sizeof(error)));
	EXPECT(t, strstr(error, "cannot make the folder: No such file") != NULL);
	EXPECT_EQ(t, rmdir(folder), 0);
	EXPECT_EQ(t, rmdir(top), 0);
}

int main(void)
{
	static const struct test_case cases[] = {TEST(test_parse), TEST(test_nul),
						 TEST(test_members), TEST(test_make),
						 TEST(test_own_folder)};

	return test_main(cases, ARRAY_LEN(cases));
}
