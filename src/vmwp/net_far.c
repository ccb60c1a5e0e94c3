// SPDX-License-Identifier: Apache-2.0
#include "net_far.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/check.h"

static int make_memory(unsigned queues, int seals, void **ret, size_t *ret_bytes)
{
	int fd = memfd_create("cable", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	*ret_bytes = wire_bytes(queues, NET_FAR_RING);
	CHECK(fd >= 0 && ftruncate(fd, (off_t)*ret_bytes) == 0);
	*ret = mmap(NULL, *ret_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(*ret != MAP_FAILED);
	wire_format(*ret, queues, NET_FAR_RING);
	CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

void net_far_create(struct net_far *f, unsigned queues, int seals)
{
	memset(f, 0, sizeof(*f));
	f->plug.connection = eventfd(0, EFD_CLOEXEC);
	f->plug.switch_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->plug.queues = queues;
	for (unsigned i = 0; i < queues; i++) {
		f->plug.worker_bells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	f->plug.memory = make_memory(queues, seals, &f->memory, &f->bytes);
	for (unsigned i = 0; i < queues && i < NET_FAR_QUEUES; i++) {
		wire_ring_init(&f->from_worker[i], f->memory, NET_FAR_RING, i, WIRE_TO_SWITCH,
			       WIRE_CONSUMER);
		wire_ring_init(&f->to_worker[i], f->memory, NET_FAR_RING, i, WIRE_TO_WORKER,
			       WIRE_PRODUCER);
	}
}

void net_far_destroy(struct net_far *f)
{
	munmap(f->memory, f->bytes);
}

unsigned net_far_rings(int bell)
{
	uint64_t n = 0;

	return read(bell, &n, sizeof(n)) == sizeof(n) ? (unsigned)n : 0;
}
