// SPDX-License-Identifier: Apache-2.0
/* Locks of images, and the hosts for vhd. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backend/backend.h"
#include "lib/bits.h"
#include "test/test.h"

struct folder {
	char path[64];
	char disk[128], other[128];
};

static void make_folder(struct test *t, struct folder *f)
{
	strcpy(f->path, "/tmp/virid-open-test-XXXXXX");
	EXPECT(t, mkdtemp(f->path) != NULL);
	snprintf(f->disk, sizeof(f->disk), "%s/disk", f->path);
	snprintf(f->other, sizeof(f->other), "%s/other", f->path);
}

static void remove_folder(struct folder *f)
{
	unlink(f->disk);
	unlink(f->other);
	rmdir(f->path);
}

static int open_image(const char *path, enum backend_access access)
{
	int fd;
	int r = backend_open(path, access, &fd, NULL);

	return r == 0 ? fd : r;
}

static void create_needs_a_new_name(struct test *t)
{
	struct folder f;
	struct stat st;

	make_folder(t, &f);
	int fd = open_image(f.disk, BACKEND_CREATE);

	EXPECT(t, fd >= 0);
	EXPECT_EQ(t, open_image(f.disk, BACKEND_CREATE), (uint64_t)-EEXIST);
	EXPECT_EQ(t, stat(f.disk, &st), 0);
	EXPECT_EQ(t, fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	EXPECT_EQ(t, fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	EXPECT_EQ(t, open_image(f.other, BACKEND_READ), (uint64_t)-ENOENT);
	EXPECT_EQ(t, open_image(f.path, BACKEND_READ), (uint64_t)-EINVAL);
	remove_folder(&f);
}

static void who_may_open_with_whom(struct test *t)
{
	static const struct {
		enum backend_access first, second;
		bool together;
	} cases[] = {
		{BACKEND_READ, BACKEND_READ, true},    {BACKEND_READ, BACKEND_WRITE, false},
		{BACKEND_WRITE, BACKEND_READ, false},  {BACKEND_WRITE, BACKEND_WRITE, false},
		{BACKEND_CREATE, BACKEND_READ, false},
	};
	struct folder f;

	make_folder(t, &f);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unlink(f.disk);
		if (cases[i].first != BACKEND_CREATE) {
			close(open_image(f.disk, BACKEND_CREATE));
		}
		int first = open_image(f.disk, cases[i].first);
		int second = open_image(f.disk, cases[i].second);

		EXPECT(t, first >= 0);
		EXPECT_EQ(t, second >= 0, cases[i].together);
		EXPECT(t, second >= 0 || second == -EWOULDBLOCK);
		close(first);
		if (second < 0) {
			second = open_image(f.disk, cases[i].second); /* free again */
		}
		EXPECT(t, second >= 0);
		close(second);
	}
	remove_folder(&f);
}

/* The bytes QEMU locks: 100 + n for a permission it uses, 200 + n for one it does not share; always read locks. */
static void lock_bytes(int fd, const int *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct flock lock = {
			.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = bytes[i], .l_len = 1};

		fcntl(fd, F_OFD_SETLK, &lock);
	}
}

static bool is_locked(int fd, int byte)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static void qemu_reads_along_but_does_not_write(struct test *t)
{
	static const int reader[] = {100, 201, 203}, writer[] = {100, 101, 103, 201, 203};
	struct folder f;

	make_folder(t, &f);
	close(open_image(f.disk, BACKEND_CREATE));
	int qemu = open(f.disk, O_RDWR | O_CLOEXEC);

	lock_bytes(qemu, reader, ARRAY_LEN(reader));
	EXPECT_EQ(t, open_image(f.disk, BACKEND_WRITE), (uint64_t)-EWOULDBLOCK);
	int ours = open_image(f.disk, BACKEND_READ);

	EXPECT(t, ours >= 0);
	/* What a QEMU that reads looks at: does anyone refuse reading, or write? A writer: does anyone refuse writing? */
	EXPECT(t, !is_locked(qemu, 200) && !is_locked(qemu, 101) && !is_locked(qemu, 103));
	EXPECT(t, is_locked(qemu, 201) && is_locked(qemu, 203));
	close(ours);
	lock_bytes(qemu, writer, ARRAY_LEN(writer));
	EXPECT_EQ(t, open_image(f.disk, BACKEND_READ), (uint64_t)-EWOULDBLOCK);
	EXPECT_EQ(t, open_image(f.disk, BACKEND_WRITE), (uint64_t)-EWOULDBLOCK);
	close(qemu);
	remove_folder(&f);
}

/* Another process holds the file: its number is told. */
static void names_the_holder(struct test *t)
{
	int ready[2], leave[2], fd, pid = -1;
	struct folder f;
	char byte = 0;

	make_folder(t, &f);
	EXPECT_EQ(t, pipe(ready), 0);
	EXPECT_EQ(t, pipe(leave), 0);
	pid_t child = fork();

	if (child == 0) {
		close(leave[1]);
		bool ok = open_image(f.disk, BACKEND_CREATE) >= 0;

		_exit(write(ready[1], "x", 1) == 1 && read(leave[0], &byte, 1) == 0 && ok ? 0 : 1);
	}
	close(leave[0]);
	EXPECT_EQ(t, read(ready[0], &byte, 1), 1);
	EXPECT_EQ(t, backend_open(f.disk, BACKEND_READ, &fd, &pid), (uint64_t)-EWOULDBLOCK);
	EXPECT_EQ(t, pid, child);
	close(leave[1]);
	int status = -1;

	waitpid(child, &status, 0);
	EXPECT_EQ(t, status, 0);
	close(ready[0]);
	close(ready[1]);
	remove_folder(&f);
}

/* ---- Hosts ---- */

/* Sends @fd where nobody takes it: its lock stays until the sockets are closed, as that of a process that is dying. */
static void leave_behind(struct test *t, int socket, int fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ancillary = {{0}};
	char byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &ancillary,
			   .msg_controllen = sizeof(ancillary)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	*h = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS,
			      .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(h), &fd, sizeof(fd));
	EXPECT_EQ(t, sendmsg(socket, &m, 0), 1);
	close(fd);
}

static void *close_later(void *ctx)
{
	const int *sockets = ctx;
	const struct timespec pause = {.tv_nsec = 50000000};

	nanosleep(&pause, NULL);
	close(sockets[0]);
	close(sockets[1]);
	return NULL;
}

static void waits_for_the_lock_of_the_dead(struct test *t)
{
	int sockets[2], fd = -1, pid = -1;
	pthread_t thread;
	struct folder f;

	make_folder(t, &f);
	EXPECT_EQ(t, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	leave_behind(t, sockets[0], open_image(f.disk, BACKEND_CREATE));
	EXPECT_EQ(t, pthread_create(&thread, NULL, close_later, sockets), 0);
	EXPECT_EQ(t, backend_open(f.disk, BACKEND_WRITE, &fd, &pid), 0);
	EXPECT(t, fd >= 0);
	close(fd);
	pthread_join(thread, NULL);
	remove_folder(&f);
}

static void host_by_path(struct test *t)
{
	struct storage_file *file, *second;
	struct vhd_host host;
	struct backend *b;
	struct folder f;
	char real[4096], buf[4];

	make_folder(t, &f);
	EXPECT_EQ(t, backend_create(8, &b), 0);
	backend_vhd_host(b, &host);
	EXPECT_EQ(t, host.open(host.ctx, f.disk, true, false, &file), (uint64_t)-ENOENT);
	EXPECT_EQ(t, host.open(host.ctx, f.disk, true, true, &file), 0);
	EXPECT(t, file->writable && strcmp(file->name, f.disk) == 0);
	EXPECT_EQ(t, host.open(host.ctx, f.disk, true, true, &second), (uint64_t)-EEXIST);
	EXPECT_EQ(t, host.open(host.ctx, f.disk, false, false, &second), VHD_IN_USE);
	EXPECT_EQ(t, storage_file_write(file, 0, "disk", 4), 0);
	EXPECT_EQ(t, host.rename(host.ctx, f.disk, f.other), 0);
	storage_file_close(file);
	EXPECT_EQ(t, host.open(host.ctx, f.other, false, false, &file), 0);
	EXPECT(t, !file->writable);
	EXPECT_EQ(t, storage_file_read(file, 0, buf, 4), 0);
	EXPECT_MEM(t, buf, "disk", 4);
	storage_file_close(file);
	EXPECT_EQ(t, symlink(f.other, f.disk), 0);
	EXPECT_EQ(t, host.rename(host.ctx, f.other, f.disk), (uint64_t)-EEXIST);
	EXPECT(t, host.same_file(host.ctx, f.disk, f.other));
	EXPECT(t, !host.same_file(host.ctx, f.disk, f.path));
	EXPECT_EQ(t, host.real_path(host.ctx, f.disk, real, sizeof(real)), 0);
	EXPECT(t, strcmp(real, f.other) == 0);
	EXPECT_EQ(t, host.remove(host.ctx, f.other), 0);
	EXPECT_EQ(t, host.remove(host.ctx, f.other), (uint64_t)-ENOENT);
	EXPECT_EQ(t, host.real_path(host.ctx, f.other, real, sizeof(real)), (uint64_t)-ENOENT);
	EXPECT(t, host.now_s(host.ctx) > 1700000000);
	backend_destroy(b);
	remove_folder(&f);
}

static void random_is_random(struct test *t)
{
	uint8_t a[1000] = {0}, b[1000] = {0};
	struct vhd_host host;
	struct backend *backend;
	unsigned zeros = 0;

	EXPECT_EQ(t, backend_create(1, &backend), 0);
	backend_vhd_host(backend, &host);
	host.random(host.ctx, a, sizeof(a));
	host.random(host.ctx, b, sizeof(b));
	for (size_t i = 0; i < sizeof(a); i++) {
		zeros += a[i] == 0;
	}
	EXPECT(t, zeros < 100);
	EXPECT(t, memcmp(a, b, sizeof(a)) != 0);
	backend_destroy(backend);
}

static void host_of_descriptors(struct test *t)
{
	struct storage_file *file;
	struct vhd_host host;
	struct backend *b;
	struct folder f;
	char real[4096];

	make_folder(t, &f);
	const struct backend_handed files[] = {
		{"/vm/disk.vhdx", NULL, open_image(f.disk, BACKEND_CREATE), true},
		{"/vm/base/../link/base.vhdx", "/store/base.vhdx",
		 open_image(f.other, BACKEND_CREATE), false},
		{"/vm/again.vhdx", "/store/base.vhdx", open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
		 false},
	};

	EXPECT_EQ(t, backend_create(8, &b), 0);
	EXPECT_EQ(t, backend_vhd_host_handed(b, files, ARRAY_LEN(files), &host), 0);
	EXPECT_EQ(t, host.open(host.ctx, "/vm/none", false, false, &file), (uint64_t)-ENOENT);
	EXPECT_EQ(t, host.open(host.ctx, "/vm/new", true, true, &file), (uint64_t)-EROFS);
	EXPECT_EQ(t, host.open(host.ctx, "/store/base.vhdx", true, false, &file), (uint64_t)-EROFS);
	EXPECT_EQ(t, host.real_path(host.ctx, "/vm/base/../link/base.vhdx", real, sizeof(real)), 0);
	EXPECT(t, strcmp(real, "/store/base.vhdx") == 0);
	EXPECT_EQ(t, host.real_path(host.ctx, "/vm/none", real, sizeof(real)), (uint64_t)-ENOENT);
	EXPECT(t, host.same_file(host.ctx, "/store/base.vhdx", "/vm/base/../link/base.vhdx"));
	EXPECT(t, !host.same_file(host.ctx, "/store/base.vhdx", "/vm/disk.vhdx"));
	EXPECT(t, !host.same_file(host.ctx, "/vm/again.vhdx", "/vm/disk.vhdx"));
	EXPECT_EQ(t, host.open(host.ctx, "/vm/./x/..//disk.vhdx", true, false, &file), 0);
	EXPECT_EQ(t, storage_file_write(file, 0, "x", 1), 0);
	storage_file_close(file);
	EXPECT_EQ(t, host.open(host.ctx, "/vm/disk.vhdx", true, false, &file), VHD_IN_USE);
	EXPECT_EQ(t, host.open(host.ctx, "/../..", false, false, &file), (uint64_t)-ENOENT);
	EXPECT_EQ(t, host.open(host.ctx, "vm/disk.vhdx", false, false, &file), (uint64_t)-ENOENT);
	EXPECT_EQ(t, host.rename(host.ctx, "/vm/disk.vhdx", "/vm/x"), (uint64_t)-EROFS);
	EXPECT_EQ(t, host.remove(host.ctx, "/vm/disk.vhdx"), (uint64_t)-EROFS);
	int fd = files[1].fd;

	EXPECT(t, fcntl(fd, F_GETFD) >= 0);
	backend_destroy(b);
	EXPECT(t, fcntl(fd, F_GETFD) < 0); /* closed with the host */
	remove_folder(&f);
}

static int status_of(const char *path, enum backend_access access)
{
	int fd;
	int r = backend_open(path, access, &fd, NULL);

	if (r == 0) {
		close(fd);
	}
	return r;
}

/* A file that is open for reading, by us alone, becomes one to write, and one for readers again. */
static void check_claim(struct test *t, const struct vhd_host *host, const char *name,
			const char *path)
{
	struct storage_file *reader, *writer = NULL, *again = NULL;

	EXPECT_EQ(t, host->open(host->ctx, name, false, false, &reader), 0);
	int other = open_image(path, BACKEND_READ);

	EXPECT_EQ(t, host->claim(host->ctx, name, reader, &writer), VHD_IN_USE);
	EXPECT_EQ(t, status_of(path, BACKEND_WRITE), -EWOULDBLOCK);
	close(other);
	/* Ours is still there. */
	EXPECT_EQ(t, status_of(path, BACKEND_WRITE), -EWOULDBLOCK);
	EXPECT_EQ(t, host->claim(host->ctx, name, reader, &writer), 0);
	EXPECT_EQ(t, status_of(path, BACKEND_READ), -EWOULDBLOCK);
	EXPECT_EQ(t, storage_file_write(writer, 0, "new", 3), 0);
	storage_file_close(reader);
	EXPECT_EQ(t, status_of(path, BACKEND_READ), -EWOULDBLOCK);
	host->unclaim(host->ctx, writer);
	EXPECT(t, !writer->writable);
	EXPECT_EQ(t, status_of(path, BACKEND_READ), 0);
	EXPECT_EQ(t, status_of(path, BACKEND_SHARE), 0);
	EXPECT_EQ(t, status_of(path, BACKEND_WRITE), -EWOULDBLOCK);
	EXPECT_EQ(t, host->claim(host->ctx, "/none", writer, &again), -ENOENT);
	storage_file_close(writer);
	EXPECT_EQ(t, status_of(path, BACKEND_WRITE), 0);
}

static void claims(struct test *t)
{
	struct vhd_host host;
	struct backend *b;
	struct folder f;

	make_folder(t, &f);
	close(open_image(f.disk, BACKEND_CREATE));
	EXPECT_EQ(t, backend_create(8, &b), 0);
	backend_vhd_host(b, &host);
	check_claim(t, &host, f.disk, f.disk);

	const struct backend_handed files[] = {
		{"/vm/disk.vhdx", NULL, open_image(f.disk, BACKEND_READ), false},
		{"/vm/disk.vhdx", NULL, open_image(f.disk, BACKEND_SHARE), true},
		{"/vm/left", NULL, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), false},
	};
	int left = files[2].fd;

	EXPECT_EQ(t, backend_vhd_host_handed(b, files, ARRAY_LEN(files), &host), 0);
	check_claim(t, &host, "/vm/disk.vhdx", f.disk);
	EXPECT(t, fcntl(left, F_GETFD) >= 0);
	backend_vhd_host_drop(&host);
	EXPECT(t, fcntl(left, F_GETFD) < 0);
	backend_destroy(b);
	remove_folder(&f);
}

int main(void)
{
	static const struct test_case cases[] = {
		TEST(create_needs_a_new_name),
		TEST(who_may_open_with_whom),
		TEST(qemu_reads_along_but_does_not_write),
		TEST(names_the_holder),
		TEST(waits_for_the_lock_of_the_dead),
		TEST(host_by_path),
		TEST(random_is_random),
		TEST(host_of_descriptors),
		TEST(claims),
	};

	return test_main(cases, ARRAY_LEN(cases));
}
