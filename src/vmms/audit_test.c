// SPDX-License-Identifier: Apache-2.0
/* The audit log: written whole, found again by time and name, rotated, never harmed by what a crash has cut. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit_file.h"
#include "lib/bits.h"
#include "test/test.h"

struct lab {
	char folder[32], path[64];
	struct audit *audit;
};

static void lab_open(struct test *t, struct lab *l)
{
	char error[256];

	*l = (struct lab){.folder = "/tmp/virid-audit-XXXXXX"};
	EXPECT(t, mkdtemp(l->folder) != NULL);
	snprintf(l->path, sizeof(l->path), "%s/audit.log", l->folder);
	EXPECT_EQ(t, audit_create(l->path, NULL, &l->audit, error, sizeof(error)), 0);
}

static void lab_close(struct lab *l)
{
	char path[96];

	audit_destroy(l->audit);
	unlink(l->path);
	for (unsigned n = 1; n <= AUDIT_OLD_FILES + 1; n++) {
		snprintf(path, sizeof(path), "%s.%u", l->path, n);
		unlink(path);
	}
	rmdir(l->folder);
}

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	if (f != NULL) {
		fputs(text, f);
		fclose(f);
	}
}

static const char *what(const json_t *answer, size_t i)
{
	const char *s = json_string_value(
		json_object_get(json_array_get(json_object_get(answer, "entries"), i), "what"));

	return s == NULL ? "" : s;
}

static void test_write_and_read(struct test *t)
{
	struct audit_query q = {.limit = 10};
	struct lab l;
	struct stat st;

	lab_open(t, &l);
	audit_note(l.audit, "alice", "POST /vms", NULL, "done", json_pack("{s:s}", "code", "x"));
	audit_note(l.audit, "bob", "DELETE /vms/A", "A", "denied", NULL);
	EXPECT(t, stat(l.path, &st) == 0 && (st.st_mode & 0777) == 0600);
	json_t *a = audit_file_read(l.path, &q);

	EXPECT_EQ(t, json_array_size(json_object_get(a, "entries")), 2);
	EXPECT(t, strcmp(what(a, 0), "POST /vms") == 0 && strcmp(what(a, 1), "DELETE /vms/A") == 0);
	EXPECT(t, json_is_false(json_object_get(a, "truncated")));
	json_decref(a);
	strcpy(q.who, "bob");
	a = audit_file_read(l.path, &q);
	EXPECT(t, json_array_size(json_object_get(a, "entries")) == 1 &&
			  strcmp(what(a, 0), "DELETE /vms/A") == 0);
	json_decref(a);
	strcpy(q.vm, "B");
	a = audit_file_read(l.path, &q);
	EXPECT_EQ(t, json_array_size(json_object_get(a, "entries")), 0);
	json_decref(a);
	lab_close(&l);
}

#define LINE(time, n)                                                                              \
	"{\"time\":\"" time "\",\"who\":\"a\",\"what\":\"" n "\",\"vm\":null,\"result\":\"done\"}" \
	"\n"

static void test_times_and_limit(struct test *t)
{
	struct audit_query q = {.since = "2026-11-21", .until = "2026-11-22T12", .limit = 2};
	struct lab l;
	char old[96];

	lab_open(t, &l);
	snprintf(old, sizeof(old), "%s.1", l.path);
	put_file(old, LINE("2026-11-20T10:00:00.000Z", "1") LINE("2026-11-21T00:00:00.000Z", "2"));
	put_file(l.path,
		 LINE("2026-11-22T11:59:59.999Z", "3") LINE("2026-11-22T12:00:00.000Z", "4"));
	json_t *a = audit_file_read(l.path, &q);

	EXPECT_EQ(t, json_array_size(json_object_get(a, "entries")), 2);
	EXPECT(t, strcmp(what(a, 0), "2") == 0 && strcmp(what(a, 1), "3") == 0);
	json_decref(a);
	q = (struct audit_query){.limit = 3};
	a = audit_file_read(l.path, &q);
	EXPECT(t, strcmp(what(a, 0), "2") == 0 && strcmp(what(a, 2), "4") == 0);
	EXPECT(t, json_is_true(json_object_get(a, "truncated")));
	json_decref(a);
	lab_close(&l);
}

/* What a crash has cut, or somebody has written by hand, does not swallow or hide anything. */
static void test_cut_line(struct test *t)
{
	struct audit_query q = {.limit = 10};
	struct lab l;
	char error[256];

	lab_open(t, &l);
	audit_destroy(l.audit);
	put_file(l.path, LINE("2026-11-20T10:00:00.000Z",
			      "1") "not a line\n\n[]\n5\n{\"time\":7}\n{\"time\":\"2026");
	EXPECT_EQ(t, audit_create(l.path, NULL, &l.audit, error, sizeof(error)), 0);
	audit_note(l.audit, "a", "2", NULL, "done", NULL);
	json_t *a = audit_file_read(l.path, &q);

	EXPECT_EQ(t, json_array_size(json_object_get(a, "entries")), 2);
	EXPECT(t, strcmp(what(a, 0), "1") == 0 && strcmp(what(a, 1), "2") == 0);
	json_decref(a);
	lab_close(&l);
}

static void test_rotation(struct test *t)
{
	struct audit_query q = {.limit = AUDIT_ANSWER_MAX};
	char path[96];
	struct lab l;
	struct stat st;

	lab_open(t, &l);
	for (unsigned n = 0; n < AUDIT_OLD_FILES + 2; n++) {
		char line[64];

		/* filled without filling a disk: a hole at the end is a line of zeros */
		EXPECT_EQ(t, truncate(l.path, (off_t)AUDIT_BYTES_MAX), 0);
		snprintf(line, sizeof(line), "n%u", n);
		audit_note(l.audit, "a", line, NULL, "done", NULL);
		EXPECT(t, stat(l.path, &st) == 0 && st.st_size < 1000);
	}
	snprintf(path, sizeof(path), "%s.%u", l.path, AUDIT_OLD_FILES);
	EXPECT_EQ(t, access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s.%u", l.path, AUDIT_OLD_FILES + 1);
	EXPECT(t, access(path, F_OK) != 0);
	json_t *a = audit_file_read(l.path, &q);

	/* each file's one line; the oldest went */
	EXPECT_EQ(t, json_array_size(json_object_get(a, "entries")), AUDIT_OLD_FILES + 1);
	EXPECT(t, strcmp(what(a, 0), "n1") == 0);
	json_decref(a);
	lab_close(&l);
}

static void test_long_line(struct test *t)
{
	struct audit_query q = {.limit = 10};
	char *big = malloc(AUDIT_LINE_BYTES_MAX + 1);
	struct lab l;

	memset(big, 'x', AUDIT_LINE_BYTES_MAX);
	big[AUDIT_LINE_BYTES_MAX] = '\0';
	lab_open(t, &l);
	audit_note(l.audit, "a", "big", NULL, "done",
		   json_pack("{s:{s:s}}", "request", "notes", big));
	json_t *a = audit_file_read(l.path, &q);

	/* who and what stays, the request goes */
	EXPECT(t, strcmp(what(a, 0), "big") == 0);
	EXPECT_EQ(t, audit_lost(l.audit), 0);
	json_decref(a);
	free(big);
	lab_close(&l);
}

static void test_cannot_write(struct test *t)
{
	struct lab l;
	struct audit *a;
	char error[256];

	EXPECT(t, audit_create("/proc/no/audit.log", NULL, &a, error, sizeof(error)) < 0);
	EXPECT(t, strstr(error, "/proc/no/audit.log: the audit log cannot be written") != NULL);
	lab_open(t, &l);
	unlink(l.path);
	rmdir(l.folder);
	audit_note(l.audit, "a", "1", NULL, "done", NULL);
	EXPECT_EQ(t, audit_lost(l.audit), 1);
	mkdir(l.folder, 0700);
	audit_note(l.audit, "a", "2", NULL, "done", NULL);
	EXPECT_EQ(t, audit_lost(l.audit), 1);
	lab_close(&l);
}

/* Who has no rights cannot fill the log. */
static void test_denied(struct test *t)
{
	struct audit_query q = {.limit = AUDIT_ANSWER_MAX};
	struct lab l;
	size_t n;

	lab_open(t, &l);
	for (unsigned i = 0; i < 5 * AUDIT_DENIED_BURST; i++) {
		audit_note_denied(l.audit, "eve", "POST /x", NULL, json_object());
	}
	audit_note(l.audit, "alice", "POST /vms", NULL, "done", NULL);
	json_t *a = audit_file_read(l.path, &q);

	n = json_array_size(json_object_get(a, "entries"));
	/* a busy machine may need seconds for this loop */
	EXPECT(t, n > AUDIT_DENIED_BURST && n < 2 * AUDIT_DENIED_BURST);
	EXPECT(t, strcmp(what(a, n - 1), "POST /vms") == 0);
	json_decref(a);
	lab_close(&l);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_write_and_read), TEST(test_times_and_limit), TEST(test_cut_line),
		TEST(test_rotation),	   TEST(test_long_line),       TEST(test_cannot_write),
		TEST(test_denied),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
