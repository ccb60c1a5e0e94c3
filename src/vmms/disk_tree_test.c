// SPDX-License-Identifier: Apache-2.0
#include "disk_tree.h"

#include "lib/bits.h"
#include "lib/check.h"
#include "test/test.h"

#define FILES 64u
#define WRITES 64u

/* A model of the data: each file holds the numbers of the writes that went into it, in order. */
struct model {
	struct disk_tree_file files[FILES];
	unsigned data[FILES][WRITES];
	size_t lengths[FILES];
	size_t count;
	/* What must be seen: of each user, the file it uses, and the writes. */
	struct {
		bool there;
		size_t file;
		unsigned seen[WRITES];
		size_t length;
	} users[FILES];
	size_t user_count;
	unsigned writes;
};

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static size_t add_file(struct model *m, size_t parent, bool made)
{
	CHECK(m->count < FILES);
	m->files[m->count] = (struct disk_tree_file){.parent = parent, .made = made};
	m->lengths[m->count] = 0;
	return m->count++;
}

/* What @file shows: its parents' data, then its own. */
static size_t shown(const struct model *m, size_t file, unsigned ret[WRITES])
{
	size_t chain[FILES], depth = 0, n = 0;

	for (; file != DISK_TREE_NONE; file = m->files[file].parent) {
		CHECK(!m->files[file].gone && depth < FILES);
		chain[depth++] = file;
	}
	while (depth-- > 0) {
		for (size_t i = 0; i < m->lengths[chain[depth]]; i++) {
			CHECK(n < WRITES);
			ret[n++] = m->data[chain[depth]][i];
		}
	}
	return n;
}

static void write_to(struct model *m, size_t file)
{
	m->data[file][m->lengths[file]++] = m->writes++;
}

static void use(struct model *m, size_t user, size_t file)
{
	m->users[user].there = true;
	m->users[user].file = file;
	m->users[user].length = shown(m, file, m->users[user].seen);
	m->files[file].used = true;
}

static void drop(struct model *m, size_t user)
{
	m->users[user].there = false;
	m->files[m->users[user].file].used = false;
}

/* Does to the data what the service would do to the files. */
static void carry_out(struct model *m, const struct disk_tree_step *s)
{
	size_t chain[FILES] = {0}, n = 0;

	if (s->kind == DISK_TREE_MERGE) {
		for (size_t at = s->last; at != s->file; at = m->files[at].parent) {
			chain[n++] = at;
		}
		CHECK(n == s->count);
		while (n-- > 0) {
			for (size_t i = 0; i < m->lengths[chain[n]]; i++) {
				m->data[s->file][m->lengths[s->file]++] = m->data[chain[n]][i];
			}
		}
		for (size_t u = 0; u < m->user_count; u++) {
			if (m->users[u].there && m->users[u].file == s->last) {
				m->users[u].file = s->file;
			}
		}
	}
	disk_tree_done(m->files, m->count, s);
}

static void check_users(struct test *t, const struct model *m)
{
	unsigned seen[WRITES];

	for (size_t u = 0; u < m->user_count; u++) {
		if (!m->users[u].there) {
			continue;
		}
		EXPECT(t, !m->files[m->users[u].file].gone);
		size_t n = shown(m, m->users[u].file, seen);

		EXPECT_EQ(t, n, m->users[u].length);
		EXPECT_MEM(t, seen, m->users[u].seen, n * sizeof(seen[0]));
	}
}

static void settle(struct test *t, struct model *m)
{
	struct disk_tree_step step;
	unsigned guard = 0;

	while (disk_tree_next(m->files, m->count, &step) && guard++ < 1000) {
		carry_out(m, &step);
		check_users(t, m);
	}
	EXPECT(t, guard < 1000);
}

/* User 0 is the present; the others are checkpoints. */
static void start(struct model *m)
{
	memset(m, 0, sizeof(*m));
	size_t disk = add_file(m, DISK_TREE_NONE, false);

	write_to(m, disk);
	m->user_count = 1;
	use(m, 0, disk);
}

static size_t checkpoint(struct model *m)
{
	size_t frozen = m->users[0].file, user = m->user_count++;

	CHECK(user < FILES);
	use(m, user, frozen);
	use(m, 0, add_file(m, frozen, true));
	return user;
}

static void apply(struct model *m, size_t user)
{
	size_t old = m->users[0].file;

	m->files[old].used = false;
	use(m, 0, add_file(m, m->users[user].file, true));
}

static void present_writes(struct model *m)
{
	write_to(m, m->users[0].file);
	m->users[0].length = shown(m, m->users[0].file, m->users[0].seen);
}

static size_t files_left(const struct model *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->count; i++) {
		n += !m->files[i].gone;
	}
	return n;
}

static void test_chain_goes_in_one_merge(struct test *t)
{
	struct model m;
	struct disk_tree_step step;

	start(&m);
	for (size_t i = 0; i < 3; i++) {
		checkpoint(&m);
		present_writes(&m);
	}
	for (size_t u = 1; u <= 3; u++) {
		drop(&m, u);
	}
	EXPECT(t, disk_tree_next(m.files, m.count, &step));
	EXPECT_EQ(t, step.kind, DISK_TREE_MERGE);
	EXPECT_EQ(t, step.file, 0);
	EXPECT_EQ(t, step.last, 3);
	EXPECT_EQ(t, step.count, 3);
	settle(t, &m);
	EXPECT_EQ(t, files_left(&m), 1);
	EXPECT_EQ(t, m.users[0].file, 0);
}

static void test_shared_file_stays_until_one_child_is_left(struct test *t)
{
	struct model m;

	start(&m);
	size_t first = checkpoint(&m);

	present_writes(&m);
	size_t second = checkpoint(&m);

	present_writes(&m);
	apply(&m, first); /* the present leaves second's branch */
	settle(t, &m);
	present_writes(&m);
	drop(&m, first);
	settle(t, &m);
	EXPECT_EQ(t, files_left(&m), 3); /* the disk, second's and the present's */
	drop(&m, second);
	settle(t, &m);
	EXPECT_EQ(t, files_left(&m), 1);
	EXPECT_EQ(t, m.users[0].file, 0);
}

static void test_leaf_on_another_branch_goes_at_once(struct test *t)
{
	struct model m;
	struct disk_tree_step step;

	start(&m);
	size_t first = checkpoint(&m);

	present_writes(&m);
	size_t second = checkpoint(&m);

	apply(&m, first);
	settle(t, &m);
	drop(&m, second);
	EXPECT(t, disk_tree_next(m.files, m.count, &step));
	EXPECT_EQ(t, step.kind, DISK_TREE_REMOVE);
	EXPECT_EQ(t, step.file, 1);
}

static void test_attached_disk_is_never_removed(struct test *t)
{
	struct model m;
	struct disk_tree_step step;

	start(&m);
	drop(&m, 0);
	EXPECT(t, !disk_tree_next(m.files, m.count, &step));
}

static void random_operation(struct model *m, uint32_t *state)
{
	size_t user = m->user_count > 1 ? 1 + next_random(state) % (m->user_count - 1) : 0;
	bool there = user != 0 && m->users[user].there;

	switch (next_random(state) % 4) {
	case 0:
		checkpoint(m);
		break;
	case 1:
		if (there) {
			apply(m, user);
		}
		break;
	case 2:
		if (there) {
			drop(m, user);
		}
		break;
	default:
		present_writes(m);
		break;
	}
}

static void test_random_walks(struct test *t)
{
	struct model m;

	for (uint32_t seed = 1; seed <= 2000; seed++) {
		uint32_t state = seed;

		start(&m);
		while (m.count + 1 < FILES && m.user_count + 1 < FILES && m.writes + 1 < WRITES) {
			random_operation(&m, &state);
			if (next_random(&state) % 2 == 0) {
				settle(t, &m);
			}
			check_users(t, &m);
		}
		for (size_t u = 1; u < m.user_count; u++) {
			if (m.users[u].there) {
				drop(&m, u);
			}
		}
		settle(t, &m);
		EXPECT_EQ(t, files_left(&m), 1);
	}
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(test_chain_goes_in_one_merge),
		TEST(test_shared_file_stays_until_one_child_is_left),
		TEST(test_leaf_on_another_branch_goes_at_once),
		TEST(test_attached_disk_is_never_removed),
		TEST(test_random_walks),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
