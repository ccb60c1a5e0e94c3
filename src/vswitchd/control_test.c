// SPDX-License-Identifier: Apache-2.0
/* The control protocol, with a client that does not mean well. */
#include <dirent.h>
#include <unistd.h>

#include "lib/bits.h"
#include "test/test.h"
#include "testing.h"

/* Requests in order, and a part of each answer. */
struct step {
	const char *request;
	const char *answer;
};

static void run(struct test *t, const struct step *steps, size_t count)
{
	struct testing_daemon d;
	char answer[8192];

	testing_open(&d);
	for (size_t i = 0; i < count; i++) {
		if (!testing_ask(&d, steps[i].request, strlen(steps[i].request), answer,
				 sizeof(answer))) {
			test_fail(t, __FILE__, __LINE__, "%s: hung up", steps[i].request);
			break;
		}
		if (strstr(answer, steps[i].answer) == NULL) {
			test_fail(t, __FILE__, __LINE__, "%s: got %s, want %s", steps[i].request,
				  answer, steps[i].answer);
		}
		if (strncmp(answer, "{\"queues\":", 10) == 0) {
			testing_keep(&d);
		}
	}
	testing_close(&d);
}

#define TEN "0123456789"
#define PLUG(more)                                                                                 \
	"{\"do\":\"plug\",\"switch\":\"lan\",\"port\":\"a\",\"mac\":\"02:00:00:00:00:01\"" more "}"

static void test_well_meant(struct test *t)
{
	static const struct step steps[] = {
		{"{\"do\":\"list\"}", "\"name\":\"default\""},
		{PLUG(",\"queues\":3,\"vlan\":7"), "{\"queues\":3,\"mtu\":9216,\"takes\":15}"},
		{"{\"do\":\"show\",\"switch\":\"lan\"}", "\"vlan\":7"},
		{"{\"do\":\"port\",\"switch\":\"lan\",\"port\":\"a\",\"trunk\":\"1-5\"}", "{}"},
		{"{\"do\":\"show\",\"switch\":\"lan\"}", "\"queues\":3,\"trunk\":\"1-5\"}"},
		{"{\"do\":\"stats\",\"switch\":\"lan\"}", "\"in_frames\":0"},
		{"{\"do\":\"macs\",\"switch\":\"lan\"}", "\"fixed\":true"},
		{"{\"do\":\"remove\",\"switch\":\"wan\"}", "{}"},
		{"{\"do\":\"create\",\"config\":{\"name\":\"new\",\"type\":\"private\"}}", "{}"},
		{"{\"do\":\"show\",\"switch\":\"new\"}", "\"ports\":[]"},
	};

	run(t, steps, ARRAY_LEN(steps));
}

static void test_refused(struct test *t)
{
	static const struct step steps[] = {
		{"x", "no JSON object"},
		{"[]", "no JSON object"},
		{"{} {}", "no JSON object"},
		{"{\"do\":\"list\",\"do\":\"list\"}", "no JSON object"},
		{"{\"do\":\"list\\u0000\"}", "no JSON object"},
		{"{\"do\":\"l\xff\"}", "no JSON object"},
		{PLUG(",\"queues\":18446744073709551615"), "no JSON object"},
		{PLUG(",\"queues\":9223372036854775807"), "1 to 64 queues"},
		/* cut within a letter, so that what comes back is no longer the name */
		{"{\"do\":\"show\",\"switch\":\"" TEN TEN TEN TEN TEN TEN TEN "123456789\u00e4\"}",
		 "123456789\xef\xbf\xbd'; found default"},
		{"{\"do\":[[[[[[[[[[1]]]]]]]]]]}", "no JSON object"},
		{"{}", "does not say what"},
		{"{\"do\":5}", "does not say what"},
		{"{\"do\":\"fly\"}", "'fly' is not known"},
		{"{\"do\":\"list\",\"switch\":\"lan\"}", "'switch' is not known here"},
		{"{\"do\":\"show\"}", "names no switch"},
		{"{\"do\":\"show\",\"switch\":\"lam\"}", "found default, lan, wan"},
		{PLUG(",\"queues\":0"), "1 to 64 queues"},
		{PLUG(",\"queues\":\"1\""), "1 to 64 queues"},
		{PLUG(",\"vlan\":4095"), "VLAN from 1 to 4094"},
		{PLUG(",\"vlan\":1,\"trunk\":\"2\""), "only one of vlan="},
		{PLUG(",\"colour\":1"), "'colour' is not known here"},
		{"{\"do\":\"plug\",\"switch\":\"lan\",\"port\":\"a\"}", "no address"},
		{"{\"do\":\"plug\",\"switch\":\"lan\",\"port\":\"\",\"mac\":\"02:00:00:00:00:01\"}",
		 "no name"},
		{"{\"do\":\"remove\",\"switch\":\"default\"}", "always there"},
		{"{\"do\":\"create\",\"config\":{\"name\":\"lan\",\"type\":\"private\"}}",
		 "'lan' already"},
		{"{\"do\":\"create\",\"config\":{\"name\":\"x\",\"type\":\"internal\","
		 "\"interfaces\":[\"y\"]}}",
		 "0 descriptors for 1 interfaces"},
		{"{\"do\":\"mirror\",\"switch\":\"lan\",\"from\":\"a\",\"to\":\"b\"}",
		 "no port 'a'; found none"},
		{PLUG(""), "\"queues\":1"},
		{PLUG(""), "has a port 'a' already"},
		{"{\"do\":\"port\",\"switch\":\"lan\",\"port\":\"a\",\"queues\":2}",
		 "'queues' is not known here"},
		{"{\"do\":\"remove\",\"switch\":\"lan\"}", "1 adapters plugged in (a)"},
	};

	run(t, steps, ARRAY_LEN(steps));
}

/* Names and addresses of those who are there, and of those who are gone. */
static void test_taken(struct test *t)
{
	static const char other_name[] =
		"{\"do\":\"plug\",\"switch\":\"lan\",\"port\":\"b\",\"mac\":\"02:00:00:00:00:01\"}";
	struct testing_daemon d;
	char answer[1000];

	testing_open(&d);
	EXPECT(t, testing_ask(&d, PLUG(""), strlen(PLUG("")), answer, sizeof(answer)));
	int first = d.client;

	d.client = dup(first);
	testing_reconnect(&d);
	EXPECT(t, testing_ask(&d, PLUG(""), strlen(PLUG("")), answer, sizeof(answer)) &&
			  strstr(answer, "has a port 'a' already") != NULL);
	EXPECT(t, testing_ask(&d, other_name, strlen(other_name), answer, sizeof(answer)) &&
			  strstr(answer, "is that of port 'a'") != NULL);
	close(first);
	EXPECT(t, testing_ask(&d, other_name, strlen(other_name), answer, sizeof(answer)) &&
			  strstr(answer, "\"queues\":1") != NULL);
	testing_close(&d);
}

/* Who has a port is a worker, and asks for nothing. */
static void test_owner(struct test *t)
{
	static const char *const requests[] = {
		(PLUG("")),
		"{\"do\":\"list\"}",
		"{\"do\":\"show\",\"switch\":\"lan\"}",
		"{\"do\":\"port\",\"switch\":\"lan\",\"port\":\"a\",\"spoofing\":true}",
		"{\"do\":\"mirror\",\"switch\":\"lan\",\"from\":\"a\",\"to\":\"a\"}",
		"{\"do\":\"remove\",\"switch\":\"wan\"}",
		"{\"do\":\"create\",\"config\":{\"name\":\"new\",\"type\":\"private\"}}",
	};
	struct testing_daemon d;
	char answer[1000];

	testing_open(&d);
	EXPECT(t, testing_ask(&d, PLUG(""), strlen(PLUG("")), answer, sizeof(answer)));
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		EXPECT(t,
		       testing_ask(&d, requests[i], strlen(requests[i]), answer, sizeof(answer)) &&
			       strstr(answer, "can ask for nothing else") != NULL);
	}
	EXPECT_EQ(t, d.daemon.switch_count, 3);
	testing_close(&d);
}

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (dir != NULL && readdir(dir) != NULL) {
		n++;
	}
	closedir(dir);
	return n;
}

/* Plugging and vanishing leaves nothing behind. */
static void test_leaks(struct test *t)
{
	struct testing_daemon d;
	char answer[1000];
	unsigned before = 0;

	testing_open(&d);
	for (unsigned i = 0; i < 50; i++) {
		EXPECT(t, testing_ask(&d, PLUG(",\"queues\":8"), strlen(PLUG(",\"queues\":8")),
				      answer, sizeof(answer)));
		testing_reconnect(&d);
		before = i == 0 ? open_descriptors() : before;
	}
	EXPECT_EQ(t, open_descriptors(), before);
	EXPECT_EQ(t, d.daemon.vm_count, 0);
	testing_close(&d);
}

static void test_too_long(struct test *t)
{
	static char text[70000]; /* too long for the stack */
	struct testing_daemon d;
	char answer[1000];

	memset(text, ' ', sizeof(text));
	testing_open(&d);
	EXPECT(t, testing_ask(&d, text, sizeof(text), answer, sizeof(answer)) &&
			  strstr(answer, "longer than 64 KiB") != NULL);
	EXPECT(t, testing_ask(&d, text, 60000, answer, sizeof(answer)) &&
			  strstr(answer, "no JSON object") != NULL);
	testing_close(&d);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_well_meant), TEST(test_refused),  TEST(test_taken),
		TEST(test_leaks),      TEST(test_too_long), TEST(test_owner),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
