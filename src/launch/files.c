// SPDX-License-Identifier: Apache-2.0
/* The other descriptors of a worker. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "launch/worker.h"

#include "lib/text.h"

#define LISTEN_BACKLOG 8

int launch_open_image(const char *option, const char *path, struct launch_error *error)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		launch_refuse(error, "%s %s: %s", option, path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
		launch_refuse(error, "%s %s: %s; expected a regular file with an image", option,
			      path,
			      S_ISDIR(st.st_mode)    ? "a directory"
			      : !S_ISREG(st.st_mode) ? "not a regular file"
						     : "empty");
		close(fd);
		return -1;
	}
	return fd;
}

int launch_open_kvm(const char *device, struct launch_error *error)
{
	int fd = open(device, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		launch_refuse(error, "%s: %s; %s", device, strerror(errno),
			      errno == EACCES ? "expected to be a member of the group kvm"
					      : "expected a host whose kernel offers KVM, or "
						"--engine emu");
	}
	return fd;
}

int launch_control_listen(const char *path, struct launch_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (!text_copy(address.sun_path, sizeof(address.sun_path), path)) {
		launch_refuse(error, "%s: the path of a socket has at most %zu characters", path,
			      sizeof(address.sun_path) - 1);
		close(fd);
		return -1;
	}
	/* The mode is the descriptor's before it has a name: nobody gets in between, and no mask of the process changes. */
	if (fd < 0 || fchmod(fd, 0600) < 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, LISTEN_BACKLOG) < 0) {
		launch_refuse(error, "%s: %s; expected a path where a socket can be made", path,
			      strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}
