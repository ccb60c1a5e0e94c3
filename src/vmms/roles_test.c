// SPDX-License-Identifier: Apache-2.0
/* Who may do what: the file, callers of all kinds, and changes that last. */
#include <unistd.h>

#include "lib/bits.h"
#include "roles.h"
#include "test/test.h"

#define VM_A "11111111-2222-3333-4444-555555555555"
#define VM_B "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE"
/* Nobody has these numbers. */
#define UID_A 4000000001u
#define UID_B 4000000002u
#define GID_A 4000000003u

static struct roles *parse(struct test *t, const char *text)
{
	struct roles *r;
	char error[1024];

	EXPECT_EQ(t, roles_create(NULL, &r, error, sizeof(error)), 0);
	if (!roles_parse(r, "roles.json", text, strlen(text), error, sizeof(error))) {
		test_fail(t, __FILE__, __LINE__, "%s", error);
	}
	return r;
}

static struct identity user(uid_t uid)
{
	struct identity i = {.name = "somebody", .has_uid = true, .uid = uid, .group_count = 1};

	i.groups[0] = uid;
	return i;
}

static void test_user(struct test *t)
{
	struct roles *r = parse(
		t, "{\"format\":1,\"roles\":["
		   "{\"who\":\"user:4000000001\",\"role\":\"viewer\"},"
		   "{\"who\":\"user:4000000001\",\"role\":\"operator\",\"vm\":\"" VM_A "\"},"
		   "{\"who\":\"4000000002\",\"role\":\"administrator\",\"vm\":\"" VM_B "\"}]}");
	struct identity a = user(UID_A), b = user(UID_B), c = user(UID_B + 7);
	struct caller caller;

	roles_caller(r, &a, &caller);
	EXPECT(t, caller_is_known(&caller) && !caller.host_admin && !caller.owner);
	EXPECT(t, caller_may(&caller, NULL, RIGHT_READ));
	EXPECT(t, caller_may(&caller, VM_B, RIGHT_READ));
	EXPECT(t, !caller_may(&caller, VM_B, RIGHT_OPERATE));
	EXPECT(t, caller_may(&caller, VM_A, RIGHT_OPERATE));
	EXPECT(t, !caller_may(&caller, VM_A, RIGHT_CHANGE));
	caller_fini(&caller);
	roles_caller(r, &b, &caller);
	EXPECT(t, caller_may(&caller, VM_B, RIGHT_CHANGE));
	/* all of a VM is not the host */
	EXPECT(t, !caller_may(&caller, VM_B, RIGHT_HOST));
	EXPECT(t, !caller_may(&caller, NULL, RIGHT_READ));
	EXPECT(t, !caller_may(&caller, VM_A, RIGHT_READ));
	caller_fini(&caller);
	roles_caller(r, &c, &caller);
	EXPECT(t, !caller_is_known(&caller) && !caller_may(&caller, VM_A, RIGHT_READ));
	caller_fini(&caller);
	roles_destroy(r);
}

static void test_group_and_certificate(struct test *t)
{
	struct roles *r =
		parse(t, "{\"format\":1,\"roles\":["
			 "{\"who\":\"group:4000000003\",\"role\":\"administrator\",\"vm\":null},"
			 "{\"who\":\"certificate:ops\",\"role\":\"operator\"}]}");
	struct identity member = user(UID_A), certificate = {.name = "certificate:x"};
	struct caller caller;

	member.groups[member.group_count++] = GID_A;
	roles_caller(r, &member, &caller);
	EXPECT(t, caller.host_admin && !caller.owner && caller_may(&caller, NULL, RIGHT_HOST));
	caller_fini(&caller);
	strcpy(certificate.certificate_names[0], "x");
	strcpy(certificate.certificate_names[1], "ops");
	certificate.certificate_name_count = 1;
	roles_caller(r, &certificate, &caller);
	EXPECT(t, !caller_is_known(&caller));
	caller_fini(&caller);
	certificate.certificate_name_count = 2;
	roles_caller(r, &certificate, &caller);
	EXPECT(t, caller_may(&caller, VM_A, RIGHT_OPERATE));
	EXPECT(t, !caller_may(&caller, VM_A, RIGHT_CHANGE));
	caller_fini(&caller);
	roles_destroy(r);
}

static void test_owner(struct test *t)
{
	struct roles *r = parse(t, "{\"format\":1,\"roles\":[]}");
	struct identity root = user(0), self = user(geteuid()), nobody = {.name = "x"};
	struct caller caller;

	roles_caller(r, &root, &caller);
	EXPECT(t, caller.owner && caller_may(&caller, NULL, RIGHT_HOST));
	roles_caller(r, &self, &caller);
	EXPECT(t, caller.owner && caller_may(&caller, VM_A, RIGHT_CHANGE));
	/* a caller without a uid has not uid 0 */
	roles_caller(r, &nobody, &caller);
	EXPECT(t, !caller.owner && !caller_is_known(&caller));
	roles_destroy(r);
}

static void test_bad_files(struct test *t)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"{", "line 1"},
		{"{\"format\":2,\"roles\":[]}", "format"},
		{"{\"format\":1}", "expected {\"format\""},
		{"{\"format\":1,\"roles\":[5]}", "role 0: expected"},
		{"{\"format\":1,\"roles\":[{\"who\":\"user:\",\"role\":\"viewer\"}]}", "is nobody"},
		{"{\"format\":1,\"roles\":[{\"who\":\"a\",\"role\":\"king\"}]}",
		 "'king' is not known"},
		{"{\"format\":1,\"roles\":[{\"who\":\"a\",\"role\":\"viewer\",\"vm\":\"web\"}]}",
		 "not a VM's id"},
		{"{\"format\":1,\"roles\":[{\"who\":\"a\",\"role\":\"viewer\",\"vm\":7}]}",
		 "role 0: expected"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct roles *r;
		char error[1024] = "";

		EXPECT_EQ(t, roles_create(NULL, &r, error, sizeof(error)), 0);
		if (roles_parse(r, "roles.json", cases[i].text, strlen(cases[i].text), error,
				sizeof(error)) ||
		    strstr(error, cases[i].why) == NULL || strstr(error, "roles.json") == NULL) {
			test_fail(t, __FILE__, __LINE__, "%s: want '%s', got '%s'", cases[i].text,
				  cases[i].why, error);
		}
		roles_destroy(r);
	}
}

static void test_changes_last(struct test *t)
{
	char folder[] = "/tmp/virid-roles-XXXXXX", path[64], error[1024];
	struct identity i = {.name = "c", .certificate_name_count = 1};
	struct caller caller;
	struct roles *r;
	json_t *role;

	EXPECT(t, mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/roles.json", folder);
	strcpy(i.certificate_names[0], "c");
	EXPECT_EQ(t, roles_create(path, &r, error, sizeof(error)), 0);
	EXPECT_EQ(t, roles_put(r, "certificate:c", "viewer", NULL, &role, error, sizeof(error)),
		  ROLES_OK);
	json_decref(role);
	/* the same place again: replaced */
	EXPECT_EQ(t, roles_put(r, "certificate:c", "operator", NULL, &role, error, sizeof(error)),
		  ROLES_OK);
	json_decref(role);
	EXPECT_EQ(t,
		  roles_put(r, "certificate:c", "administrator",
			    "11111111-2222-3333-4444-55555555555a", &role, error, sizeof(error)),
		  ROLES_OK);
	EXPECT(t, strcmp(json_string_value(json_object_get(role, "vm")),
			 "11111111-2222-3333-4444-55555555555A") == 0);
	json_decref(role);
	EXPECT_EQ(t, roles_put(r, "user:no such user", "viewer", NULL, &role, error, sizeof(error)),
		  ROLES_INVALID);
	EXPECT(t, strstr(error, "no user 'no such user'") != NULL);
	roles_destroy(r);
	EXPECT_EQ(t, roles_create(path, &r, error, sizeof(error)), 0);
	role = roles_json(r);
	EXPECT_EQ(t, json_array_size(json_object_get(role, "roles")), 2);
	json_decref(role);
	EXPECT_EQ(t, roles_remove(r, "certificate:c", NULL, error, sizeof(error)), ROLES_OK);
	EXPECT_EQ(t, roles_remove(r, "certificate:c", NULL, error, sizeof(error)), ROLES_NOT_FOUND);
	roles_caller(r, &i, &caller);
	EXPECT(t, caller_may(&caller, "11111111-2222-3333-4444-55555555555A", RIGHT_CHANGE));
	caller_fini(&caller);
	roles_forget_vm(r, "11111111-2222-3333-4444-55555555555A");
	roles_destroy(r);
	EXPECT_EQ(t, roles_create(path, &r, error, sizeof(error)), 0);
	roles_caller(r, &i, &caller);
	EXPECT(t, !caller_is_known(&caller));
	roles_destroy(r);
	unlink(path);
	rmdir(folder);
}

/* What cannot be written down is not so. */
static void test_no_space_for_changes(struct test *t)
{
	struct identity i = {.name = "c", .certificate_name_count = 1};
	struct caller caller;
	struct roles *r;
	char error[1024];
	json_t *role = NULL;

	strcpy(i.certificate_names[0], "c");
	EXPECT_EQ(t, roles_create("/proc/no/such/folder/roles.json", &r, error, sizeof(error)), 0);
	EXPECT_EQ(t, roles_put(r, "certificate:c", "viewer", NULL, &role, error, sizeof(error)),
		  ROLES_FAILED);
	roles_caller(r, &i, &caller);
	EXPECT(t, !caller_is_known(&caller));
	roles_destroy(r);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_user),	 TEST(test_group_and_certificate),
		TEST(test_owner),	 TEST(test_bad_files),
		TEST(test_changes_last), TEST(test_no_space_for_changes),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
