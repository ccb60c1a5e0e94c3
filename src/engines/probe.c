// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache.h"
#include "measure.h"

int engines_open_device(const char *device, struct engines_report *ret_report)
{
	int fd = open(device, O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		return fd;
	}
	/* ENXIO, ENODEV: a device without a driver. */
	ret_report->kvm_state =
		errno == EACCES || errno == EPERM ? ENGINES_KVM_FORBIDDEN : ENGINES_KVM_ABSENT;
	snprintf(ret_report->detail, sizeof(ret_report->detail), "%.100s: %s", device,
		 strerror(errno));
	return -1;
}

static void measure(int device, struct engines_report *r)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	r->measured_s = (uint64_t)now.tv_sec;
	measure_kvm(device, r);
	/* What KVM did not run there is nothing to compare with. */
	if (r->kvm.kernel_ips > 0) {
		(void)measure_emu(&r->emu);
	}
}

static bool may_keep(const struct engines_report *r)
{
	return r->kvm_state == ENGINES_KVM_WORKS || r->kvm_state == ENGINES_KVM_LACKS;
}

void engines_probe(const char *device, const char *path, bool again,
		   struct engines_report *ret_report)
{
	struct engines_report r = {0};
	int fd = engines_open_device(device, &r);

	if (fd >= 0) {
		uint64_t key = engines_host_key();

		if (again || path == NULL || !engines_cache_read(path, key, &r)) {
			measure(fd, &r);
			if (path != NULL && may_keep(&r)) {
				(void)engines_cache_write(path, key, &r);
			}
		}
		close(fd);
	}
	*ret_report = r;
}
