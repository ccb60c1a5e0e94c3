// SPDX-License-Identifier: Apache-2.0
/* The Unix socket. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "http_listener.h"

#define BACKLOG 256

static bool somebody_listens(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool alive =
		fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
			    errno == EAGAIN);

	if (fd >= 0) {
		close(fd);
	}
	return alive;
}

static int remove_dead(const struct sockaddr_un *address, char *error, size_t size)
{
	struct stat st;

	if (lstat(address->sun_path, &st) < 0) {
		return 0;
	}
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(error, size, "%s: is no socket; move it away, or name another place",
			 address->sun_path);
		return -EEXIST;
	}
	if (somebody_listens(address)) {
		snprintf(error, size, "%s: another service listens there; stop it first",
			 address->sun_path);
		return -EADDRINUSE;
	}
	unlink(address->sun_path);
	return 0;
}

/* The socket's inode gets the mode of the descriptor: nobody else gets in between. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
	if (fchmod(fd, 0600) < 0 ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		return -errno;
	}
	return 0;
}

static int let_group_in(const char *path, const char *group, char *error, size_t size)
{
	char buffer[16384];
	struct group gr, *found = NULL;

	if (group == NULL) {
		return 0;
	}
	if (getgrnam_r(group, &gr, buffer, sizeof(buffer), &found) != 0 || found == NULL) {
		snprintf(error, size, "there is no group '%s'", group);
		return -ENOENT;
	}
	if (chown(path, (uid_t)-1, found->gr_gid) < 0 || chmod(path, 0660) < 0) {
		int r = -errno;

		snprintf(error, size, "%s: cannot be given to the group '%s': %s", path, group,
			 strerror(-r));
		return r;
	}
	return 0;
}

int http_listen_unix(struct http *h, const char *path, const char *group, char *error, size_t size)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(error, size, "%s: too long for a socket's path; at most %zu bytes go",
			 path, sizeof(address.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	int r = remove_dead(&address, error, size);

	if (r < 0) {
		return r;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	r = fd < 0 ? -errno : bind_private(fd, &address);
	if (r < 0 || listen(fd, BACKLOG) < 0) {
		r = r < 0 ? r : -errno;
		snprintf(error, size, "%s: cannot listen there: %s", path, strerror(-r));
		if (fd >= 0) {
			close(fd);
		}
		return r;
	}
	r = let_group_in(path, group, error, size);
	if (r < 0) {
		close(fd);
		unlink(path);
		return r;
	}
	r = http_listener_start(h, fd, NULL, path);
	if (r < 0) {
		snprintf(error, size, "HTTP cannot be served: %s", strerror(-r));
	}
	return r;
}

int http_listen_fd(struct http *h, int fd, char *error, size_t size)
{
	int domain = 0, type = 0;
	socklen_t n = sizeof(domain);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || domain != AF_UNIX ||
	    type != SOCK_STREAM) {
		snprintf(error, size,
			 "descriptor %d is no Unix stream socket; expected ListenStream=/a/path",
			 fd);
		close(fd);
		return -EINVAL;
	}
	r = http_listener_start(h, fd, NULL, NULL);
	if (r < 0) {
		snprintf(error, size, "HTTP cannot be served: %s", strerror(-r));
	}
	return r;
}
