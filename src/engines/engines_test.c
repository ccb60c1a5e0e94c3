// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "guest.h"
#include "measure.h"
#include "test/test.h"

#define KEY UINT64_C(0x0123456789abcdef)

static const struct engines_report sample = {
	.kvm_state = ENGINES_KVM_WORKS,
	.kvm = {1100000, 2000000000, 10000},
	.emu = {300000000, 310000000, 90},
	.measured_s = 1700000000,
};

static bool chose(const struct engines_report *r, enum engines_engine engine, const char *part)
{
	struct engines_choice c;

	engines_choose(r, &c);
	return c.engine == engine && strstr(c.reason, part) != NULL;
}

static void test_choice_by_speed(struct test *t)
{
	struct engines_report r = sample;

	EXPECT(t, chose(&r, ENGINES_EMU, "the software engine is"));
	r.kvm.kernel_ips = 3000000000;
	r.kvm.exit_ns = 1500;
	EXPECT(t, chose(&r, ENGINES_KVM, "KVM is"));
	/* Nested: exits are dear, but so is the software engine. */
	r.kvm = (struct engines_rates){270000000, 270000000, 94000};
	r.emu = (struct engines_rates){20000000, 20000000, 2000};
	EXPECT(t, chose(&r, ENGINES_KVM, "KVM is"));
}

static void test_choice_without_kvm(struct test *t)
{
	struct engines_report r = {.kvm_state = ENGINES_KVM_ABSENT, .detail = "/dev/kvm: gone"};

	EXPECT(t, chose(&r, ENGINES_EMU, "this host has no KVM: /dev/kvm: gone"));
	r.kvm_state = ENGINES_KVM_FORBIDDEN;
	EXPECT(t, chose(&r, ENGINES_EMU, "may not be used"));
	r.kvm_state = ENGINES_KVM_LACKS;
	EXPECT(t, chose(&r, ENGINES_EMU, "lacks /dev/kvm: gone"));
	memset(r.detail, 'x', sizeof(r.detail) - 1);
	r.kvm = sample.kvm;
	r.emu = sample.emu;
	EXPECT(t, chose(&r, ENGINES_EMU, "1.1 million"));
	strcpy(r.detail, "that");
	r.kvm_state = ENGINES_KVM_FAILED;
	EXPECT(t, chose(&r, ENGINES_EMU, "could not run"));
	r.kvm_state = ENGINES_KVM_WORKS; /* but no rates: never a division by them */
	r.kvm = (struct engines_rates){0};
	EXPECT(t, chose(&r, ENGINES_EMU, "not measured"));
	r.kvm = sample.kvm;
	r.emu.exit_ns = 0;
	EXPECT(t, chose(&r, ENGINES_KVM, "could not be measured"));
}

static void test_text(struct test *t)
{
	struct engines_report r, lacks = {.kvm_state = ENGINES_KVM_LACKS, .detail = "KVM_CAP_X"};
	char text[ENGINES_FILE_BYTES_MAX];
	size_t bytes = engines_cache_format(&sample, KEY, text);

	EXPECT(t, engines_cache_parse(text, bytes, KEY, &r));
	EXPECT(t, r.kept && r.kvm_state == sample.kvm_state && r.measured_s == sample.measured_s);
	EXPECT(t, memcmp(&r.kvm, &sample.kvm, sizeof(r.kvm)) == 0);
	EXPECT(t, memcmp(&r.emu, &sample.emu, sizeof(r.emu)) == 0);
	EXPECT(t, !engines_cache_parse(text, bytes, KEY + 1, &r));
	for (size_t cut = 0; cut < bytes; cut++) {
		EXPECT(t, !engines_cache_parse(text, cut, KEY, &r));
	}
	bytes = engines_cache_format(&lacks, KEY, text);
	EXPECT(t, engines_cache_parse(text, bytes, KEY, &r));
	EXPECT(t, r.kvm_state == ENGINES_KVM_LACKS && strcmp(r.detail, "KVM_CAP_X") == 0);
}

static void test_text_damaged(struct test *t)
{
	static const struct {
		const char *from, *to;
	} changes[] = {
		{"virid-engines 1", "virid-engines 2"},
		{"kvm works", "kvm absent"},
		{"kvm works", "kvm works "},
		{"1100000", "11000x0"},
		{"1100000", ""},
		{"1100000", "-1"},
		{"1100000", "99999999999999999999"},
		{"detail ", "detail"},
		{"detail ", "detail \x1b[2J"},
		{"emu-exit-ns 90\n", "emu-exit-ns 90\nmore 1\n"},
	};
	char text[ENGINES_FILE_BYTES_MAX], other[2 * ENGINES_FILE_BYTES_MAX];
	struct engines_report r;

	engines_cache_format(&sample, KEY, text);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const char *at = strstr(text, changes[i].from);

		snprintf(other, sizeof(other), "%.*s%s%s", (int)(at - text), text, changes[i].to,
			 at + strlen(changes[i].from));
		EXPECT(t, !engines_cache_parse(other, strlen(other), KEY, &r));
	}
}

static void test_file(struct test *t)
{
	char folder[] = "/tmp/virid-engines-XXXXXX", path[64], parent[64];
	struct engines_report r;

	EXPECT(t, mkdtemp(folder) != NULL);
	snprintf(parent, sizeof(parent), "%s/a", folder);
	snprintf(path, sizeof(path), "%s/a/engines", folder);
	EXPECT(t, !engines_cache_read(path, KEY, &r));
	EXPECT(t, engines_cache_write(path, KEY, &sample) == 0);
	EXPECT(t, engines_cache_read(path, KEY, &r) && r.kvm.exit_ns == sample.kvm.exit_ns);
	EXPECT(t, engines_cache_write(path, KEY + 1, &sample) == 0);
	EXPECT(t, !engines_cache_read(path, KEY, &r));
	unlink(path);
	EXPECT(t, rmdir(parent) == 0); /* nothing else was left there */
	EXPECT(t, engines_cache_write("/proc/virid/engines", KEY, &sample) < 0);
	rmdir(folder);
}

/* What others may have put there, or might: as if there were no file. */
static void test_file_of_others(struct test *t)
{
	char folder[] = "/tmp/virid-engines-XXXXXX", path[64], link_path[64];
	struct engines_report r;

	EXPECT(t, mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/engines", folder);
	snprintf(link_path, sizeof(link_path), "%s/link", folder);
	EXPECT(t, engines_cache_write(path, KEY, &sample) == 0);
	EXPECT(t, engines_cache_read(path, KEY, &r));
	/* A link to a good one, and a good one that others may write. */
	EXPECT(t, symlink(path, link_path) == 0);
	EXPECT(t, !engines_cache_read(link_path, KEY, &r));
	EXPECT(t, chmod(path, 0666) == 0 && !engines_cache_read(path, KEY, &r));
	EXPECT(t, chmod(path, 0600) == 0 && engines_cache_read(path, KEY, &r));
	/* A folder where others may put things. */
	EXPECT(t, chmod(folder, 0777) == 0);
	EXPECT(t, !engines_cache_read(path, KEY, &r));
	EXPECT(t, engines_cache_write(path, KEY, &sample) == -EPERM);
	unlink(link_path);
	unlink(path);
	EXPECT(t, rmdir(folder) == 0);
}

/* root with the home of somebody else leaves nothing there. */
static void test_folder_of_another_user(struct test *t)
{
	char folder[] = "/tmp/virid-engines-XXXXXX", path[64];
	struct engines_report r;

	if (geteuid() != 0) {
		SKIP(t, "only root can make a folder of another user");
	}
	EXPECT(t, mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/engines", folder);
	EXPECT(t, engines_cache_write(path, KEY, &sample) == 0);
	EXPECT(t, chown(folder, 65534, 65534) == 0);
	EXPECT(t, !engines_cache_read(path, KEY, &r));
	EXPECT(t, engines_cache_write(path, KEY, &sample) == -EPERM);
	unlink(path);
	snprintf(path, sizeof(path), "%s/a/engines", folder);
	EXPECT(t, engines_cache_write(path, KEY, &sample) < 0);
	EXPECT(t, rmdir(folder) == 0); /* nothing was left there */
}

static void test_device(struct test *t)
{
	struct engines_report r;

	engines_probe("/nonexistent/kvm", NULL, false, &r);
	EXPECT(t, r.kvm_state == ENGINES_KVM_ABSENT && r.measured_s == 0);
	EXPECT(t, strstr(r.detail, "/nonexistent/kvm") != NULL);
	/* A device that is no KVM: it knows none of its requests. */
	engines_probe("/dev/null", NULL, false, &r);
	EXPECT(t, r.kvm_state == ENGINES_KVM_LACKS && strstr(r.detail, "API") != NULL);
}

static void test_emu_runs_the_guest(struct test *t)
{
	struct engines_rates r = {0};

	EXPECT(t, measure_emu(&r));
	EXPECT(t, r.kernel_ips > 1000 && r.user_ips > 1000 && r.exit_ns > 0);
}

static void test_kvm_runs_the_guest(struct test *t)
{
	struct engines_report r;

	engines_probe(ENGINES_KVM_DEVICE, NULL, true, &r);
	printf("# KVM %s: %s %llu %llu instructions/s, exit %llu ns\n",
	       engines_state_name(r.kvm_state), r.detail, (unsigned long long)r.kvm.kernel_ips,
	       (unsigned long long)r.kvm.user_ips, (unsigned long long)r.kvm.exit_ns);
	if (r.kvm_state == ENGINES_KVM_WORKS) {
		EXPECT(t, r.kvm.kernel_ips > 0 && r.kvm.user_ips > 0 && r.kvm.exit_ns > 0);
	} else {
		EXPECT(t, r.detail[0] != '\0');
		EXPECT(t, chose(&r, ENGINES_EMU, r.detail));
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_choice_by_speed),
		TEST(test_choice_without_kvm),
		TEST(test_text),
		TEST(test_text_damaged),
		TEST(test_file),
		TEST(test_file_of_others),
		TEST(test_folder_of_another_user),
		TEST(test_device),
		TEST(test_emu_runs_the_guest),
		TEST(test_kvm_runs_the_guest),
	};

	return test_main(cases, sizeof(cases) / sizeof(cases[0]));
}
